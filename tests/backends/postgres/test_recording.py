"""What a run records arrives in the tables, exactly."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.core.plugins import MetricData

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")

Sql = Callable[..., list[tuple[Any, ...]]]
OFF = ["no:system", "no:environment", "no:gpu"]


def config(dsn: str, **more: Any) -> dict[str, Any]:
    return {"plugins": {"postgres": {"dsn": dsn, **more}}}


def test_everything_that_a_run_records(tmp_path: Path, postgres_dsn: str, sql: Sql) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"w" * 1000)
    (folder / "deep" / "empty.txt").touch()
    (folder / "ünïcode \U0001f600.txt").write_text("x")
    with tracelet.start_run(
        "digits", project="p", dir=tmp_path, plugins=OFF, config=config(postgres_dsn), strict="all"
    ) as run:
        run.log_params({"lr": 0.1, "net": {"depth": 3}, "nan": math.nan, "text": "a\x00b"})
        run.log_params({"lr": 0.2})
        run.set_tags({"team": "vision", "gone": "x"})
        run.log({"loss": 0.5, "acc": 0.25}, step=7)
        run.log_metric("loss", 0.125)
        run.log_artifact(folder, "models")
        run.log_text("note", "hello", step=3)
        run.name = "renamed"
    [(name, project, outcome, lasts)] = sql(
        "SELECT name, project, outcome, ended_at >= started_at FROM tracelet.runs WHERE id = %s", run.id
    )
    assert (name, project, outcome, lasts) == ("renamed", "p", "finished", True)
    recorded = tracelet.open_store(tmp_path).run(run.id)
    for metric in ("loss", "acc"):
        series = recorded.metric(metric)
        rows = sql(
            "SELECT step, value, extract(epoch FROM time)::float8 FROM tracelet.metrics"
            " WHERE run_id = %s AND name = %s ORDER BY sequence, index",
            *(run.id, metric),
        )
        assert [row[0] for row in rows] == list(series.iterations)
        assert [row[1] for row in rows] == list(series.values)
        assert [row[2] for row in rows] == pytest.approx(list(series.timestamps), abs=1e-6)
    params = sql("SELECT name, value FROM tracelet.current_params WHERE run_id = %s", run.id)
    assert dict(params) == {"lr": 0.2, "net/depth": 3, "nan": "NaN", "text": "a\u2400b"}
    lrs = sql("SELECT value FROM tracelet.params WHERE name = 'lr' ORDER BY sequence")
    assert lrs == [(0.1,), (0.2,)]
    tags = dict(sql("SELECT name, value FROM tracelet.current_tags WHERE run_id = %s", run.id))
    assert tags["team"] == "vision"
    files = sql("SELECT path, size, sha256, artifact_path FROM tracelet.artifacts WHERE kind = 'artifact'")
    found = {Path(path).name: (size, digest) for path, size, digest, _ in files}
    expected = {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*.*")
    }
    assert found == expected
    for path, size, _, _ in files:
        assert (run.dir / path).stat().st_size == size
    [(kind, step, size)] = sql("SELECT kind, step, size FROM tracelet.artifacts WHERE name = 'note'")
    assert (kind, step, size) == ("text", 3, 5)


VALUES = [
    math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, float(2**53 + 2), 1e-300,
]  # fmt: skip
STEPS = [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 5, 5, 3, 4]


def test_values_and_steps_are_exact_in_any_order(plugin: Any, view: Any, sql: Sql) -> None:
    points = [
        MetricData("m", value, iteration=step, timestamp=1.5e9 + at, id=("a" * 32, at, 0))
        for at, (value, step) in enumerate(zip(VALUES, STEPS, strict=True))
    ]
    plugin.log_metrics(points, run=view)
    rows = sql("SELECT value, step, extract(epoch FROM time) FROM tracelet.metrics ORDER BY sequence")
    assert [struct.pack(">d", row[0]) for row in rows] == [struct.pack(">d", value) for value in VALUES]
    assert [row[1] for row in rows] == STEPS
    assert [float(row[2]) for row in rows] == [1.5e9 + at for at in range(len(VALUES))]


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        (0.0, "1970-01-01 00:00:00+00"),
        (-1.5, "1969-12-31 23:59:58.5+00"),
        (1750000000.123456, "2025-06-15 15:06:40.123456+00"),
        (5e9, "2128-06-11 08:53:20+00"),
        (1e30, "infinity"),
        (-1e30, "-infinity"),
        (math.inf, "infinity"),
        (-math.inf, "-infinity"),
        (math.nan, None),
    ],
)
@pytest.mark.parametrize("step", [3, None])
def test_times(
    plugin: Any, view: Any, sql: Sql, timestamp: float, shown: str | None, step: int | None
) -> None:
    plugin.log_metrics([MetricData("m", 0.5, iteration=step, timestamp=timestamp, id=("w", 1, 2))], run=view)
    sql("SET TIME ZONE 'UTC'")
    rows = sql("SELECT time::text, step, value, index FROM tracelet.metrics")
    assert rows == [(shown, step, 0.5, 2)]


def test_names_of_any_length_and_alphabet(plugin: Any, view: Any, sql: Sql) -> None:
    names = [
        "a",
        "loss/train",
        "x" * 1000,
        "\U0001f600" * 5000,
        "a'b\"c\\d%s$1",
        "tab\tnew\nline",
        "",
        " ",
        "é",
        "e\u0301",
    ]
    odd = ["nul\x00", "nul\x00\x00", "nul\ufffd", "\ud800", "\udfff", "\x00"]
    plugin.log_metrics(
        [
            MetricData(name, float(at), timestamp=1e9, id=("w", at, 0))
            for at, name in enumerate([*names, *odd])
        ],
        run=view,
    )
    rows = sql("SELECT name, value FROM tracelet.metrics ORDER BY sequence")
    assert [row[0] for row in rows[: len(names)]] == names
    assert len({row[0] for row in rows}) == len(names) + len(odd)
    originals = sql("SELECT original_name FROM tracelet.series WHERE original_name IS NOT NULL ORDER BY id")
    changed = [name for name in odd if name != "nul\ufffd"]
    assert sorted(json.loads(text) for (text,) in originals) == sorted(changed)


def test_ten_thousand_params_and_as_many_series(plugin: Any, view: Any, sql: Sql) -> None:
    plugin.log_params({f"p{at}": [at] for at in range(10_000)}, run=view, id=("w", 1, 0))
    points = [MetricData(f"m{at}", 1.0, timestamp=1e9, id=("w", 2, at)) for at in range(10_000)]
    plugin.log_metrics(points, run=view)
    assert sql("SELECT count(*) FROM tracelet.current_params") == [(10_000,)]
    assert sql("SELECT value FROM tracelet.current_params WHERE name = 'p77'") == [([77],)]
    assert sql("SELECT count(DISTINCT name) FROM tracelet.metrics") == [(10_000,)]


def test_nested_params_keep_their_structure(plugin: Any, view: Any, sql: Sql) -> None:
    params = {"net": {"sizes": [1, 2.5, math.nan], "a\x00": None, "big": 2**70}}
    plugin.log_params(params, run=view, id=("w", 1, 0))
    [(value,)] = sql("SELECT value FROM tracelet.params")
    assert (value["sizes"], value["big"]) == ([1, 2.5, "NaN"], 2**70)
    assert sorted(value)[0].startswith("a\ufffd_")


def test_a_removed_tag_is_no_longer_current(plugin: Any, view: Any, sql: Sql) -> None:
    plugin.set_tags({"a": "1", "b": 2}, run=view, id=("w", 1, 0))
    plugin.set_tags({"a": None}, run=view, id=("w", 2, 0))
    assert sql("SELECT name, value FROM tracelet.current_tags") == [("b", "2")]


def test_a_change_of_the_run_keeps_what_has_no_column(plugin: Any, view: Any, sql: Sql) -> None:
    plugin.run_changed(view, {"name": "second", "notes": "a\x00b", "group": "g"}, id=("w", 1, 0))
    plugin.run_changed(view, {"notes": None}, id=("w", 2, 0))
    [(name, details)] = sql("SELECT name, details FROM tracelet.runs")
    assert (name, details) == ("second", {"notes": None, "group": "g"})


def test_two_processes_and_a_resumed_run_are_one_run(project: Any, postgres_dsn: str, sql: Sql) -> None:
    project.write("tracelet.toml", f'[plugins.postgres]\ndsn = "{postgres_dsn}"\n')
    project.write(
        "train.py",
        """
        import os, sys, tracelet
        with tracelet.start_run(
            "two", run_id="shared", resume=sys.argv[1] == "resume", plugins=["no:system", "no:environment", "no:gpu"]
        ) as run:
            pid = os.fork() if sys.argv[1] == "fork" else 0
            for step in range(100):
                run.log_metric("loss", step, step)
            if pid:
                os.waitpid(pid, 0)
        """,
    )
    project.python("train.py", "fork")
    assert sql("SELECT outcome FROM tracelet.runs") == [("finished",)]
    project.python("train.py", "resume")
    project.tracelet("sync")
    counts = sql(
        "SELECT count(*), count(DISTINCT (writer, sequence)), count(DISTINCT writer), min(run_id), max(run_id)"
        " FROM tracelet.metrics"
    )
    assert counts == [(300, 300, 3, "shared", "shared")]
    assert sql("SELECT id, outcome FROM tracelet.runs") == [("shared", "finished")]
    changes = sql(
        "SELECT changes->>'outcome' FROM tracelet.run_changes WHERE changes ? 'outcome' ORDER BY received"
    )
    assert ("running",) in changes[1:]  # while it was resumed


def test_a_sync_of_a_run_recorded_without_the_backend(project: Any, postgres_dsn: str, sql: Sql) -> None:
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
    project.write("tracelet.toml", f'[plugins.postgres]\ndsn = "{postgres_dsn}"\n')
    for _ in range(2):
        project.tracelet("sync", "later")
    assert sql("SELECT count(*), sum(value) FROM tracelet.metrics") == [(1000, 499500.0)]
    [(outcome, on_time)] = sql(
        "SELECT outcome, abs(extract(epoch FROM ended_at - (SELECT max(time) FROM tracelet.metrics))) < 0.001"
        " FROM tracelet.runs"
    )
    assert (outcome, on_time) == ("finished", True)


def test_in_its_own_process(tmp_path: Path, postgres_dsn: str, sql: Sql) -> None:
    settings = config(postgres_dsn, isolation="process")
    with tracelet.start_run("own", dir=tmp_path, plugins=OFF, config=settings, strict="all") as run:
        for step in range(5000):
            run.log_metric("loss", step, step)
    assert sql("SELECT count(*), count(DISTINCT step) FROM tracelet.metrics") == [(5000, 5000)]
    assert sql("SELECT outcome FROM tracelet.runs") == [("finished",)]


def test_the_password_is_shown_nowhere(tmp_path: Path, postgres_dsn: str, caplog: Any, sql: Sql) -> None:
    with tracelet.start_run("secret", dir=tmp_path, plugins=OFF, config=config(postgres_dsn)) as run:
        run.log_metric("loss", 1.0)
        run.flush()
        text = repr(run.status()) + repr(run)
    text += caplog.text + "".join(
        path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()
    )
    assert "postgres" in text
    assert not re.search(r"pass[ %+]?(20)?word/%|pass%20word%2F%25", text)
