"""What the page of a packed file shows: the runs, and their points as the page can draw them."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time
import zlib
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tracelet.layout import media_kind
from tracelet.store.goals import best_value
from tracelet.store.point_columns import Points, plain_list
from tracelet.store.rewinds import describe_ghost, split_rewinds
from tracelet_hookspecs.strict_json import to_json

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord
    from tracelet.store.series import Series

_POINTS: Final = 2_000_000  # drawn by one page, over all series
_MOST: Final = 20_000  # points of a series
_LEAST: Final = 500
_EXACT: Final = 1 << 53  # up to here, a float holds every integer
_ABOUT: Final = (
    *("id", "name", "project", "outcome", "error", "started_at", "duration", "host"),
    *("group", "parent", "job_type", "notes"),
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
                "params": _as_texts(record.params),
                "tags": _as_texts(record.tags),
                "media": [_describe_media(one) for one in record.artifacts if one.get("media")],
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


def _as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as texts: JavaScript's numbers would round integers beyond 2**53."""
    return {name: value if isinstance(value, str) else _as_text(value) for name, value in values.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    return json.dumps(to_json(value), ensure_ascii=False)


def _describe_media(artifact: Mapping[str, Any]) -> dict[str, Any]:
    path, step = str(artifact.get("path")), artifact.get("step")
    return {
        "name": str(artifact.get("name")),
        "kind": media_kind(str(artifact.get("media")), path),
        "path": path,
        "step": None if step is None else str(step),
    }


class _Columns:
    """The columns of all series, each once: metrics that were logged together have the same steps and times."""

    def __init__(self) -> None:
        self.packed: list[str] = []
        self._places: dict[bytes, int] = {}

    def add(self, column: Any) -> int:
        """Add a column of numbers, and return its place."""
        return self._add(array("d", map(float, plain_list(column))))

    def add_exactly(self, steps: Any) -> int | None:
        """Add a column of steps as integers and return its place, if as floats some would be rounded."""
        whole = plain_list(steps)
        return self._add(array("q", whole)) if any(abs(step) > _EXACT for step in whole) else None

    def _add(self, numbers: array[Any]) -> int:
        if sys.byteorder == "big":  # JavaScript's arrays are little-endian wherever browsers run
            numbers.byteswap()
        raw = numbers.tobytes()
        key = hashlib.sha256(raw).digest()
        if key not in self._places:
            self._places[key] = len(self.packed)
            self.packed.append(base64.b64encode(zlib.compress(raw, 6)).decode())
        return self._places[key]


def _describe_series(record: RunRecord, series: Series, limit: int, columns: _Columns) -> dict[str, Any]:
    effective, ghosts = split_rewinds(series)
    thin = effective.downsample(limit)
    return {
        "name": series.name,
        "type": series.type,
        "total": len(effective),
        "shown": len(thin),
        **{key: series.summary[key] for key in ("last", "min", "max")},
        "best": best_value(series.summary, record.goal(series.name)),
        **_add_points(thin.points, columns),
        "ghosts": [
            {"note": describe_ghost(ghost), **_add_points(ghost.series.downsample(limit).points, columns)}
            for ghost in ghosts
        ],
    }


def _add_points(points: Points, columns: _Columns) -> dict[str, int | None]:
    return {
        "steps": columns.add(points.steps),
        "times": columns.add(points.times),
        "values": columns.add(points.values),
        "exact_steps": columns.add_exactly(points.steps),
    }
