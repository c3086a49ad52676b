"""What a program writes to TensorBoard is recorded, and its event files stay as they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")

from tracelet.testing import FrameworkConformance
from tracelet_builtin_plugins.frameworks.summarywriter import SummaryWriterCapture
from tracelet_builtin_plugins.frameworks.summarywriter.names import Names

WRITERS = ["torch.utils.tensorboard", "tensorboardX"]

#: Every call, by a program that knows nothing of tracelet.
EVERYTHING = """
import sys
from importlib import import_module
import numpy as np, torch
import matplotlib; matplotlib.use("agg")
import matplotlib.pyplot as plt
module = import_module(sys.argv[1])
random = np.random.default_rng(0)
writer = module.SummaryWriter("runs/main")
for step in range(3):
    writer.add_scalar("loss", 1 / (step + 3), step, walltime=1000.25 + step)
    writer.add_scalar("tensor", torch.tensor(0.1) * step, np.int64(step))
    writer.add_scalar("double", np.array(1 / 3), step)
writer.add_scalar("whole", 7)
writer.add_scalars("both", {"train": 0.25, "val": torch.tensor(0.5)}, 2)
writer.add_histogram("weights", random.normal(size=1000), 1)
writer.add_histogram_raw("counted", 0.0, 3.0, 6, 9.0, 15.0, [1.0, 2.0, 3.0], [1, 2, 3], 1)
writer.add_image("picture", random.random((3, 4, 4)), 1)
writer.add_images("pictures", random.random((2, 3, 4, 4)), 1)
figure = plt.figure()
plt.plot([1, 2])
writer.add_figure("figure", figure, 1)
writer.add_text("note", "some *text*", 1)
shape = (800, 1) if sys.argv[1] == "tensorboardX" else (1, 800)
writer.add_audio("sound", torch.zeros(shape), 1, sample_rate=8000)
writer.add_mesh("mesh", torch.rand(2, 4, 3), faces=torch.tensor([[[0, 1, 2]]] * 2), global_step=1)
writer.add_embedding(torch.rand(3, 2), ["a", "b", "c"], torch.rand(3, 3, 4, 4), global_step=1, tag="vectors")
writer.add_pr_curve("curve", np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.4, 0.6]), 1)
rows = [np.array([1.0, 2.0])] * 6
writer.add_pr_curve_raw("raw", *rows, global_step=1, num_thresholds=2)
writer.add_hparams({"lr": 0.1, "layers": 2, "name": "adam"}, {"best/loss": 0.2}, global_step=4)
writer.close()
"""


@pytest.mark.parametrize("module", WRITERS)
def test_every_call_is_kept_and_event_files_stay_the_same(
    record: Callable[..., Any], project: Any, module: str
) -> None:
    source = "import torch; torch.manual_seed(0)\n" + EVERYTHING.replace("sys.argv[1]", repr(module))
    project.write("all.py", source)
    if module == WRITERS[0]:
        project.python("all.py", timeout=170)
        (project.path / "runs").rename(project.path / "plain")
    run = record(None, "--automagic", name="all.py").record
    if module == WRITERS[0]:
        assert parts(project.path / "plain") == parts(project.path / "runs")
    loss = run.metric("loss")
    assert (loss.iterations, loss.values) == ([0, 1, 2], [1 / 3, 1 / 4, 1 / 5])
    assert loss.timestamps == [1000.25, 1001.25, 1002.25]
    single = [0.0, 0.10000000149011612, 0.20000000298023224]
    assert run.metric("tensor").values == single
    assert run.metric("double").values == [1 / 3] * 3
    assert run.metric("whole").values == [7]
    assert {name: run.metric(name).values for name in ("both/train", "both/val")} == {
        "both/train": [0.25],
        "both/val": [0.5],
    }
    best = run.metric("best/loss")
    assert (best.iterations, best.values) == ([4], [0.2])
    assert run.params.items() >= {"lr": 0.1, "layers": 2, "name": "adam"}.items()
    files = {each["name"]: run.dir / each["files"][0]["path"] for each in run.artifacts if each["media"]}
    assert {each["step"] for each in run.artifacts if each["media"]} == {1}
    media = {name: (path.name.partition(".")[2]) for name, path in files.items()}
    assert media == {
        "weights": "histogram.json",
        "counted": "histogram.json",
        "picture": "png",
        "pictures": "png",
        "figure": "png",
        "note": "txt",
        "sound": "wav",
        "mesh/0": "ply",
        "mesh/1": "ply",
        "vectors": "npz",
        "curve": "pr_curve.json",
        "raw": "table.json",
    }
    assert files["note"].read_text() == "some *text*"
    counted = files["counted"].read_text()
    assert '"counts":[1,2,3]' in re.sub(r"\s", "", counted)
    assert '"edges":[0' in re.sub(r"\s", "", counted)
    assert files["sound"].read_bytes().startswith(b"RIFF")


def parts(folder: Path) -> list[tuple[str, Any]]:
    """Return everything in event files apart from times and the names that hold them."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    found = []
    for file in sorted(folder.rglob("events.*")):
        place = re.sub(r"\d{9,}\.\d+", "TIME", str(file.parent.relative_to(folder)))
        for raw in RawEventFileLoader(str(file)).Load():
            event = Event.FromString(raw)
            event.wall_time = 0
            if event.summary.value and event.summary.value[0].tag.startswith("_hparams_"):
                continue  # holds the time of its start
            found.append((place, event.SerializeToString(deterministic=True)))
    return sorted(found)


def test_two_folders_with_one_tag_are_told_apart(record: Callable[..., Any]) -> None:
    found = record(
        """
        from torch.utils.tensorboard import SummaryWriter
        import tensorboardX
        train, val = SummaryWriter("runs/train"), SummaryWriter("runs/val")
        for step in range(2):
            train.add_scalar("loss", 0.5, step)
            val.add_scalar("loss", 0.25, step)
            val.add_scalar("accuracy", 0.75, step)
        again = SummaryWriter("runs/train")
        again.add_scalar("loss", 0.1, 2)
        with tensorboardX.SummaryWriter("runs/train").use_metadata(global_step=3, walltime=5.0) as writer:
            writer.add_scalar("loss", 0.05)
        """,
        "-p",
        "summarywriter",
    )
    assert found.series() == {
        "accuracy": [(0, 0.75), (1, 0.75)],
        "loss": [(0, 0.5), (1, 0.5), (2, 0.1), (3, 0.05)],
        "val/loss": [(0, 0.25), (1, 0.25)],
    }
    assert found.record.metric("loss").timestamps[-1] == 5.0


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["runs/a", "runs/b"], ["x", "b/x"]),
        (["runs/exp", "runs/exp/val"], ["x", "val/x"]),
        (["runs/exp/val", "runs/exp"], ["x", "exp/x"]),
        (["a/run", "b/run", "c/run"], ["x", "b/run/x", "c/run/x"]),
        (["s3://one/t", "s3://one/v"], ["x", "v/x"]),
        (["/a", "/a/"], ["x", "x"]),
        (["p/q/val", "p/q", "p/q/q"], ["x", "q/x", "p/q/q/x"]),
    ],
)
def test_names_of_folders(folders: list[str], names: list[str]) -> None:
    choose = Names()
    assert [choose(folder, "x") for folder in folders] == names
    assert [choose(folder, "x") for folder in folders] == names


class TestConformance(FrameworkConformance):
    """Every promise of a framework plugin."""

    plugin = SummaryWriterCapture
    modules = ("torch.utils.tensorboard.writer",)
    program = """
from torch.utils.tensorboard import SummaryWriter
with SummaryWriter("runs/a") as writer:
    for step in range(3):
        writer.add_scalar("loss", 0.5, step)
"""
    records = {"loss": 3}
