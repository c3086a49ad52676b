"""An unchanged program for W&B under --shield: the real wandb delivers what it records, from its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from backend_servers import HOST, free_port, wait_until

pytest.importorskip("wandb", reason="needs wandb: pip install 'tracelet[wandb]'")

KEY = "0123456789abcdef" * 2 + "01234567"
#: Collectors. The stand-in knows nothing of artifacts, such as the script that ``code`` keeps.
OFF = ("code", "console", "environment", "gpu", "system")
PROGRAM = """
import time
import wandb

run = wandb.init(project="digits", name="unchanged", config={"lr": 0.1})
print("drop-in", type(run).__module__)
began = time.monotonic()
for step in range(500):
    wandb.log({"loss": 1 / (step + 1), "acc": step / 500})
print("loop", time.monotonic() - began)
print("run", run.id)
"""


def run_command(folder: Path, *words: str) -> str:
    """Run the command line in a folder and return what it printed."""
    environ = {key: one for key, one in os.environ.items() if not key.startswith(("WANDB_", "TRACELET_"))}
    command = [sys.executable, "-m", "tracelet", *words]
    done = subprocess.run(
        command, cwd=folder, env={**environ, "HOME": str(folder)}, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_project(folder: Path, url: str, finish_timeout: float) -> None:
    """Write the program, and a configuration that delivers to a server."""
    (folder / "train.py").write_text(PROGRAM)
    quiet = "".join(f"[plugins.{name}]\nenabled = false\n" for name in OFF)
    table = f'[plugins.wandb]\nbase_url = "{url}"\napi_key = "{KEY}"\n'
    (folder / "tracelet.toml").write_text(f"finish_timeout = {finish_timeout}\n{table}{quiet}")


def losses(stand_in: Any, run_id: str) -> list[tuple[int, float]]:
    """Return what the server has of a metric, once it knows that the run has ended."""
    wait_until(lambda: stand_in.runs.get(run_id, {}).get("complete") is not None)
    return [(row["step"], row["loss"]) for row in stand_in.rows(run_id) if "loss" in row]


EXPECTED = [(step, 1 / (step + 1)) for step in range(500)]


def facts(out: str) -> dict[str, str]:
    """Return what the program printed of itself."""
    return dict(
        line.split(" ", 1) for line in out.splitlines() if line.startswith(("drop-in", "loop", "run "))
    )


def test_the_real_wandb_delivers_what_the_drop_in_records(stand_in: Any, tmp_path: Path) -> None:
    write_project(tmp_path, stand_in.url, 100)
    printed = facts(run_command(tmp_path, "run", "-q", "--shield", "wandb", "train.py"))
    assert printed["drop-in"] == "tracelet.compat.wandb.wandb_run"
    assert losses(stand_in, printed["run"]) == EXPECTED
    there = stand_in.runs[printed["run"]]
    assert there["displayName"] == "unchanged"
    assert json.loads(there["config"])["lr"]["value"] == 0.1


def test_a_server_that_is_down_from_start_to_end(make_stand_in: Any, tmp_path: Path) -> None:
    """The loop does not notice, the program ends within its timeout, and sync delivers everything later."""
    port = free_port()
    write_project(tmp_path, f"http://{HOST}:{port}", 2)
    began = time.monotonic()
    printed = facts(run_command(tmp_path, "run", "-q", "--shield", "wandb", "train.py"))
    assert time.monotonic() - began < 60
    assert float(printed["loop"]) < 2
    stand_in = make_stand_in(port)
    run_command(tmp_path, "sync")
    assert losses(stand_in, printed["run"]) == EXPECTED
