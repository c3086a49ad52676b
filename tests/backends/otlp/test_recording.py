"""What a run records arrives at a receiver of OTLP: exact values, the journal's times, steps as gauges of their own."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.core.plugins import MetricData, MetricType

pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto: pip install 'tracelet[otlp]'")

OFF = ["no:system", "no:environment", "no:gpu"]


def test_everything_that_a_run_records(tmp_path: Path, receiver: Any) -> None:
    settings = {"plugins": {"otlp": {**receiver.config, "resource": {"team": "vision", "size": 3}}}}
    (tmp_path / "file.txt").write_text("x")
    with tracelet.start_run(
        "digits", project="p", dir=tmp_path, plugins=OFF, config=settings, strict="all"
    ) as run:
        run.log_params({"lr": 0.1, "layers": [1, 2], "deep": True, "none": None})
        run.set_tags({"kind": "test"})
        for step in range(100):
            run.log({"train/loss": 1 / (step + 1), "acc": step}, step=step)
        run.log_metric("alone", 0.5)
        run.log_artifact(tmp_path / "file.txt", "files")
        run.log_text("note", "hello", step=3)
        run.name = "renamed"
    store = tracelet.open_store(tmp_path).run(run.id)
    for name in ("train/loss", "acc", "alone"):
        series = store.metric(name)
        values = [point for point in receiver.points() if point.name == name]
        steps = [point for point in receiver.points() if point.name == f"{name}.step"]
        assert [point.value for point in values] == list(series.values)
        assert [point.time / 1e9 for point in values] == pytest.approx(list(series.timestamps), abs=1e-6)
        assert [(point.time, point.value) for point in steps] == [
            (point.time, step)
            for point, step in zip(values, series.iterations, strict=True)
            if step is not None
        ]
    for point in receiver.points():
        assert point.resource["tracelet.run.id"] == run.id
        assert point.resource["tracelet.project"] == point.resource["service.name"] == "p"
        assert (point.resource["team"], point.resource["size"]) == ("vision", 3)
        assert not point.attributes
    events = {record.attributes["event.name"]: record.body for record in receiver.records()}
    assert events["tracelet.params"]["lr"] == 0.1
    assert events["tracelet.tags"] == {"kind": "test"}
    assert events["tracelet.artifact"]["artifact_path"] == "files"
    assert (run.dir / events["tracelet.artifact"]["path"]).read_text() == "x"
    assert (events["tracelet.media"]["name"], events["tracelet.media"]["step"]) == ("note", 3)
    assert events["tracelet.run.changed"]["name"] == "renamed"
    assert events["tracelet.run.ended"] == {"outcome": "finished"}
    assert all(1.7e18 < record.time < 2.5e18 for record in receiver.records())


def test_values_and_steps_are_exact_in_any_order(plugin: Any, view: Any, receiver: Any) -> None:
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2]
    steps = [3, 3, -1, 0, 2**53, 2, None]
    plugin.log_metrics(
        [
            MetricData("m", value, iteration=step, timestamp=1.5e9 + at / 4, id=("w", at, 0))
            for at, (value, step) in enumerate(zip(values, steps, strict=True))
        ],
        run=view,
    )
    found = [point for point in receiver.points() if point.name == "m"]
    assert [struct.pack(">d", point.value) for point in found] == [
        struct.pack(">d", value) for value in values
    ]
    assert [point.time for point in found] == [
        1_500_000_000_000_000_000 + at * 250_000_000 for at in range(7)
    ]
    assert [point.value for point in receiver.points() if point.name == "m.step"] == steps[:-1]


def test_names_sources_kinds_and_writers_stay_apart(plugin: Any, view: Any, receiver: Any) -> None:
    names = [
        "a/b",
        "a b",
        "a_b",
        "1a",
        "é",
        "",
        "x" * 1000,
        "x" * 1001,
        "\ud800",
        "m.step",
        "m",
        "\U0001f600",
    ]
    points = [
        MetricData(name, float(at), iteration=at, timestamp=1e9, id=("w", at, 0))
        for at, name in enumerate(names)
    ]
    points.append(MetricData("m", 50.0, timestamp=1e9, source="probe", id=("w", 50, 0)))
    points.append(MetricData("m", 51.0, MetricType.SYSTEM, timestamp=1e9, id=("w", 51, 0)))
    points.append(MetricData("m", 52.0, timestamp=1e9, id=("other", 52, 0)))
    plugin.log_metrics(points, run=view)
    found = [
        point
        for point in receiver.points()
        if not point.name.endswith(".step") or "tracelet.name" in point.attributes
    ]
    assert sorted(point.value for point in found) == [*range(len(names)), 50, 51, 52]
    identities = {
        (point.resource["tracelet.writer"], point.scope, point.name, *sorted(point.attributes.items()))
        for point in receiver.points()
    }
    assert len(identities) == len(receiver.points())
    assert all(len(point.name) <= 255 for point in receiver.points())
    originals = {point.attributes.get("tracelet.name", point.name) for point in found}
    assert {name for name in names if name != "\ud800"} <= originals


def test_a_batch_too_large_for_grpc_is_sent_in_parts(plugin: Any, view: Any, receiver: Any) -> None:
    points = [
        MetricData(f"{'long' * 250}{at}", float(at), timestamp=1e9, id=("w", at, 0)) for at in range(6000)
    ]
    plugin.log_metrics(points, run=view)
    assert sorted(point.value for point in receiver.points()) == list(range(6000))
    assert len(receiver.requests) > 1


def test_params_of_any_kind(plugin: Any, view: Any, receiver: Any) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    params = {
        "big": 2**70,
        "\ud800": "\ud800",
        "nul": "a\x00b",
        "nan": math.nan,
        "deep": deep,
        "map": {"a": {"b": 1}},
    }
    plugin.log_params(params, run=view, id=("w", 1, 0))
    [record] = receiver.records()
    assert record.body["big"] == str(2**70)
    assert record.body["nul"] == "a\x00b"
    assert record.body["map"] == {"a": {"b": 1}}
    assert record.body["nan"] != record.body["nan"]
    assert (record.attributes["tracelet.record.writer"], record.attributes["tracelet.record.sequence"]) == (
        "w",
        1,
    )


def test_a_sync_of_a_run_recorded_without_the_backend(project: Any, receiver: Any) -> None:
    project.write(
        "train.py",
        """
        import tracelet
        with tracelet.start_run("later", run_id="later", plugins=["no:system", "no:environment", "no:gpu"]) as run:
            run.log_params({"lr": 1})
            for step in range(1000):
                run.log_metric("loss", step, step)
        """,
    )
    project.python("train.py")
    lines = "".join(f'{key} = "{value}"\n' for key, value in receiver.config.items())
    project.write("tracelet.toml", f"[plugins.otlp]\n{lines}")
    for _ in range(2):
        project.tracelet("sync", "later")
    assert [point.value for point in receiver.points() if point.name == "loss"] == list(range(1000))
    events = [record.attributes["event.name"] for record in receiver.records()]
    assert events.count("tracelet.params") == 1
    assert "tracelet.run.ended" in events


def test_in_its_own_process(tmp_path: Path, receiver: Any) -> None:
    settings = {"plugins": {"otlp": {**receiver.config, "isolation": "process"}}}
    with tracelet.start_run("own", dir=tmp_path, plugins=OFF, config=settings, strict="all") as run:
        for step in range(500):
            run.log_metric("loss", step, step)
    assert [point.value for point in receiver.points() if point.name == "loss"] == list(range(500))
