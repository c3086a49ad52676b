"""What TensorBoard cannot hold, and what becomes of it: pure functions.

``docs/plugins/tensorboard.md`` has the table.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tracelet_builtin_plugins.naming import fit_name, mark_of
from tracelet_hookspecs.strict_json import to_json

__all__ = [
    "MAPPING",
    "folder_name",
    "free_tag",
    "hparam",
    "markdown_table",
    "nearest_float32",
    "readable",
    "session_status",
    "tag_of",
    "writer_name",
]

MAPPING: Final = {
    "float64": "the nearest float32, which the default web server needs; the exact value is kept in a field of its own,"
    " or precision = 'float64'",
    "NaN and infinities": "kept; a finite value beyond float32 becomes an infinity",
    "a missing step": "one more than the largest step of that metric in its folder",
    "a step that is not larger than the last one of that metric": "in a folder of its own: repeated-1, repeated-2, ...",
    "several processes": "a folder each: writer-2, writer-3, ...",
    "names that are not valid Unicode, or empty": "replaced characters, with a hash at the end",
    "a name that is used twice, by different kinds or sources": "NAME@SOURCE, NAME/KIND",
    "parameters": "hyperparameters (whole numbers beyond 2**53, lists, NaN and None as text), and a text",
    "tables": "a text with a Markdown table of the first 200 rows",
    "artifacts, and images that browsers do not show": "a text with the path",
}

#: Characters in the name of a run's folder: TensorBoard shows it as the run's name.
LARGEST_NAME: Final = 80
LARGEST_ID: Final = 100
LARGEST_ROWS: Final = 200
_LARGEST_CELL: Final = 2000
_EXACT: Final = 1 << 53  # whole numbers up to this one are exact in the dashboard

_NOT_UTF8: Final = re.compile("[\ud800-\udfff]")
_NOT_IN_FOLDER: Final = re.compile(r"[^\w.\- ]|^[. ]+|[. ]+$")
_NOT_IN_WRITER: Final = re.compile(r"[^\w]", re.ASCII)
_FLOAT: Final = struct.Struct("<f")


def folder_name(name: str, run_id: str) -> str:
    """Return the name of a run's folder. It ends in the id, by which the folder is found again."""
    ending = fit_name(run_id, refused=_NOT_IN_FOLDER, limit=LARGEST_ID)
    start = _NOT_IN_FOLDER.sub("_", name[:LARGEST_NAME]).strip()
    return ending if name in ("", run_id) else f"{start}-{ending}"


def tag_of(name: str) -> str:
    """Return the tag for the name of a metric or a medium: the name itself, if UTF-8 can hold it."""
    return fit_name(name, refused=_NOT_UTF8, limit=max(len(name), 1))


def free_tag(tag: str, ending: str, taken: Mapping[str, Any]) -> str:
    """Return a tag that is not taken: with the ending, and with a hash if that is taken as well.

    TensorBoard shows a tag in one dashboard only, that of the first value.
    """
    tag = f"{tag}{ending}"
    while tag in taken:
        tag += mark_of(tag)
    return tag


def nearest_float32(value: float) -> float:
    """Return the float32 next to a number; an infinity if it is too large."""
    try:
        return float(_FLOAT.unpack(_FLOAT.pack(value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def hparam(value: Any) -> bool | float | str:
    """Return a parameter's value for the hyperparameter dashboard, which knows numbers, texts and truth values."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return float(value) if abs(value) <= _EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return tag_of(value) if isinstance(value, str) and value else _as_text(value)


def _as_text(value: Any) -> str:
    text = "" if value == "" else json.dumps(to_json(value), ensure_ascii=False)
    return _NOT_UTF8.sub("\ufffd", text)


def markdown_table(columns: Sequence[Any], rows: Sequence[Sequence[Any]], largest: int = LARGEST_ROWS) -> str:
    """Return a table as the text dashboard shows it; of a long one, the first rows and how many there are."""
    lines = [_row(columns), _row(["---"] * len(columns)), *(_row(row) for row in rows[:largest])]
    if len(rows) > largest:
        lines += ["", f"{len(rows)} rows; the first {largest} are shown"]
    return "\n".join(lines)


def readable(text: str) -> str:
    """Return a text that fits between Markdown's backquotes."""
    return _NOT_UTF8.sub("\ufffd", text).replace("`", "'").replace("\n", " ")


def writer_name(writer: str) -> str:
    """Return a writer's id as a part of the name of a file."""
    return fit_name(writer or "none", refused=_NOT_IN_WRITER, limit=LARGEST_ID)


def _row(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(cell: Any) -> str:
    text = cell if isinstance(cell, str) else "" if cell is None else _as_text(cell)
    text = _NOT_UTF8.sub("\ufffd", text[:_LARGEST_CELL])
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", "").replace("\n", "<br>")


def session_status(outcome: str) -> int | None:
    """Return the status that the hyperparameter dashboard shows; ``None`` while the run is going on."""
    return {"finished": 1, "running": None}.get(outcome, 2)
