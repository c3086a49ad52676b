"""Tables that a program logged, drawn where they are small."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord

SUFFIX: Final = ".table.json"
ROWS: Final = 12  # more are not drawn, unless everything is wanted
COLUMNS: Final = 12  # likewise
BYTES: Final = 100_000  # a larger file is not looked into


class Logged(NamedTuple):
    """A logged table, at the latest step that it was logged at."""

    name: str
    step: int | None
    columns: list[str]
    rows: list[list[Any]]


def print_tables(screen: Screen, record: RunRecord, *, everything: bool = False) -> None:
    """Print the tables of a run that are small; of one that was logged at several steps, the last."""
    for table in _tables(record):
        if everything or (len(table.rows) <= ROWS and len(table.columns) <= COLUMNS):
            screen.blank()
            at = f" {screen.dot} step {table.step}" if table.step is not None else ""
            screen.line((table.name, "bold"), (at, "dim"))
            screen.table(table.columns, _cells(screen, table), right=_numbers(table), indent=2)


def _tables(record: RunRecord) -> Iterator[Logged]:
    latest = {one["name"]: one for one in record.artifacts if str(one.get("path")).endswith(SUFFIX)}
    for name, artifact in latest.items():
        try:
            file = record.dir / artifact["path"]
            told = json.loads(file.read_bytes()) if file.stat().st_size <= BYTES else {}
            columns, rows = [str(column) for column in told["columns"]], [list(row) for row in told["rows"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # too large, gone, or no table: it is among the artifacts all the same
        if columns and rows and all(len(row) == len(columns) for row in rows):
            yield Logged(name, artifact.get("step"), columns, rows)


def _cells(screen: Screen, table: Logged) -> Iterator[list[str]]:
    from tracelet.cli.views.numbers import number
    from tracelet.cli.views.summary import value_text

    for row in table.rows:
        texts = [number(cell) if isinstance(cell, float) else value_text(cell) for cell in row]
        yield [screen.dash if cell is None else text for cell, text in zip(row, texts, strict=True)]


def _numbers(table: Logged) -> list[str]:
    """Return the columns of numbers."""
    kinds = zip(table.columns, zip(*table.rows, strict=True), strict=True)
    return [name for name, cells in kinds if all(isinstance(cell, (int, float)) for cell in cells)]
