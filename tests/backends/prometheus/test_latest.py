"""A textfile for node_exporter, and a Pushgateway: the latest values, whole, and gone when they should be."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backend_servers import wait_until

import tracelet
from tracelet.core.plugins import MetricData

pytest.importorskip("cramjam", reason="needs cramjam: pip install 'tracelet[prometheus]'")
parser = pytest.importorskip(
    "prometheus_client.parser", reason="needs prometheus-client, to read what was written"
)

OFF = ["no:system", "no:environment", "no:gpu"]


def parse(text: str) -> list[tuple[str, dict[str, str], float]]:
    return [
        (sample.name, sample.labels, sample.value)
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    ]


def values_of(text: str, run: str) -> dict[str, float]:
    return {
        labels.get("metric", name): value
        for name, labels, value in parse(text)
        if labels.get("run") == run and not labels.get("step_of") and name != "tracelet_run_info"
    }


def test_a_textfile_has_the_latest_values(tmp_path: Path) -> None:
    target = tmp_path / "{project}-{run}.prom"
    settings = {"plugins": {"prometheus": {"textfile": str(target), "labels": {"host": 'a"b\\c\nd'}}}}
    with tracelet.start_run(
        "digits", project="p", dir=tmp_path / "store", plugins=OFF, config=settings, strict="all"
    ) as run:
        for step in range(10):
            run.log({"train/loss": 1 / (step + 1), "nan": float("nan")}, step=step)
    file = tmp_path / f"p-{run.id}.prom"
    text = file.read_text(encoding="utf-8")
    found = values_of(text, run.id)
    assert found["train/loss"] == 0.1
    assert found["nan"] != found["nan"]
    assert {labels["host"] for _, labels, _ in parse(text)} == {'a"b\\c\nd'}
    steps = [value for name, labels, value in parse(text) if labels.get("step_of") == "train/loss"]
    assert steps == [9.0]
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.glob("*.pro*")] == [file.name]
    assert not list(tmp_path.glob(".*.part"))


def test_a_reader_of_the_textfile_never_sees_half_of_it(
    start: Callable[..., Any], view: Any, tmp_path: Path
) -> None:
    target = tmp_path / "x.prom"
    plugin = start(textfile=str(target))
    stop = threading.Event()
    sums = set()

    def read() -> None:
        while not stop.is_set():
            if target.exists():
                found = values_of(target.read_text(encoding="utf-8"), view.id)
                sums.add((len(found), len(set(found.values()))))

    reader = threading.Thread(target=read)
    reader.start()
    for at in range(50):
        plugin.log_metrics(
            [
                MetricData(f"m{number}", float(at), timestamp=1e9, id=("w", at, number))
                for number in range(200)
            ],
            run=view,
        )
    stop.set()
    reader.join()
    assert sums == {(200, 1)}


def test_a_pushgateway_has_the_group_until_the_run_ends(tmp_path: Path, pushgateway: Any) -> None:
    settings = {"plugins": {"prometheus": {"pushgateway_url": pushgateway.url}}}
    with tracelet.start_run("digits", dir=tmp_path, plugins=OFF, config=settings, strict="all") as run:
        run.log({"train/loss": 0.5, "acc": 1.0}, step=3)
        run.log({"train/loss": 0.25}, step=4)
        assert run.flush(timeout=30)
        assert values_of(pushgateway.text(), run.id) == {"train/loss": 0.25, "acc": 1.0} | {
            name: value
            for name, value in values_of(pushgateway.text(), run.id).items()
            if name.startswith("push_")
        }
        assert {
            labels["job"] for _, labels, _ in parse(pushgateway.text()) if labels.get("run") == run.id
        } == {"tracelet"}
    wait_until(
        lambda: run.id not in pushgateway.text(), what="the end of the group"
    )  # it answers before it deletes


@pytest.mark.parametrize("run_id", ["a/b", "ünï cödé", "a@b?c#d%"])
def test_groups_of_runs_with_odd_ids_do_not_disturb_others(
    start: Callable[..., Any], view: Any, pushgateway: Any, run_id: str
) -> None:
    other, view.id = type(view)(**{**vars(view), "id": "other"}), run_id
    for run in (view, other):
        plugin = start(pushgateway_url=pushgateway.url + "/")
        plugin.run_started(run=run)
        plugin.log_metrics([MetricData("m", 2.0, timestamp=1e9, id=("w", 1, 0))], run=run)
        if run is view:
            first = plugin
    assert values_of(pushgateway.text(), run_id)["m"] == 2.0
    first.run_ended(run=view, outcome="finished")
    first.stop()
    wait_until(lambda: not values_of(pushgateway.text(), run_id), what="the end of the group")
    assert values_of(pushgateway.text(), "other")["m"] == 2.0


def test_a_run_that_still_goes_on_keeps_its_group(
    start: Callable[..., Any], view: Any, pushgateway: Any
) -> None:
    plugin = start(pushgateway_url=pushgateway.url)
    plugin.run_started(run=view)
    plugin.log_metrics([MetricData("m", 2.0, timestamp=1e9, id=("w", 1, 0))], run=view)
    plugin.run_ended(run=view, outcome="running")  # as `tracelet sync` of a run in progress
    plugin.stop()
    assert values_of(pushgateway.text(), view.id)["m"] == 2.0


def test_a_missing_folder_is_named(start: Callable[..., Any], view: Any, tmp_path: Path) -> None:
    plugin = start(textfile=str(tmp_path / "nowhere" / "x.prom"))
    with pytest.raises(
        FileNotFoundError, match=r"plugins\.prometheus\.textfile: there is no folder .*nowhere"
    ):
        plugin.log_metrics([MetricData("m", 2.0, timestamp=1e9, id=("w", 1, 0))], run=view)


def test_a_textfile_is_never_written_through_a_link(
    start: Callable[..., Any], view: Any, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "x.prom").symlink_to(precious)
    (tmp_path / f".x.prom.{os.getpid()}.part").symlink_to(precious)
    plugin = start(textfile=str(tmp_path / "x.prom"))
    with pytest.raises(OSError, match="symbolic link"):
        plugin.log_metrics([MetricData("m", 2.0, timestamp=1e9, id=("w", 1, 0))], run=view)
    assert precious.read_text() == "mine"
