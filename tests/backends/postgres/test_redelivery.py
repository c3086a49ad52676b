"""Each record is stored once, however often and by however many processes it is delivered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracelet.core.plugins import MetricData

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")

Sql = Callable[..., list[tuple[Any, ...]]]


def batch(first: int, last: int, writer: str = "a" * 32) -> list[MetricData]:
    return [
        MetricData(f"m{at % 3}", float(at), iteration=at, timestamp=1e9 + at, id=(writer, at, 0))
        for at in range(first, last)
    ]


def test_a_batch_that_overlaps_with_earlier_ones(plugin: Any, view: Any, sql: Sql) -> None:
    plugin.log_metrics(batch(0, 500), run=view)
    plugin.log_metrics(batch(0, 500), run=view)
    plugin.log_metrics(batch(400, 900), run=view)
    plugin.log_metrics(batch(895, 901) * 2, run=view)  # the same point twice in one batch
    assert sql("SELECT count(*), sum(value) FROM tracelet.metrics") == [(901, sum(range(901)))]
    assert plugin.get_status()["points"] == 901
    assert plugin.get_status()["repeated_points"] == 500 + 100 + 11


def test_the_same_record_numbers_of_another_writer_are_other_points(plugin: Any, view: Any, sql: Sql) -> None:
    plugin.log_metrics(batch(0, 10), run=view)
    plugin.log_metrics(batch(0, 10, "b" * 32), run=view)
    assert sql("SELECT count(*), count(DISTINCT writer) FROM tracelet.metrics") == [(20, 2)]


def test_events_that_are_delivered_again(plugin: Any, view: Any, tmp_path: Path, sql: Sql) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for _ in range(2):
        plugin.run_started(run=view)
        plugin.log_params({"lr": 1, "b": 2}, run=view, id=("w", 1, 0))
        plugin.set_tags({"a": "1", "b": 2}, run=view, id=("w", 2, 0))
        plugin.log_artifact(str(file), None, run=view, id=("w", 3, 0))
        plugin.log_media("m", 1, "image", str(file), {}, run=view, id=("w", 4, 0))
        plugin.run_changed(view, {"name": "new"}, id=("w", 5, 0))
        plugin.run_ended(run=view, outcome="finished")
    tables = ("runs", "params", "tags", "artifacts", "run_changes")
    counts = {table: sql(f"SELECT count(*) FROM tracelet.{table}")[0][0] for table in tables}
    assert counts == {"runs": 1, "params": 2, "tags": 2, "artifacts": 2, "run_changes": 2}


def test_two_processes_that_deliver_the_same_points_at_once(
    start: Callable[..., Any], postgres_dsn: str, view: Any, sql: Sql
) -> None:
    errors = []

    def deliver(plugin: Any) -> None:
        try:
            for first in range(0, 20_000, 1000):
                plugin.log_metrics(batch(first, first + 1000), run=view)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=deliver, args=[start(postgres_dsn)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sql("SELECT count(*), sum(value) FROM tracelet.metrics") == [(20_000, sum(range(20_000)))]


def test_a_failed_batch_leaves_nothing(plugin: Any, view: Any, sql: Sql) -> None:
    points = batch(0, 100)
    points[70].value = "text"
    with pytest.raises(TypeError, match="expected a number, found str"):
        plugin.log_metrics(points, run=view)
    assert sql("SELECT count(*) FROM tracelet.metrics") == [(0,)]
    plugin.log_metrics(batch(0, 100), run=view)
    assert sql("SELECT count(*) FROM tracelet.metrics") == [(100,)]


def test_a_program_killed_in_the_middle_of_delivering(project: Any, postgres_dsn: str, sql: Sql) -> None:
    project.write("tracelet.toml", f'[plugins.postgres]\ndsn = "{postgres_dsn}"\n')
    project.write(
        "train.py",
        """
        import os, signal, tracelet
        from tracelet_builtin_plugins.backends.postgres.writing import RunWriter

        store, calls = RunWriter.store_columns, []

        def store_and_die(self, columns):
            calls.append(None)
            store(self, columns)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGKILL)  # committed, but not acknowledged

        RunWriter.store_columns = store_and_die
        run = tracelet.start_run("killed", run_id="killed", plugins=["no:system", "no:environment", "no:gpu"])
        for step in range(20_000):
            run.log_metric("loss", step, step)
        run.finish()
        """,
    )
    project.python("train.py", status=-9)
    before = sql("SELECT count(*) FROM tracelet.metrics")[0][0]
    assert before > 0
    project.tracelet("sync")
    recorded = sql("SELECT count(*), count(DISTINCT step), max(step) FROM tracelet.metrics")
    count = recorded[0][0]
    assert recorded == [(count, count, count - 1)]
    assert count > before
    assert "ok" in project.tracelet("verify", "killed").stdout
    assert sql("SELECT outcome FROM tracelet.runs") == [("killed",)]
