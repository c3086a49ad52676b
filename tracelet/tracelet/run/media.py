"""Media: text, tables, histograms, images and figures, each a file under the run's folder."""

from __future__ import annotations

import json
import math
import os
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tracelet.errors import UsageError
from tracelet.run.folder import private_file


def media_file(run_dir: Path, name: str, step: int | None, suffix: str) -> Path:
    """Return a path for a medium: its name, its step, and a number where that is taken."""
    safe = (
        "/".join(re.sub(r"[^\w.\- ]", "_", part) for part in name.split("/") if part.strip(".")) or "unnamed"
    )
    stem = safe if step is None else f"{safe}-{step}"
    file = run_dir / "media" / (stem + suffix)
    count = 1
    while file.exists():
        file = run_dir / "media" / f"{stem}.{count}{suffix}"
        count += 1
    return file


def write(file: Path, data: bytes) -> None:
    """Write a medium whole or not at all."""
    part = file.with_name(file.name + ".part")
    with os.fdopen(private_file(part), "wb") as out:
        out.write(data)
    os.replace(part, file)


def table_json(rows: Any, columns: Sequence[str] | None) -> bytes:
    """Return a table as JSON: ``{"columns": [...], "rows": [[...], ...]}``.

    ``rows`` is a sequence of rows, a sequence of mappings, a mapping of columns, or a DataFrame.
    """
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        columns = [str(column) for column in rows.columns]
        values = rows.to_numpy().tolist()
    elif isinstance(rows, Mapping):
        columns = list(columns or rows)
        values = [list(row) for row in zip(*(rows[column] for column in columns), strict=True)]
    else:
        values, columns = _rows(list(rows), columns)
    return json.dumps({"columns": columns, "rows": values}, default=_plain).encode()


def _rows(rows: list[Any], columns: Sequence[str] | None) -> tuple[list[Any], list[str]]:
    if rows and all(isinstance(row, Mapping) for row in rows):
        columns = list(columns or dict.fromkeys(str(key) for row in rows for key in row))
        return [[row.get(column) for column in columns] for row in rows], columns
    width = len(rows[0]) if rows else len(columns or ())
    columns = [str(column) for column in (columns if columns is not None else range(width))]
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise UsageError(f"log_table: row {number}: expected {len(columns)} values, found {len(row)}")
    return [list(row) for row in rows], columns


def histogram_json(values: Any, bins: int | Sequence[float]) -> bytes:
    """Return a histogram as JSON: ``{"edges": [...], "counts": [...]}``, bins closed on the left as NumPy's.

    ``bins`` is their number over the range of the finite values, or their edges. Values that are not finite
    are counted aside.
    """
    numbers = [float(value) for value in _flat(values)]
    finite = [number for number in numbers if math.isfinite(number)]
    edges = _edges(finite, bins)
    counts = [0] * (len(edges) - 1)
    for number in finite:
        if edges[0] <= number <= edges[-1]:
            counts[_bin(number, edges)] += 1
    aside = len(numbers) - len(finite)
    return json.dumps({"edges": edges, "counts": counts, "count": len(numbers), "not_finite": aside}).encode()


def _edges(finite: list[float], bins: int | Sequence[float]) -> list[float]:
    if not isinstance(bins, int):
        return [float(edge) for edge in bins]
    if bins < 1:
        raise UsageError(f"log_histogram: bins: expected at least 1, found {bins}")
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return [low + (high - low) * index / bins for index in range(bins)] + [high]


def _bin(number: float, edges: list[float]) -> int:
    from bisect import bisect_right

    return min(bisect_right(edges, number) - 1, len(edges) - 2)


def _flat(values: Any) -> Iterable[Any]:
    for attribute in ("detach", "cpu"):  # a PyTorch tensor, perhaps on a GPU
        if hasattr(values, attribute):
            values = getattr(values, attribute)()
    if hasattr(values, "ravel"):
        return values.ravel().tolist()  # type: ignore[no-any-return]
    return values  # type: ignore[no-any-return]


def image_bytes(image: Any) -> tuple[bytes, str]:
    """Return an image's bytes and its file's suffix.

    Takes a path, encoded bytes (PNG or JPEG), anything with ``save(file, format=...)`` as Pillow's images, or an
    array of shape (height, width), (height, width, 1 | 3 | 4) of 8-bit integers or of floats from 0 to 1.
    """
    if isinstance(image, (str, Path)):
        return Path(image).read_bytes(), Path(image).suffix or ".png"
    if isinstance(image, (bytes, bytearray)):
        return bytes(image), ".jpg" if image[:2] == b"\xff\xd8" else ".png"
    if callable(getattr(image, "save", None)):
        import io

        file = io.BytesIO()
        image.save(file, format="PNG")
        return file.getvalue(), ".png"
    return _png(image), ".png"


def _png(image: Any) -> bytes:
    """Encode an array as PNG (ISO/IEC 15948), which needs no library."""
    rows, channels = _pixels(image)
    colour = {1: 0, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", len(rows[0]) // channels, len(rows), 8, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 6)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _pixels(image: Any) -> tuple[list[list[int]], int]:
    nested = image.tolist() if hasattr(image, "tolist") else image
    try:
        grey = not isinstance(nested[0][0], (list, tuple))
        channels = 1 if grey else len(nested[0][0])
        flat = [list(row) if grey else [value for pixel in row for value in pixel] for row in nested]
    except (TypeError, IndexError, KeyError):
        channels, flat = 0, []
    widths = {len(row) for row in flat}
    if channels not in (1, 3, 4) or len(widths) != 1 or not widths.pop():
        found = getattr(image, "shape", None) or type(image).__name__
        raise UsageError(
            "log_image: expected a path, encoded bytes, a Pillow image or an array of shape (height, width) or"
            f" (height, width, 1 | 3 | 4), found {found}"
        )
    scale = 255 if any(isinstance(value, float) for row in flat for value in row) else 1
    return [[max(0, min(255, round(value * scale))) for value in row] for row in flat], channels


def figure_bytes(figure: Any) -> tuple[bytes, str]:
    """Return a figure's bytes and suffix: Matplotlib's as PNG, Plotly's as JSON."""
    if callable(getattr(figure, "savefig", None)):
        import io

        file = io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue(), ".png"
    if callable(getattr(figure, "to_json", None)):
        return str(figure.to_json()).encode(), ".plotly.json"
    raise UsageError(
        f"log_figure: expected a Matplotlib or Plotly figure, found {type(figure).__name__}; use log_image for pictures"
    )


def _plain(value: Any) -> Any:
    return value.item() if callable(getattr(value, "item", None)) else str(value)
