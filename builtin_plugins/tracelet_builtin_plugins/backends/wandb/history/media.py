"""Media in the history of a W&B run, as files of tracelet."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any, Final

from tracelet_hookspecs import ImportedFile

__all__ = ["media_of"]

_KINDS: Final = {
    "image-file": "image",
    "audio-file": "audio",
    "video-file": "video",
    "html-file": "html",
    "object3D-file": "mesh",
    "plotly-file": "figure",
}
_LARGEST_COUNTS: Final = 16 << 20  # bytes, unpacked
_LARGEST_TABLE: Final = 64 << 20  # bytes


def media_of(
    name: str, value: dict[str, Any], folder: Path, step: int, time: float
) -> list[ImportedFile] | None:
    """Return the files for a value with a ``_type``, ``None`` if tracelet has nothing for it.

    Raises ``ValueError``, ``LookupError``, ``TypeError`` or ``OSError`` if it is damaged.
    """
    kind = value.get("_type")
    about: dict[str, Any] = {"step": step, "timestamp": time}
    if kind == "histogram":
        return [
            ImportedFile(name, data=_histogram(value), kind="histogram", suffix=".histogram.json", **about)
        ]
    if kind == "table-file":
        data = _table(folder / str(value["path"]))
        return [ImportedFile(name, data=data, kind="table", suffix=".table.json", **about)]
    if kind == "images/separated":
        paths = value.get("filenames") or []
        return [ImportedFile(name, path=str(folder / str(path)), kind="image", **about) for path in paths]
    if kind in _KINDS and "path" in value:
        suffix = ".html" if kind == "html-file" else ""
        path = str(folder / str(value["path"]))
        return [ImportedFile(name, path=path, kind=_KINDS[kind], suffix=suffix, **about)]
    return None


def _histogram(value: dict[str, Any]) -> bytes:
    counts: Any = value.get("values")
    if isinstance(counts, str):  # packed: zlib in base64, of numbers as JSON
        counts = json.loads(zlib.decompressobj().decompress(base64.b64decode(counts), _LARGEST_COUNTS))
    edges = value.get("bins")
    if edges is None:
        packed = value["packedBins"]
        edges = [packed["min"] + packed["size"] * index for index in range(int(packed["count"]) + 1)]
    whole = [int(count) for count in counts]
    content = {
        "edges": [float(edge) for edge in edges],
        "counts": whole,
        "count": sum(whole),
        "not_finite": 0,
    }
    return json.dumps(content, allow_nan=False).encode()


def _table(path: Path) -> bytes:
    if path.is_symlink() or path.stat().st_size > _LARGEST_TABLE:
        raise ValueError("a table that is too large, or a link")
    content = json.loads(path.read_bytes())
    columns, rows = content["columns"], content["data"]
    return json.dumps({"columns": [str(column) for column in columns], "rows": rows}).encode()
