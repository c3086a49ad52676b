"""Indexed runs as rows of the index, and back."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final, cast

from tracelet.store.accumulator import STATISTICS, MetricAccumulator, Summary, summarize
from tracelet.store.details import Details
from tracelet.store.event_values import clean_text
from tracelet.store.history import History
from tracelet.store.index.run_updates import BySource, IndexedRun, KnownRun, WriterProgress
from tracelet.store.journal_access import Files
from tracelet.store.metric_keys import metric_keys
from tracelet.store.outcome import KILLED, RUNNING, LastSeen

DETAILS: Final = (
    'id, name, project, started, ended, outcome, error, host, "group", parent, job_type, notes, params, tags,'
    " archived, goals, problem, active, running_since, exact"
)
_FLOATS: Final = frozenset({"last", "min", "max", "mean", "first_time", "last_time"})
_TEXTS: Final = 12  # of the details' fields: those that come first, which UTF-8 may be unable to hold
_AT_ONCE: Final = 500  # runs in one query: older SQLite takes at most 999 values
_SUMMARY: Final = (*STATISTICS, "type", "source")


def load_known_runs(connection: sqlite3.Connection, ids: Sequence[str] | None = None) -> dict[str, KnownRun]:
    """Return what the index has, by run id: of all runs, or of a few."""
    sql = "SELECT id, number, looks, problem, settled, doubtful FROM runs"
    if ids is not None and len(ids) <= _AT_ONCE:
        rows = connection.execute(f"{sql} WHERE id IN ({', '.join('?' * len(ids))})", ids)
    else:
        rows = connection.execute(sql)
    return {row[0]: KnownRun(*row[1:]) for row in rows}


@contextmanager
def _expecting_valid_rows() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise sqlite3.DatabaseError(f"a row is invalid: {error!r}") from error


@_expecting_valid_rows()
def load_run(connection: sqlite3.Connection, known: KnownRun) -> IndexedRun:
    """Return a run as the index has it."""
    row = connection.execute("SELECT seen, history FROM runs WHERE number = ?", (known.number,)).fetchone()
    seen, history = (json.loads(text) for text in row)
    writers = {
        writer: WriterProgress(LastSeen(*one["last_seen"]), one["files"], one["cursor"])
        for writer, one in seen["writers"].items()
    }
    run = IndexedRun(seen["changed"], History.from_json(history), writers, is_new=False)
    for name, source, accumulators in connection.execute(
        "SELECT recorded, source, accumulators FROM metrics WHERE run = ?", (known.number,)
    ):
        by_writer = {
            id: MetricAccumulator.from_json(values) for id, values in json.loads(accumulators).items()
        }
        run.metrics.setdefault(json.loads(name), {})[source] = by_writer
    return run


def load_files(connection: sqlite3.Connection, known: KnownRun) -> dict[str, Files]:
    """Return the state of the files of a run's processes at the last look."""
    row = connection.execute("SELECT seen FROM runs WHERE number = ?", (known.number,)).fetchone()
    return {writer: one["files"] for writer, one in json.loads(row[0])["writers"].items()}


@_expecting_valid_rows()
def load_history(connection: sqlite3.Connection, id: str, files: dict[str, Files]) -> History | None:
    """Return what the events of a run without problems add up to, if these are its files and none is being written."""
    known = load_known_runs(connection, [id]).get(id)
    if (
        known is None
        or not known.settled
        or known.problem is not None
        or load_files(connection, known) != files
    ):
        return None
    row = connection.execute("SELECT history FROM runs WHERE number = ?", (known.number,)).fetchone()
    return History.from_json(json.loads(row[0]))


def _dump_progress(run: IndexedRun) -> str:
    """Return how far a run has been read, as JSON."""
    writers = {id: asdict(progress) for id, progress in run.writers.items()}
    return json.dumps({"changed": run.folder_changed, "writers": writers}, sort_keys=True)


def write_run(
    connection: sqlite3.Connection, details: Details, run: IndexedRun, known: KnownRun | None
) -> bool:
    """Write a run, unless another reader has since it was read. Return whether it was written."""
    row = connection.execute("SELECT number, looks FROM runs WHERE id = ?", (details.id,)).fetchone()
    if row != (None if known is None else (known.number, known.looks)):
        return False
    given = details[:_TEXTS]
    texts = [clean_text(value) if isinstance(value, str) else value for value in given]
    exact = None if texts == list(given) else json.dumps(given)
    states = {progress.last_seen.state for progress in run.writers.values()}
    settled = run.folder_changed if states and RUNNING not in states else 0
    values = (
        *texts,
        json.dumps(details.params),
        json.dumps(details.tags),
        details.archived,
        json.dumps(details.goals),
        clean_text(details.problem) if details.problem is not None else None,
        details.active,
        details.running_since,
        exact,
        settled,
        KILLED in states,
        _dump_progress(run),
        json.dumps(run.history.to_json()),
    )
    if known is None:
        number = _insert(connection, values)
    else:
        number = known.number
        _update(connection, number, values)
    _write_pairs(connection, "params", number, details.params)
    _write_pairs(connection, "tags", number, details.tags)
    _write_goals(connection, number, details.goals)
    _write_metrics(connection, number, run)
    return True


_COLUMNS: Final = (*DETAILS.split(", "), "settled", "doubtful", "seen", "history")


def _insert(connection: sqlite3.Connection, values: tuple[Any, ...]) -> int:
    marks = ", ".join("?" * len(_COLUMNS))
    sql = f"INSERT INTO runs ({', '.join(_COLUMNS)}, looks) VALUES ({marks}, 1)"
    return int(connection.execute(sql, values).lastrowid or 0)


def _update(connection: sqlite3.Connection, number: int, values: tuple[Any, ...]) -> None:
    settings = ", ".join(f"{column} = ?" for column in _COLUMNS)
    connection.execute(f"UPDATE runs SET {settings}, looks = looks + 1 WHERE number = ?", (*values, number))


def _write_pairs(connection: sqlite3.Connection, table: str, number: int, values: Mapping[str, Any]) -> None:
    connection.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
    rows = [(number, clean_text(key), *_comparable(value)) for key, value in flatten(values)]
    connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", rows)


def _write_goals(connection: sqlite3.Connection, number: int, goals: Mapping[str, str]) -> None:
    connection.execute("DELETE FROM goals WHERE run = ?", (number,))
    rows = [(number, place, clean_text(name), goal) for place, (name, goal) in enumerate(goals.items())]
    connection.executemany("INSERT INTO goals VALUES (?, ?, ?, ?)", rows)


def _write_metrics(connection: sqlite3.Connection, number: int, run: IndexedRun) -> None:
    if run.is_new:
        connection.execute("DELETE FROM metrics WHERE run = ?", (number,))
    rows: list[tuple[Any, ...]] = []
    stale: list[tuple[int, str]] = []
    for name in sorted(run.changed):
        by_source = {source: each for source, each in run.metrics.get(name, {}).items() if each}
        keys = metric_keys(name, by_source)
        possible = {name, *(f"{name}@{source}" for source in run.metrics.get(name, {}) if source is not None)}
        stale += [(number, clean_text(key)) for key in possible.difference(keys.values())]
        recorded = json.dumps(name)
        rows += [
            (number, clean_text(key), recorded, *_metric_row(by_source, source))
            for source, key in keys.items()
        ]
    if not run.is_new:
        connection.executemany("DELETE FROM metrics WHERE run = ? AND name = ?", stale)
    marks = ", ".join("?" * (len(_SUMMARY) + 4))
    columns = ", ".join(("run", "name", "recorded", *_SUMMARY, "accumulators"))
    connection.executemany(f"INSERT OR REPLACE INTO metrics ({columns}) VALUES ({marks})", rows)


def _metric_row(by_source: BySource, source: str | None) -> tuple[Any, ...]:
    by_writer = by_source[source]
    writers = sorted(by_writer)
    values = summarize(by_writer[id] for id in writers).values()
    return (*values, json.dumps({id: by_writer[id].to_json() for id in writers}))


@_expecting_valid_rows()
def load_details(row: tuple[Any, ...]) -> Details:
    """Return details from the columns named in ``DETAILS``."""
    *plain, exact = row
    texts = plain[:_TEXTS] if exact is None else json.loads(exact)
    params, tags, archived, goals, *rest = plain[_TEXTS:]
    values = json.loads(params), json.loads(tags), bool(archived), json.loads(goals)
    return Details._make((*texts, *values, *rest))


def read_summaries(connection: sqlite3.Connection, ids: Sequence[str]) -> Iterator[tuple[str, str, Summary]]:
    """Yield run id, metric and summary of all metrics of some runs."""
    columns = ", ".join(f"metrics.{column}" for column in _SUMMARY)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = connection.execute(
            f"SELECT runs.id, metrics.name, metrics.recorded, {columns}"
            " FROM metrics JOIN runs ON runs.number = metrics.run"
            f" WHERE runs.id IN ({', '.join('?' * len(some))}) ORDER BY metrics.run, metrics.name",
            some,
        )
        for row in rows:
            yield row[0], _exact_key(row[1], row[2], row[-1]), _summary(row[3:])


def _exact_key(key: str, recorded: str, source: str | None) -> str:
    """Return the key of a metric, of which the index may have only what UTF-8 can hold."""
    if key.isascii() and "\\" not in key:
        return key
    name = json.loads(recorded)
    return name if key == clean_text(name) else f"{name}@{source}"


def _summary(row: tuple[Any, ...]) -> Summary:
    values = dict(zip(_SUMMARY, row, strict=True))
    for name in _FLOATS:
        if values[name] is None:
            values[name] = math.nan
    return cast(Summary, values)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of a nested mapping under its full name, with ``/`` between the parts."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def _comparable(value: Any) -> tuple[float | int | None, str | None]:
    """Return a value as a number (if it is one or reads like one) and as text, to compare with either."""
    if value is None:
        return None, None
    if isinstance(value, str):
        return _parse_number(value), clean_text(value)
    text = json.dumps(value, default=str)
    if isinstance(value, bool | int | float):
        return _fit_integer(value), text
    return None, text


def _parse_number(text: str) -> float | int | None:
    try:
        return _fit_integer(int(text))
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _fit_integer(value: float) -> float | int:
    """Return a number that SQLite can hold: integers of more than 64 bits become floats."""
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return float(value) if abs(value) < 1 << 1023 else math.copysign(math.inf, value)
    return value
