"""Media as TensorBoard shows them: images, histograms and sounds as such, everything else as a text."""

from __future__ import annotations

import io
import json
import struct
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from tracelet_builtin_plugins.backends.tensorboard import mapping, protobuf

__all__ = ["Medium", "image_size", "load_medium", "text_medium"]


class Medium(NamedTuple):
    """The content of a summary's value."""

    kind: str  # that of the dashboard
    content: bytes
    plugin: str = ""


def load_medium(kind: str, path: Path, label: str) -> Medium:
    """Read a file. What TensorBoard cannot show becomes a text with ``label``, the path in the run.

    Raises ``OSError`` if the file cannot be read.
    """
    data = path.read_bytes()
    with suppress(
        ValueError, LookupError, TypeError, ArithmeticError, struct.error
    ):  # a damaged or foreign file
        if kind in _SHOWN:
            return _SHOWN[kind](data)
        if size := image_size(data):
            return Medium("images", protobuf.image(data, *size))
        if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            return _sound(data)
    return text_medium(f"{kind}: `{mapping.readable(label)}` ({len(data)} bytes)")


def text_medium(text: str) -> Medium:
    """Return a text, in Markdown."""
    return Medium("text", protobuf.text(text), "text")


def _text(data: bytes) -> Medium:
    return text_medium(data.decode("utf-8", "replace"))


def _table(data: bytes) -> Medium:
    content = json.loads(data)
    return text_medium(mapping.markdown_table(content["columns"], content["rows"]))


def _confusion_matrix(data: bytes) -> Medium:
    content = json.loads(data)
    labels = content["labels"]
    rows = [[label, *row] for label, row in zip(labels, content["matrix"], strict=True)]
    return text_medium(mapping.markdown_table(["truth", *labels], rows))


def _histogram(data: bytes) -> Medium:
    """Return a histogram. Its sums are computed from the middles of the bins, as the values are not known."""
    content = json.loads(data)
    edges, counts = [float(edge) for edge in content["edges"]], [float(count) for count in content["counts"]]
    middles = [low / 2 + high / 2 for low, high in pairwise(edges)]
    total = sum(middle * count for middle, count in zip(middles, counts, strict=True))
    squares = sum(middle * middle * count for middle, count in zip(middles, counts, strict=True))
    # The first bin reaches down to the smallest number, so an empty one marks where the values begin.
    return Medium("histograms", protobuf.histogram(edges, [0.0, *counts], total, squares))


def _sound(data: bytes) -> Medium:
    """Return a WAV file. Raises ``ValueError`` if its format is not PCM."""
    import wave

    try:
        with wave.open(io.BytesIO(data)) as sound:
            rate, channels, frames = sound.getframerate(), sound.getnchannels(), sound.getnframes()
    except (wave.Error, EOFError) as error:
        raise ValueError(str(error)) from error
    return Medium("audio", protobuf.audio(data, rate, channels, frames))


_SHOWN: Final = {
    "text": _text,
    "table": _table,
    "confusion_matrix": _confusion_matrix,
    "histogram": _histogram,
}


def image_size(data: bytes) -> tuple[int, int, int] | None:
    """Return width, height and channels of a PNG, JPEG, GIF or BMP file, which browsers show; else ``None``."""
    try:
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height, {0: 1, 4: 2, 6: 4}.get(data[25], 3)
        if data[:6] in (b"GIF87a", b"GIF89a"):
            width, height = struct.unpack_from("<HH", data, 6)
            return width, height, 3
        if data[:2] == b"BM" and data[6:10] == bytes(4):
            width, height = struct.unpack_from("<ii", data, 18)
            return width, abs(height), 3
        if data[:3] == b"\xff\xd8\xff":
            return _jpeg_size(data)
    except (struct.error, IndexError):
        pass
    return None


def _jpeg_size(data: bytes) -> tuple[int, int, int] | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of a frame
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height, data[at + 9]
        at += 1 if marker == 0xFF else 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None
