"""What the page of a packed file shows: the runs, and their points as the page can draw them."""

from __future__ import annotations

import base64
import hashlib
import sys
import time
import zlib
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tracelet.store.goals import best_value
from tracelet.store.point_columns import plain_list

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord
    from tracelet.store.series import Series

_POINTS: Final = 2_000_000  # drawn by one page, over all series
_MOST: Final = 20_000  # points of a series
_LEAST: Final = 500
_ABOUT: Final = (
    *("id", "name", "project", "outcome", "error", "started_at", "duration", "host"),
    *("group", "parent", "job_type", "notes", "params", "tags"),
)


def describe_view(
    records: Sequence[RunRecord], title: str, tracelet: str, packed: set[tuple[str, str]]
) -> dict[str, Any]:
    """Return what the page shows. ``packed`` has the run and path of each file that is in it."""
    several = {record.id: record.series() for record in records}
    count = sum(map(len, several.values()))
    limit = max(_LEAST, min(_MOST, _POINTS // max(count, 1)))
    types = {series.name: series.type for each in several.values() for series in each}
    columns = _Columns()
    return {
        "title": title,
        "tracelet": tracelet,
        "packed_at": time.time(),
        "metrics": [{"name": name, "type": types[name]} for name in sorted(types)],
        "params": list(dict.fromkeys(name for record in records for name in record.params)),
        "runs": [
            {
                **{key: getattr(record, key) for key in _ABOUT},
                "artifacts": [
                    {**file, "packed": (record.id, file["path"]) in packed}
                    for artifact in record.artifacts
                    for file in artifact["files"]
                ],
                "series": [_describe_series(record, series, limit, columns) for series in several[record.id]],
            }
            for record in records
        ],
        "columns": columns.packed,
    }


class _Columns:
    """The columns of all series, each once: metrics that were logged together have the same steps and times."""

    def __init__(self) -> None:
        self.packed: list[str] = []
        self._places: dict[bytes, int] = {}

    def add(self, column: Any) -> int:
        """Add a column of numbers, and return its place."""
        numbers = array("d", map(float, plain_list(column)))
        if sys.byteorder == "big":  # JavaScript's arrays are little-endian wherever browsers run
            numbers.byteswap()
        raw = numbers.tobytes()
        key = hashlib.sha256(raw).digest()
        if key not in self._places:
            self._places[key] = len(self.packed)
            self.packed.append(base64.b64encode(zlib.compress(raw, 6)).decode())
        return self._places[key]


def _describe_series(record: RunRecord, series: Series, limit: int, columns: _Columns) -> dict[str, Any]:
    thin = series.downsample(limit)
    return {
        "name": series.name,
        "type": series.type,
        "total": len(series),
        "shown": len(thin),
        **{key: series.summary[key] for key in ("last", "min", "max")},
        "best": best_value(series.summary, record.goal(series.name)),
        "steps": columns.add(thin.points.steps),
        "times": columns.add(thin.points.times),
        "values": columns.add(thin.points.values),
    }
