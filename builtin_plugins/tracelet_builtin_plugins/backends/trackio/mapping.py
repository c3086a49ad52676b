"""What Trackio cannot hold, and what becomes of it: pure functions. ``docs/plugins/trackio.md`` has the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Final, NamedTuple

from tracelet_builtin_plugins.naming import fit_name
from tracelet_hookspecs import MetricData, MetricType
from tracelet_hookspecs.strict_json import to_json

__all__ = [
    "MAPPING",
    "OWN_KEY",
    "Row",
    "artifact_name",
    "config_value",
    "fewer_bins",
    "folder_of",
    "indexes_of",
    "iso_time",
    "log_id",
    "metric_key",
    "param_key",
    "project_name",
    "rows_of",
    "without",
]

MAPPING: Final = {
    "metrics of collectors": "system metrics, which have times but no steps",
    "metrics named project, run, timestamp, step, time, metrics, or __...": "__NAME, as Trackio's own client does",
    "names that are not valid Unicode, or empty": "replaced characters, with a hash at the end",
    "NaN and infinities": "kept; in parameters, the texts NaN, Infinity and -Infinity are read as numbers",
    "a missing step": "0",
    "projects with other characters than letters, digits, - and _": "replaced, with a hash at the end",
    "parameters": "the run's config; names that begin with _ are changed",
    "tags, notes, outcome": "the key tracelet of the run's config",
    "histograms with more than 512 bins": "neighboring bins are added up",
    "artifacts": "artifacts; other characters than letters, digits, ., - and _ are replaced in names, with a hash",
    "other media": "artifacts of type media",
}

#: The key of a run's config for what Trackio has no place for.
OWN_KEY: Final = "tracelet"
#: Names of metrics that Trackio uses itself.
RESERVED: Final = frozenset({"project", "run", "timestamp", "step", "time", "metrics"})
LARGEST_PROJECT: Final = 100
LARGEST_ARTIFACT: Final = 120
LARGEST_HISTOGRAM: Final = 512
_LARGEST_INT: Final = 1 << 63

_NOT_UTF8: Final = re.compile("[\ud800-\udfff]")
_NOT_IN_PROJECT: Final = re.compile(
    r"[^\w-]|^registry-|_(?=(?:system|configs|traces|artifacts|artifact_versions|artifact_aliases|"
    r"run_artifact_links|external_run_artifact_links)$)"
)
_NOT_IN_PARAM: Final = re.compile(f"^_|^{OWN_KEY}$|[\ud800-\udfff]")
_NOT_IN_ARTIFACT: Final = re.compile(r"[^A-Za-z0-9._-]")
_NOT_IN_FOLDER: Final = re.compile(r"[^\w-]", re.ASCII)


def project_name(name: str) -> str:
    """Return a project's name. Trackio would drop other characters, and two projects could become one."""
    return fit_name(name or "default", refused=_NOT_IN_PROJECT, limit=LARGEST_PROJECT, replacement="-")


@lru_cache(maxsize=4096)
def metric_key(name: str) -> str:
    """Return the key of a metric or a medium in a row."""
    key = fit_name(name, refused=_NOT_UTF8, limit=max(len(name), 1))
    return f"__{key}" if key in RESERVED or key.startswith("__") else key


def param_key(name: str) -> str:
    """Return the key of a parameter in the config, where Trackio reserves names that begin with ``_``."""
    limit = max(len(name), 1)
    return fit_name(name, refused=_NOT_IN_PARAM, limit=limit, replacement="-", separator="-")


def artifact_name(path: str) -> str:
    """Return an artifact's name."""
    return fit_name(path, refused=_NOT_IN_ARTIFACT, limit=LARGEST_ARTIFACT)


def folder_of(run_id: str) -> str:
    """Return the name of the folder for a run's media."""
    return fit_name(run_id, refused=_NOT_IN_FOLDER, limit=LARGEST_PROJECT)


def config_value(value: Any) -> Any:
    """Return a value that JSON with 64-bit whole numbers can hold."""
    value = to_json(value)
    if isinstance(value, str):
        return _NOT_UTF8.sub("\ufffd", value)
    if isinstance(value, int) and not -_LARGEST_INT <= value < _LARGEST_INT:
        return str(value)
    if isinstance(value, list):
        return [config_value(each) for each in value]
    if isinstance(value, dict):
        return {_NOT_UTF8.sub("\ufffd", key): config_value(each) for key, each in value.items()}
    return value


def iso_time(seconds: float) -> str:
    """Return a time as Trackio stores it."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds")


def fewer_bins(edges: Sequence[float], counts: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return a histogram with at most as many bins as Trackio's own."""
    width = -(-len(counts) // LARGEST_HISTOGRAM) or 1
    starts = range(0, len(counts), width)
    return [*(edges[at] for at in starts), edges[-1]], [sum(counts[at : at + width]) for at in starts]


class Row(NamedTuple):
    """A row: what one call of the program recorded, whole."""

    writer: str
    sequence: int
    values: dict[int, tuple[str, float]]  # key and value, by the index in the record
    step: int | None
    timestamp: float
    is_system: bool

    def metrics(self) -> dict[str, float]:
        """Return the values by key."""
        return dict(self.values.values())


def rows_of(points: Iterable[MetricData]) -> list[Row]:
    """Group the points that were recorded by one call."""
    rows: list[Row] = []
    last: Any = None
    for point in points:
        writer, sequence, index = point.id or ("", len(rows), -1)
        is_system = point.type is MetricType.SYSTEM
        if (key := (writer, sequence, is_system)) != last or index < 0:
            rows.append(Row(writer, sequence, {}, point.iteration, point.timestamp or 0.0, is_system))
        last = key
        rows[-1].values[index] = metric_key(point.name), float(point.value)
    return rows


def log_id(row: Row) -> str | None:
    """Return the id by which Trackio recognizes a repeated row: writer, sequence, and the indexes in the record."""
    if -1 in row.values:
        return None
    if len(row.values) == 1:
        (only,) = row.values
        return f"{row.writer}:{row.sequence:016d}:{only}-{only}"
    parts: list[list[int]] = []
    for index in sorted(row.values):
        if parts and parts[-1][1] == index - 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    shown = ",".join(f"{first}-{last}" for first, last in parts)
    return f"{row.writer}:{row.sequence:016d}:{shown}"


def indexes_of(ids: Iterable[str]) -> dict[tuple[str, int], set[int]]:
    """Return the indexes that ids made by :func:`log_id` name, by writer and sequence."""
    found: dict[tuple[str, int], set[int]] = {}
    for each in ids:
        writer, sequence, parts = each.rsplit(":", 2)
        known = found.setdefault((writer, int(sequence)), set())
        for part in parts.split(","):
            first, last = part.split("-")
            known.update(range(int(first), int(last) + 1))
    return found


def without(rows: Iterable[Row], known: Mapping[tuple[str, int], set[int]]) -> list[Row]:
    """Return rows without the values that are stored already, from a batch that was cut elsewhere."""
    if not known:
        return list(rows)
    fresh = []
    for row in rows:
        stored = known.get((row.writer, row.sequence))
        values = {at: value for at, value in row.values.items() if not stored or at not in stored}
        if values:
            fresh.append(row._replace(values=values))
    return fresh
