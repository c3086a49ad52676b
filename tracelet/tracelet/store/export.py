"""Runs in the formats of others: JSON, JSON lines, CSV.

JSON has no NaN and no infinities. They are written as the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` (as
Protocol Buffers do in their JSON mapping), so that every reader takes the file and nothing is lost. Floats
are written with as many digits as it takes to get the same float back.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from tracelet.store.record import RunRecord

CSV_COLUMNS = ("metric", "iteration", "value", "timestamp", "rank")


def json_ready(value: Any) -> Any:
    """Return a value that strict JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    return value


def write_json(run: RunRecord, file: TextIO, names: str | Iterable[str] | None = "*") -> None:
    """Write a run as one JSON object, as :meth:`RunRecord.to_dict` gives it."""
    json.dump(json_ready(run.to_dict(names)), file, indent=2, allow_nan=False, default=str)
    file.write("\n")


def write_json_lines(run: RunRecord, file: TextIO, names: str | Iterable[str] | None = "*") -> None:
    """Write a run as JSON lines: one ``{"run": ...}``, then one per point."""
    dump = json.JSONEncoder(allow_nan=False, default=str).encode
    about = run.to_dict(None)
    del about["metrics"]
    file.write(dump({"run": json_ready(about)}) + "\n")
    for row in _rows(run, names):
        point = dict(zip(CSV_COLUMNS, row, strict=True))
        point["value"] = json_ready(point["value"])
        if point["rank"] is None:
            del point["rank"]
        file.write(dump(point) + "\n")


def write_csv(run: RunRecord, file: TextIO, names: str | Iterable[str] | None = "*") -> None:
    """Write the points of a run as CSV with a line of names, and a line feed at the end of each."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(_rows(run, names))


def _rows(run: RunRecord, names: str | Iterable[str] | None) -> Iterable[tuple[Any, ...]]:
    for series in run.series(names) if names is not None else ():
        table = series.table()
        ranks = table["rank"].tolist() if "rank" in table else [None] * len(series)
        for step, value, when, rank in zip(
            series.iterations, series.values, series.timestamps, ranks, strict=True
        ):
            yield series.name, step, value, when, None if rank == -1 else rank
