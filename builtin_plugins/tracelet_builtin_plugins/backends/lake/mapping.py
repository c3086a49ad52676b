"""From what a run records to the rows of the lake. Nothing here needs another package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tracelet_builtin_plugins.naming import MARK_LENGTH, fit_name
from tracelet_hookspecs import MetricData, RecordId
from tracelet_hookspecs.lake_layout import PARAMS, TAGS, Place
from tracelet_hookspecs.strict_json import to_json

__all__ = [
    "MAPPING",
    "NOT_IN_DOCUMENT",
    "event_row",
    "file_row",
    "listed_files",
    "make_name",
    "metric_columns",
    "original_names",
    "place_of",
    "value_rows",
]

MAPPING: Final[dict[str, str]] = {
    "names with a lone surrogate": "U+FFFD instead, and a hash at the end; the file's metadata has the name",
    "parameters": "JSON texts; NaN and infinities in them as strings",
    "project and run in paths": "percent-encoded; longer than 180 characters: cut, with a hash at the end",
    "artifacts and media": "stored once per content, under the SHA-256",
}

#: Events that a run document does not have: they are many or large, and a list of runs needs none of them.
NOT_IN_DOCUMENT: Final = frozenset({"fact", "artifact", "artifact_files", "plugins"})

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
Row = dict[str, Any]


def make_name(name: str) -> str:
    """Return a name as UTF-8 can hold it; one that has to change gets a hash, so that it stays unique."""
    if _SURROGATE.search(name) is None:
        return name
    return fit_name(name, refused=_SURROGATE, limit=len(name) + MARK_LENGTH, replacement="\ufffd")


def original_names(names: Iterable[str]) -> dict[str, str]:
    """Return the original of each name that had to change."""
    return {fitted: name for name in names if (fitted := make_name(name)) != name}


def place_of(id: RecordId) -> Place:
    """Return the place of a record among those of its writer."""
    return Place(id[1], id[2])


def metric_columns(points: Sequence[MetricData], rank: int | None) -> dict[str, list[Any]]:
    """Return points as the columns of a metrics file. (``_value_`` is what ``value`` returns, several times faster.)"""
    ids: list[Any] = [point.id for point in points]
    return {
        "name": [make_name(point.name) for point in points],
        "step": [point.iteration for point in points],
        "value": [float(point.value) for point in points],
        "time": [point.timestamp for point in points],
        "type": [point.type._value_ for point in points],
        "source": [point.source and make_name(point.source) for point in points],
        "rank": [rank] * len(points),
        "writer": [id[0] for id in ids],
        "sequence": [id[1] for id in ids],
        "index": [id[2] for id in ids],
    }


def value_rows(type: str, payload: Mapping[str, Any], about: Row) -> tuple[str, list[Row]]:
    """Return what params, tags and untag events add to the files of parameters and tags: a row per name."""
    if type == "params" and isinstance(values := payload.get("params"), Mapping):
        return PARAMS, list(_value_rows(values, _param_text, about))
    if type == "tags" and isinstance(values := payload.get("tags"), Mapping):
        return TAGS, list(_value_rows(values, _tag_text, about))
    if type == "untag" and isinstance(names := payload.get("tags"), list):
        return TAGS, list(_value_rows(dict.fromkeys(map(str, names)), _tag_text, about))
    return "", []


def _value_rows(values: Mapping[str, Any], text: Any, about: Row) -> Iterator[Row]:
    for index, (name, value) in enumerate(values.items()):
        yield {**about, "name": make_name(str(name)), "value": text(value), "index": index}


def _param_text(value: Any) -> str:
    return json.dumps(to_json(value))


def _tag_text(value: Any) -> str | None:
    """Return a tag's value as text: strings as they are, anything else as JSON. ``None`` removes the tag."""
    if value is None:
        return None
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else json.dumps(to_json(value))


def event_row(type: str, payload: Mapping[str, Any], about: Row) -> Row:
    """Return an event as a row. The payload is the journal's own, with the same rules for NaN."""
    row = {**about, "type": make_name(type), "payload": json.dumps(payload), "index": 0}
    if type in ("artifact", "artifact_files"):
        for key in ("name", "media", "path"):
            if isinstance(payload.get(key), str):
                row[key] = make_name(payload[key])
        step = payload.get("step")
        row["step"] = step if isinstance(step, int) and abs(step) < 1 << 63 else None
    return row


def listed_files(type: str, payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the files that an artifact's event lists, each with ``path`` and perhaps ``size`` and ``sha256``."""
    files = payload.get("files")
    if type not in ("artifact", "artifact_files") or not isinstance(files, list):
        return []
    return [file for file in files if isinstance(file, Mapping) and isinstance(file.get("path"), str)]


def file_row(path: str, size: int, sha256: str, index: int, about: Row) -> Row:
    """Return a stored file as a row."""
    more = {"type": "file", "path": make_name(path), "size": size, "sha256": sha256, "index": index}
    return {**about, **more}
