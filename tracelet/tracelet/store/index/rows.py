"""Accounts as rows of the index, and back."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final, NamedTuple, cast

from tracelet.store.details import Details
from tracelet.store.history import History
from tracelet.store.index.following import Account, Follow
from tracelet.store.outcome import KILLED, RUNNING, LastSeen
from tracelet.store.reading import Files
from tracelet.store.tally import STATISTICS, Summary, Tally, combine

DETAILS: Final = "id, name, project, started, ended, outcome, error, host, params, tags, problem"
_FLOATS: Final = frozenset({"last", "min", "max", "mean", "first_time", "last_time"})
_AT_ONCE: Final = 500  # runs in one query: older SQLite takes at most 999 values
_SUMMARY: Final = (*STATISTICS, "type", "source")


class Known(NamedTuple):
    """What the index has of a run without its account: enough to tell whether to look."""

    number: int
    looks: int
    problem: str | None
    settled: int
    doubtful: int


def known_runs(connection: sqlite3.Connection) -> dict[str, Known]:
    """Return what the index has, by run id."""
    rows = connection.execute("SELECT id, number, looks, problem, settled, doubtful FROM runs")
    return {row[0]: Known(*row[1:]) for row in rows}


@contextmanager
def _expecting_sound_rows() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise sqlite3.DatabaseError(f"a row makes no sense: {error!r}") from error


@_expecting_sound_rows()
def read_account(connection: sqlite3.Connection, known: Known) -> Account:
    """Return the account of a run as it was kept."""
    row = connection.execute("SELECT seen, history FROM runs WHERE number = ?", (known.number,)).fetchone()
    seen, history = (json.loads(text) for text in row)
    follows = {
        writer: Follow(LastSeen(*one["sign"]), one["files"], one["cursor"])
        for writer, one in seen["writers"].items()
    }
    account = Account(seen["changed"], History.from_json(history), follows, is_new=False)
    for name, tallies in connection.execute(
        "SELECT name, tallies FROM metrics WHERE run = ?", (known.number,)
    ):
        account.tallies[name] = {id: Tally.from_json(values) for id, values in json.loads(tallies).items()}
    return account


def known_files(connection: sqlite3.Connection, known: Known) -> dict[str, Files]:
    """Return what the files of a run's processes were like at the last look."""
    row = connection.execute("SELECT seen FROM runs WHERE number = ?", (known.number,)).fetchone()
    return {writer: one["files"] for writer, one in json.loads(row[0])["writers"].items()}


def seen_of(account: Account) -> str:
    """Return how far an account has come, as JSON."""
    writers = {id: asdict(follow) for id, follow in account.follows.items()}
    return json.dumps({"changed": account.folder_changed, "writers": writers}, sort_keys=True)


def write_run(
    connection: sqlite3.Connection, details: Details, account: Account, known: Known | None
) -> bool:
    """Write a run, unless somebody else has since it was read. Returns whether it was written."""
    row = connection.execute("SELECT number, looks FROM runs WHERE id = ?", (details.id,)).fetchone()
    if row != (None if known is None else (known.number, known.looks)):
        return False
    params, tags = json.dumps(details.params), json.dumps(details.tags)
    said = [_clean(value) for value in details[:8]]
    states = {follow.sign.state for follow in account.follows.values()}
    settled = account.folder_changed if states and RUNNING not in states else 0
    kept = (settled, KILLED in states, seen_of(account), json.dumps(account.history.to_json()))
    values = (*said, params, tags, _clean(details.problem), *kept)
    if known is None:
        number = _insert(connection, values)
    else:
        number = known.number
        _update(connection, number, values)
    _write_pairs(connection, "params", number, details.params)
    _write_pairs(connection, "tags", number, details.tags)
    _write_metrics(connection, number, account)
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
    rows = [(number, _clean(key), *sides(value)) for key, value in flat(values)]
    connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", rows)


def _write_metrics(connection: sqlite3.Connection, number: int, account: Account) -> None:
    if account.is_new:
        connection.execute("DELETE FROM metrics WHERE run = ?", (number,))
    gone = [name for name in account.touched if not account.tallies.get(name)]
    connection.executemany(
        "DELETE FROM metrics WHERE run = ? AND name = ?", [(number, name) for name in gone]
    )
    rows = [
        (
            number,
            _clean(name),
            *combine(by_writer[id] for id in sorted(by_writer)).values(),
            _tallies(by_writer),
        )
        for name in sorted(account.touched)
        if (by_writer := account.tallies.get(name))
    ]
    marks = ", ".join("?" * (len(_SUMMARY) + 3))
    columns = ", ".join(("run", "name", *_SUMMARY, "tallies"))
    connection.executemany(f"INSERT OR REPLACE INTO metrics ({columns}) VALUES ({marks})", rows)


def _clean(value: Any) -> Any:
    """Return a text as UTF-8 can hold it: lone surrogates, which JSON lets through, become question marks."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _tallies(by_writer: Mapping[str, Tally]) -> str:
    return json.dumps({id: by_writer[id].to_json() for id in sorted(by_writer)})


@_expecting_sound_rows()
def details_of_row(row: tuple[Any, ...]) -> Details:
    """Return details from the columns named in ``DETAILS``."""
    return Details._make((*row[:8], json.loads(row[8]), json.loads(row[9]), row[10]))


def read_summaries(connection: sqlite3.Connection, ids: Sequence[str]) -> Iterator[tuple[str, str, Summary]]:
    """Yield run id, metric and summary of all metrics of some runs."""
    columns = ", ".join(f"metrics.{column}" for column in _SUMMARY)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = connection.execute(
            f"SELECT runs.id, metrics.name, {columns} FROM metrics JOIN runs ON runs.number = metrics.run"
            f" WHERE runs.id IN ({', '.join('?' * len(some))}) ORDER BY metrics.run, metrics.name",
            some,
        )
        for row in rows:
            yield row[0], row[1], _summary(row[2:])


def _summary(row: tuple[Any, ...]) -> Summary:
    values = dict(zip(_SUMMARY, row, strict=True))
    for name in _FLOATS:
        if values[name] is None:
            values[name] = math.nan
    return cast(Summary, values)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of a nested mapping under its whole name, with ``/`` between the parts."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def sides(value: Any) -> tuple[float | int | None, str | None]:
    """Return a value as a number (if it is one or reads like one) and as text, for comparing with either."""
    if value is None:
        return None, None
    if isinstance(value, str):
        return _number(value), _clean(value)
    text = json.dumps(value, default=str)
    if isinstance(value, bool | int | float):
        return _fitting(value), text
    return None, text


def _number(text: str) -> float | int | None:
    try:
        return _fitting(int(text))
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _fitting(value: float) -> float | int:
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return float(value) if abs(value) < 1 << 1023 else math.copysign(math.inf, value)
    return value
