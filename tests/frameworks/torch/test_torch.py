"""PyTorch itself: learning rates, gradient norms and saved files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

PROGRAM = """
import sys, torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
slow = torch.optim.SGD([{"params": [model.weight]}, {"params": [model.bias], "lr": 0.5}], lr=0.1)
other = torch.nn.Parameter(torch.tensor([2.0]))
fast = torch.optim.Adam([other], lr=torch.tensor(0.01))
schedule = torch.optim.lr_scheduler.ExponentialLR(slow, 0.5)
norms = []
for step in range(4):
    slow.zero_grad()
    model(torch.ones(1, 3)).square().sum().backward()
    norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)))
    slow.step()
    schedule.step()
    fast.zero_grad()
    other.square().sum().backward()
    fast.step()
torch.save(model.state_dict(), "model.pt")
torch.save(torch.zeros(300_000), "large.pt")
with open("file.pt", "wb") as file:
    torch.save(model.state_dict(), file)
print(norms)
"""


def test_rates_norms_and_files(record: Callable[..., Any], project: Any) -> None:
    project.write("tracelet.toml", "[plugins.torch]\ngradient_norm = true\nsave_limit = 1\n")
    found = record(PROGRAM, "-p", "torch")
    series = found.series()
    assert series["torch/lr/group_0"] == [(step, 0.1 * 0.5**step) for step in range(4)]
    assert series["torch/lr/group_1"] == [(step, 0.5 * 0.5**step) for step in range(4)]
    assert series["torch/optimizer_1/lr"] == [(step, pytest.approx(0.01)) for step in range(4)]
    assert [value for _, value in series["torch/gradient_norm"]] == pytest.approx(found.printed, rel=1e-6)
    assert series["torch/optimizer_1/gradient_norm"][0] == (0, 4.0)
    assert [each["name"] for each in found.record.artifacts] == ["model.pt"]
