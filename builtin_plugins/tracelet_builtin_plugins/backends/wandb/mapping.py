"""What W&B can hold, and how everything else is mapped. Pure rules: no I/O, and no wandb."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tracelet_builtin_plugins.naming import MARK_LENGTH, fit_name, mark_of
from tracelet_hookspecs import MetricData

__all__ = [
    "MAPPING",
    "STEP",
    "artifact_name",
    "config_key",
    "exit_code",
    "file_name",
    "metric_name",
    "project_name",
    "row_of",
    "rows_of",
    "run_id",
    "tag_text",
    "text",
]

STEP: Final = "step"  # the metric that all others are drawn over
TIME: Final = "_timestamp"
NAME_LIMIT: Final = 2000
ARTIFACT_LIMIT: Final = 128
RUN_ID_LIMIT: Final = 64
TAG_LIMIT: Final = 64

MAPPING: Final[Mapping[str, str]] = {
    "steps": "a metric 'step' of each row, over which all others are drawn; so they may come in any order",
    "a missing step": "a row without 'step'",
    "rows": "one row for each record: the points of one log() call",
    "timestamps": "_timestamp, of the journal",
    "the name 'step' and names with '_' in front, W&B's own": "an 'x' in front, and a hash at the end",
    "control characters and unpaired surrogates in names": "'x', with a hash at the end",
    "NaN and infinities": "kept",
    "tags": "run.tags: 'key' for a tag without value, else 'key: value', cut at 64 characters; config.tags has all",
    "parameters": "config; a later value replaces an earlier one",
    "artifacts": "W&B artifacts; characters other than letters, digits and _.- in their name become '_'",
    "histograms of more than 512 bins": "neighbouring bins are added up",
}

_REFUSED: Final = re.compile("^(?=_|step$|$)|[\x00-\x1f\x7f\ud800-\udfff]")
_REFUSED_KEY: Final = re.compile("^(?=_|tracelet$|tags$|$)|[\x00-\x1f\x7f\ud800-\udfff]")
_REFUSED_ARTIFACT: Final = re.compile(r"[^a-zA-Z0-9_.\-]")
_REFUSED_FILE: Final = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udfff]|^\\.{1,2}$")
_REFUSED_PROJECT: Final = re.compile("[/\\\\#?%:\x00-\x1f]")


def metric_name(name: str) -> str:
    """Return the name of a metric. W&B keeps names that start with ``_`` for itself."""
    return fit_name(name, refused=_REFUSED, limit=NAME_LIMIT, replacement="x")


def config_key(name: str) -> str:
    """Return the key of a parameter in the configuration."""
    return fit_name(name, refused=_REFUSED_KEY, limit=NAME_LIMIT, replacement="x")


def artifact_name(name: str) -> str:
    """Return the name of an artifact."""
    return fit_name(name, refused=_REFUSED_ARTIFACT, limit=ARTIFACT_LIMIT)


def file_name(name: str) -> str:
    """Return the name of a file in an artifact."""
    return fit_name(name, refused=_REFUSED_FILE, limit=250)


def project_name(name: str) -> str:
    """Return the name of a project."""
    return fit_name(name.strip() or "uncategorized", refused=_REFUSED_PROJECT, limit=128)


def run_id(tracelet_id: str) -> str:
    """Return the id of the run at W&B, which is tracelet's own."""
    return fit_name(tracelet_id, refused=re.compile(r"[^\w.\-]", re.ASCII), limit=RUN_ID_LIMIT)


def text(value: Any) -> str:
    """Return a text that UTF-8 can encode."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def tag_text(key: str, value: Any) -> str:
    """Return a tag as W&B shows it: the key, and the value if it says something."""
    whole = text(key if value in (None, "", True) else f"{key}: {value}").strip() or "_"
    return whole if len(whole) <= TAG_LIMIT else whole[: TAG_LIMIT - MARK_LENGTH] + mark_of(whole)


def exit_code(outcome: str) -> int:
    """Return the exit code that makes W&B show a run as finished or failed."""
    return {"failed": 1, "killed": 255}.get(outcome, 0)


def rows_of(points: Iterable[MetricData]) -> Iterator[list[MetricData]]:
    """Yield the points of each record. A name that repeats in a record begins another row."""
    row: list[MetricData] = []
    names: set[str] = set()
    for point in points:
        same = row and point.id is not None and row[-1].id is not None and row[-1].id[:2] == point.id[:2]
        if row and (not same or point.name in names or row[-1].iteration != point.iteration):
            yield row
            row, names = [], set()
        row.append(point)
        names.add(point.name)
    if row:
        yield row


def row_of(points: Sequence[MetricData], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a row as W&B logs it. ``names`` maps each name to the one that W&B accepts."""
    row: dict[str, Any] = {names[point.name]: float(point.value) for point in points}
    if points[0].iteration is not None:
        row[STEP] = points[0].iteration
    row[TIME] = points[0].timestamp
    return row


def read_delivered(data: bytes) -> dict[str, list[int]]:
    """Return the last position for each writer that the bytes of a run's file name; see :func:`delivered_json`."""
    found = {}
    for match in _DELIVERED.finditer(data):
        try:
            found.update(json.loads(match[1]))
        except ValueError:
            continue
    return found


_DELIVERED: Final = re.compile(rb'"delivered":(\{[^}]*\})')


def delivered_json(delivered: Mapping[str, Sequence[int]]) -> bytes:
    """Return what a run's file contains once it has everything up to these positions."""
    return b'"delivered":' + json.dumps(delivered, separators=(",", ":")).encode()
