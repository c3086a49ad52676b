"""Media as Trackio shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.trackio import mapping

__all__ = ["file_type", "inline_value"]

_IMAGES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".svg")
#: The type of Trackio for a kind of medium and the end of its file's name.
_FILES: Final[Mapping[str, Mapping[str, str]]] = {
    "image": dict.fromkeys(_IMAGES, "trackio.image"),
    "figure": dict.fromkeys(_IMAGES, "trackio.image"),
    "video": dict.fromkeys((".mp4", ".webm", ".gif"), "trackio.video"),
    "audio": dict.fromkeys((".wav", ".mp3"), "trackio.audio"),
    "html": dict.fromkeys((".html",), "trackio.html"),
    "mesh": dict.fromkeys((".glb", ".obj", ".stl", ".ply"), "trackio.object3d"),
}


def file_type(kind: str, path: Path) -> str | None:
    """Return Trackio's type for a file that it shows, else ``None``."""
    return _FILES.get(kind, {}).get(path.suffix.lower())


def inline_value(kind: str, path: Path) -> dict[str, Any] | None:
    """Return what Trackio stores in the row itself: a table, a histogram or a text; ``None`` for anything else.

    Raises ``OSError`` if the file cannot be read.
    """
    make = _INLINE.get(kind)
    if make is None:
        return None
    data = path.read_bytes()
    try:
        return make(data)
    except (ValueError, LookupError, TypeError):
        return None  # a damaged or foreign file


def _text(data: bytes) -> dict[str, Any]:
    return {"_type": "trackio.markdown", "_value": data.decode("utf-8", "replace")}


def _table(data: bytes) -> dict[str, Any]:
    content = json.loads(data)
    columns = [str(column) for column in content["columns"]]
    rows = [dict(zip(columns, row, strict=True)) for row in content["rows"]]
    return {"_type": "trackio.table", "_value": mapping.config_value(rows)}


def _confusion_matrix(data: bytes) -> dict[str, Any]:
    content = json.loads(data)
    labels = [str(label) for label in content["labels"]]
    rows = [
        {"truth": label, **dict(zip(labels, row, strict=True))}
        for label, row in zip(labels, content["matrix"], strict=True)
    ]
    return {"_type": "trackio.table", "_value": mapping.config_value(rows)}


def _histogram(data: bytes) -> dict[str, Any]:
    content = json.loads(data)
    bins, values = mapping.fewer_bins(content["edges"], content["counts"])
    return {"_type": "trackio.histogram", "bins": bins, "values": values}


_INLINE: Final[Mapping[str, Callable[[bytes], dict[str, Any]]]] = {
    "text": _text,
    "table": _table,
    "confusion_matrix": _confusion_matrix,
    "histogram": _histogram,
}
