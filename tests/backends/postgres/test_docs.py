"""The queries on the docs page work as printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracelet.core.plugins import MetricData

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")

PAGE = Path(__file__).parents[3] / "docs" / "plugins" / "postgres.md"
Sql = Callable[..., list[tuple[Any, ...]]]


def printed(word: str) -> str:
    """Return the SQL of the page that contains a word."""
    blocks = re.findall(
        r"```(?:sql|text)\n((?:SELECT|DELETE).*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    [found] = [block for block in blocks if word in block]
    return found


@pytest.fixture
def filled(plugin: Any, view: Any) -> None:
    view.project = "digits"
    values = [3.0, float("nan"), 1.0, 2.0]
    points = [
        MetricData(name, value, iteration=at, timestamp=1.75e9 + at, id=("w", at, index))
        for at, value in enumerate(values)
        for index, name in enumerate(["loss", "train/acc", "test/acc"])
    ]
    plugin.log_metrics(points, run=view)
    plugin.log_params({"lr": 0.5}, run=view, id=("w", 9, 0))
    plugin.run_ended(run=view, outcome="finished")


@pytest.mark.usefixtures("filled")
def test_the_queries_for_grafana(sql: Sql) -> None:
    over_time = printed("timeFilter").replace("$run", "run-1")
    over_time = over_time.replace(
        "$__timeFilter(time)", "time BETWEEN to_timestamp(1.75e9 + 2) AND 'infinity'"
    )
    assert [(value, metric) for _, value, metric in sql(over_time)] == [
        (1.0, "train/acc"),
        (2.0, "train/acc"),
    ]
    by_step = sql(printed("AS run\n"))
    assert [(step, run) for step, _, run in by_step] == [(step, "first") for step in range(4)]
    [(name, outcome, _, duration, lr, best)] = sql(printed("best_loss"))
    assert (name, outcome, duration.total_seconds(), lr, best) == ("first", "finished", 3.0, 0.5, 1.0)


@pytest.mark.usefixtures("filled")
def test_a_query_for_one_series_reads_only_its_part_of_the_index(sql: Sql) -> None:
    sql("SET enable_seqscan = off")
    plan = "\n".join(
        line
        for (line,) in sql(
            "EXPLAIN SELECT step, value FROM tracelet.metrics WHERE run_id = 'r' AND name = 'loss'"
        )
    )
    assert "points_pkey" in plan
    assert "writers" not in plan


@pytest.mark.usefixtures("filled")
def test_a_run_is_deleted_completely(sql: Sql) -> None:
    for statement in printed("DELETE FROM tracelet.runs").replace("RUN", "run-1").split(";")[:2]:
        sql(statement)
    for table in ("runs", "points", "series", "writers", "params", "run_changes"):
        assert sql(f"SELECT count(*) FROM tracelet.{table}") == [(0,)], table
