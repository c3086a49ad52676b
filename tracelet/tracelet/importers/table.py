"""Tables as text: comma-separated values, one row per step (wide) or one row per point (long)."""

from __future__ import annotations

import csv
import math
import os
import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from tracelet.errors import UsageError
from tracelet_hookspecs import ImportedPoints, ImportedRun

#: Names of columns, in the order of preference.
STEPS: Final = ("step", "_step", "global_step", "trainer/global_step", "iteration", "iter", "epoch")
TIMES: Final = ("timestamp", "wall_time", "wall time", "walltime", "_timestamp", "time", "date")
NAMES: Final = ("metric", "name", "tag", "key")
RUNS: Final = ("run", "run_id", "run_name")
VALUE: Final = "value"

_SUFFIXES: Final = (".csv", ".tsv")
_COMMON: Final = ("metrics", "log", "logs", "progress", "results", "history", "scalars")
_ROWS: Final = 50_000  # rows of one part
_MOST_FILES: Final = 10_000  # in a folder
_LONGEST_LINE: Final = 1 << 20  # characters of the header
_SETTLED: Final = 5.0  # seconds since the last change after which a last line without an end counts as whole
_WHOLE: Final = re.compile(r"[+-]?\d+")
_EXACT: Final = 1 << 53  # up to here, a float64 holds every whole number
_LONGEST_WHOLE: Final = 309  # digits: more than that is infinite
ROUNDED: Final = "whole numbers beyond 2**53, rounded"
NOT_NUMBERS: Final = "cells that are not numbers"
BAD_STEPS: Final = "rows without a whole number as the step"
CUT: Final = "rows that are cut off"


class Layout(NamedTuple):
    """Where a table has what: places of columns."""

    step: int
    time: int | None
    metrics: dict[int, str]  # of a wide table
    name: int | None = None  # of a long one
    value: int | None = None
    run: int | None = None


def read_table(source: str, *, asked: bool = False) -> Iterator[ImportedRun | None] | None:
    """Return the runs of a file, or of each file in a folder if the format was asked for; else ``None``."""
    path = Path(source)
    if path.is_file() and (asked or path.suffix.lower() in _SUFFIXES):
        return _read_file(path)
    if asked and path.is_dir():
        found = sorted(file for suffix in _SUFFIXES for file in path.rglob(f"*{suffix}"))[:_MOST_FILES]
        files = [file for file in found if file.is_file() and not file.is_symlink()]
        return (part for file in files for part in _read_file(file))
    return None


def _read_file(path: Path) -> Iterator[ImportedRun | None]:
    state = path.stat()
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        head = file.readline(_LONGEST_LINE)
        delimiter = max(",;\t|", key=head.count)
        file.seek(0)
        rows = _Rows(file, delimiter, is_settled=time.time() - state.st_mtime > _SETTLED)
        header = next(iter(rows), [])
        layout = find_layout(header, path)
        yield from _read_rows(path, state.st_mtime, rows, layout)


class _Rows:
    """The rows of a file, without a last one that is still being written."""

    def __init__(self, file: TextIO, delimiter: str, *, is_settled: bool) -> None:
        self._reader = csv.reader(self._lines(file), delimiter=delimiter)
        self.delimiter = delimiter
        self._is_settled = is_settled
        self.cut = 0

    def _lines(self, file: TextIO) -> Iterator[str]:
        for line in file:
            if not line.endswith(("\n", "\r")) and not self._is_settled:
                self.cut += 1
                return
            yield line.replace("\0", "")

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            try:
                yield next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                self.cut += 1


def find_layout(header: list[str], path: Path) -> Layout:
    """Return the layout of a table, by the names of its columns.

    Raises:
        UsageError: they do not say which column is what, or say it twice.
    """
    names = [name.strip().lower() for name in header]
    where = f"import: {path}"
    if not any(names):
        raise UsageError(f"{where}: expected a first row with the names of the columns, found an empty one")
    if all(_number(name) is not None for name in names if name):
        raise UsageError(f"{where}: expected a first row with the names of the columns, found numbers")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UsageError(f"{where}: expected columns with different names, found {', '.join(twice)} twice")
    step, when = _first(names, STEPS), _first(names, TIMES)
    if step is None:
        raise UsageError(
            f"{where}: expected a column with the step ({', '.join(STEPS)}), found {_listed(header)}; rename one"
        )
    name, value, run = _first(names, NAMES), _first(names, (VALUE,)), _first(names, RUNS)
    if name is not None and value is not None:
        known = {
            step,
            when,
            name,
            value,
            run,
            *_all(names, (*STEPS, *TIMES, *RUNS, "type", "source", "rank")),
        }
        rest = [header[at] for at in range(len(names)) if at not in known and names[at]]
        if rest:
            point = f"{header[name]}, {header[step]}, {header[value]}"
            raise UsageError(
                f"{where}: expected either a row per point ({point}) or a row per step with a column per metric, found"
                f" both: {_listed(rest)}; remove the columns that are no metrics, or rename them"
            )
        return Layout(step, when, {}, name, value, run)
    metrics = {
        at: header[at].strip() for at in range(len(names)) if names[at] and at not in (step, when, run)
    }
    if not metrics:
        raise UsageError(f"{where}: expected a column for each metric besides the step, found none")
    return Layout(step, when, metrics, run=run)


def _first(names: list[str], wanted: Iterable[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _all(names: list[str], wanted: Iterable[str]) -> set[int]:
    return {names.index(name) for name in wanted if name in names}


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


class _Part:
    """The points of one run that were read last."""

    def __init__(self) -> None:
        self.points: dict[str, tuple[list[int], list[float], list[float]]] = {}

    def add(self, name: str, step: int, value: float, when: float) -> None:
        columns = self.points.setdefault(name, ([], [], []))
        steps, values, times = columns
        steps.append(step)
        values.append(value)
        times.append(when)


def _read_rows(path: Path, changed_at: float, rows: _Rows, layout: Layout) -> Iterator[ImportedRun]:
    parts: dict[str, _Part] = {"": _Part()} if layout.run is None else {}
    damage: dict[str, int] = {}
    names: dict[int, bool] = dict.fromkeys(layout.metrics, False)  # whether a column has any number
    texts: dict[int, int] = {}
    for number, row in enumerate(rows, 1):
        if row:
            _read_row(row, rows.delimiter, layout, parts, damage, names, texts)
        if number % _ROWS == 0:
            yield from _as_runs(path, changed_at, layout, parts, damage)
            damage = {}
    cells = sum(count for at, count in texts.items() if names[at])  # columns of texts only are no metrics
    for reason, count in ((NOT_NUMBERS, cells), (CUT, rows.cut)):
        if count:
            damage[reason] = damage.get(reason, 0) + count
    yield from _as_runs(path, changed_at, layout, parts, damage)


def _read_row(
    row: list[str],
    delimiter: str,
    layout: Layout,
    parts: dict[str, _Part],
    damage: dict[str, int],
    names: dict[int, bool],
    texts: dict[int, int],
) -> None:
    cell = dict(enumerate(row)).get
    step = _step(cell(layout.step) or "")
    if step is None:
        damage[BAD_STEPS] = damage.get(BAD_STEPS, 0) + 1
        return
    when = _time(cell(layout.time) or "") if layout.time is not None else math.nan
    run = (cell(layout.run) or "") if layout.run is not None else ""
    part = parts.setdefault(run, _Part())
    if layout.name is not None and layout.value is not None:
        value = _number(cell(layout.value) or "", delimiter)
        if value is None or not (name := cell(layout.name)):
            damage[NOT_NUMBERS] = damage.get(NOT_NUMBERS, 0) + 1
        else:
            _count_rounded(cell(layout.value) or "", value, damage)
            part.add(name, step, value, when)
        return
    for at, name in layout.metrics.items():
        text = cell(at)
        if text is None or not text.strip():
            continue
        value = _number(text, delimiter)
        if value is None:
            texts[at] = texts.get(at, 0) + 1
        else:
            names[at] = True
            _count_rounded(text, value, damage)
            part.add(name, step, value, when)


def _as_runs(
    path: Path, changed_at: float, layout: Layout, parts: dict[str, _Part], damage: dict[str, int]
) -> Iterator[ImportedRun]:
    place = os.path.realpath(path)
    stem = f"{path.absolute().parent.name}/{path.stem}" if path.stem.lower() in _COMMON else path.stem
    for run, part in parts.items():
        points = [
            ImportedPoints(name, steps, values, times if layout.time is not None else ())
            for name, (steps, values, times) in part.points.items()
        ]
        part.points = {}
        yield ImportedRun(
            key=f"{place}#{run}" if layout.run is not None else place,
            name=run or stem,
            points=points,
            started_at=None if layout.time is not None else changed_at,
            facts={"file": place},
            damage=damage,
        )
        damage = {}


def _number(text: str, delimiter: str = ",") -> float | None:
    text = text.strip()
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    if delimiter != ",":
        try:
            return float(text.replace(",", "."))
        except ValueError:
            pass
    return None


def _count_rounded(text: str, value: float, damage: dict[str, int]) -> None:
    """Count a whole number that a float64 cannot hold."""
    if not abs(value) >= _EXACT or not _WHOLE.fullmatch(text.strip()):
        return
    if len(text) > _LONGEST_WHOLE or int(text) != int(value):
        damage[ROUNDED] = damage.get(ROUNDED, 0) + 1


def _step(text: str) -> int | None:
    text = text.strip()
    if _WHOLE.fullmatch(text):
        step = int(text) if len(text) < 30 else 1 << 64
    else:
        number = _number(text)
        if number is None or not math.isfinite(number) or number != int(number):
            return None
        step = int(number)
    return step if -(1 << 63) <= step < 1 << 63 else None


def _time(text: str) -> float:
    """Return seconds since the epoch, of a number or of a date as in ISO 8601 (in UTC, unless it says otherwise)."""
    number = _number(text)
    if number is not None:
        return number / 1000 if number > 1e11 else number  # milliseconds
    try:
        date = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return math.nan
    return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
