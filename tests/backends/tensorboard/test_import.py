"""Event files of TensorBoard's and tensorboardX's own writers: compared number by number with TensorBoard's reader."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorboard", reason="needs TensorBoard: pip install tensorboard tensorboardX")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.histogram import summary_v2 as histogram_v2
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.scalar import summary_v2 as scalar_v2
from tensorboard.plugins.text import summary_v2 as text_v2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

import tracelet
from tracelet.importers import import_runs

VALUES = [0.1, math.nan, math.inf, -math.inf, -0.0, 1e-45, 3.4e38]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "tracelet.toml").write_text("")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "store" / ".tracelet"


def own_points(folder: Path) -> dict[str, list[tuple[int, bytes, float]]]:
    """Return what TensorBoard reads: step, the value's bits, time."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    found = {}
    for tag in reader.Tags()["scalars"]:
        found[tag] = [(one.step, struct.pack("<d", one.value), one.wall_time) for one in reader.Scalars(tag)]
    for tag in reader.Tags()["tensors"]:
        metadata = reader.SummaryMetadata(tag).plugin_data.plugin_name
        if metadata == "scalars":
            from tensorboard.util import tensor_util

            found[tag] = [
                (
                    one.step,
                    struct.pack("<d", float(tensor_util.make_ndarray(one.tensor_proto))),
                    one.wall_time,
                )
                for one in reader.Tensors(tag)
            ]
    return found


def imported_points(store: Path, name: str) -> dict[str, list[tuple[int, bytes, float]]]:
    run = tracelet.open_store(store).run(name)
    return {
        series.name: [
            (int(step), struct.pack("<d", value), float(time))
            for step, value, time in zip(series.iterations, series.values, series.timestamps, strict=True)
        ]
        for series in run.series()
    }


def write_event(writer: Any, summary: Any, step: int) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    again = Summary.FromString(summary.SerializeToString())
    writer.add_event(Event(wall_time=1_700_000_000.0 + step, step=step, summary=again))


def test_two_hundred_runs_equal_what_tensorboard_reads(store, tmp_path):
    tensorboardx = pytest.importorskip("tensorboardX")
    for number in range(200):
        folder = tmp_path / "logs" / f"lr{number % 5}" / f"seed{number}"
        with tensorboardx.SummaryWriter(str(folder)) as writer:
            for step in range(30):
                writer.add_scalar("train/loss", 1 / (step + number + 1), step, walltime=1.7e9 + step / 7)
                writer.add_scalar("odd", VALUES[step % 7], 3 * step)
    results = import_runs(tmp_path / "logs", dir=store, format="tensorboard")
    assert [result.points for result in results] == [60] * 200
    for number in range(0, 200, 13):
        name = f"lr{number % 5}/seed{number}"
        assert imported_points(store, name) == own_points(tmp_path / "logs" / name)
    again = import_runs(tmp_path / "logs", dir=store, format="tensorboard")
    assert not any(result.changed for result in again)
    assert sum(result.known_points for result in again) == 12_000


def test_summaries_of_tensorflow_2(store, tmp_path):
    """The plugins' own functions make the same summaries as ``tf.summary``."""
    writer = EventFileWriter(str(tmp_path / "logs"))
    for step, value in enumerate(VALUES * 5):
        write_event(writer, scalar_v2.scalar_pb("loss", value), step)
    write_event(writer, histogram_v2.histogram_pb("weights", np.array([0.0, 1.0, 1.0, 4.0]), buckets=4), 3)
    write_event(writer, text_v2.text_pb("note", "# Title"), 4)
    write_event(writer, hparams.hparams_pb({"lr": 0.1, "opt": "adam", "deep": True}, start_time_secs=5.0), 0)
    writer.close()
    [result] = import_runs(tmp_path / "logs", dir=store)
    assert result.damage == {}
    assert imported_points(store, "logs") == own_points(tmp_path / "logs")
    run = tracelet.open_store(store).run("logs")
    assert run.params == {"lr": 0.1, "opt": "adam", "deep": True}
    found = {one["name"]: one for one in run.artifacts}
    content = {name: (run.dir / one["path"]).read_text() for name, one in found.items()}
    histogram = json.loads(content["weights"])
    assert (histogram["edges"], histogram["counts"]) == ([0.0, 1.0, 2.0, 3.0, 4.0], [1, 2, 0, 1])
    assert content["note"] == "# Title"


def test_media_of_tensorboardx(store, tmp_path):
    tensorboardx = pytest.importorskip("tensorboardX")
    with tensorboardx.SummaryWriter(str(tmp_path / "logs")) as writer:
        writer.add_image("picture", np.zeros((3, 4, 4), dtype=np.uint8), 1)
        writer.add_histogram("weights", np.arange(100) / 7, 2)
        writer.add_text("note", "hello", 3)
        writer.add_pr_curve("pr", np.array([1, 0, 1]), np.array([0.9, 0.4, 0.6]), 4, num_thresholds=5)
        writer.add_hparams({"lr": 0.1, "batch": 32}, {"acc": 0.5}, name="trial")
    results = {one.name: one for one in import_runs(tmp_path / "logs", dir=store)}
    assert results["logs"].damage == {}
    run = tracelet.open_store(store).run("logs")
    found = {one["name"]: one for one in run.artifacts}
    assert {name: one["media"] for name, one in found.items()} == {
        "picture": "image",
        "weights": "histogram",
        "note": "text",
        "pr": "custom",
    }
    [curve] = json.loads((run.dir / found["pr"]["path"]).read_text())["curves"]
    assert curve["recall"] == sorted(curve["recall"])
    assert curve["thresholds"] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert (run.dir / found["picture"]["path"]).read_bytes().startswith(b"\x89PNG")
    assert json.loads((run.dir / found["weights"]["path"]).read_text())["count"] == 100
    assert tracelet.open_store(store).run("trial").params == {"lr": 0.1, "batch": 32.0}
