"""Images: files, encoded bytes, Pillow's images, and arrays."""

from __future__ import annotations

import io
import os
import re
from typing import Any, Final

from tracelet.run.media.arrays import is_array, not_an_image, numpy
from tracelet.run.media.encoded import read_file
from tracelet.run.media.png import SIGNATURE, encode_png

_SIGNATURES: Final = (  # what a file of each kind starts with (a dot matches any byte)
    (re.compile(re.escape(SIGNATURE)), ".png"),
    (re.compile(rb"\xff\xd8\xff"), ".jpg"),
    (re.compile(rb"GIF8[79]a"), ".gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), ".webp"),
    (re.compile(rb"BM....\0\0\0\0", re.DOTALL), ".bmp"),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), ".tif"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), ".avif"),
    (re.compile(rb"....ftyp(hei[cxms]|mif1|msf1)", re.DOTALL), ".heic"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), ".jxl"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n"), ".jp2"),
    (re.compile(rb"\0\0[\1\2]\0", re.DOTALL), ".ico"),
    (re.compile(rb"P[1-6]\s"), ".pnm"),
    (
        re.compile(
            rb"\xef?\xbb?\xbf?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE svg.*?>\s*)*<svg\b", re.DOTALL
        ),
        ".svg",
    ),
)
# Pillow's modes that a PNG has, and what the others are turned into.
_OF_PNG: Final = frozenset({"1", "L", "LA", "I;16", "P", "RGB", "RGBA"})
_TURNED_INTO: Final = {
    "RGBa": "RGBA",
    "La": "LA",
    "PA": "RGBA",
    "I;16B": "I;16",
    "I;16L": "I;16",
    "I;16N": "I;16",
}


def image_bytes(image: Any) -> tuple[bytes, str, dict[str, Any]]:
    """Return an image's bytes, its file's suffix, and what a reader has to know of it.

    Takes a path, encoded bytes (PNG, JPEG, ...) or a binary file of them, anything with ``save(file, format=...)`` as
    Pillow's images, a figure, or an array: see docs/recording.md for the shapes and types.

    Raises:
        RecordingError: it is not an image.
    """
    if isinstance(image, (str, os.PathLike)):
        return _encoded(read_file(image, "image"), str(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _encoded(bytes(image), "the bytes")
    if callable(getattr(image, "read", None)) and callable(getattr(image, "tell", None)):
        return _encoded(_contents_of(image), "the file object")
    if hasattr(image, "convert") and hasattr(image, "mode"):
        return _of_pillow(image)
    if callable(getattr(image, "savefig", None)):
        from tracelet.run.media.figures import figure_bytes

        return *figure_bytes(image), {}
    if callable(getattr(image, "save", None)) and not is_array(image):
        file = io.BytesIO()
        image.save(file, format="PNG")
        return _encoded(file.getvalue(), "what its save() wrote")
    if numpy() is None:
        return _of_lists(image)
    from tracelet.run.media.image_arrays import array_png

    return array_png(image)


def _contents_of(file: Any) -> bytes:
    """Return all that a file object has, wherever it stands: ``savefig(buffer)`` leaves a buffer at its end."""
    before = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(before)
    if not isinstance(data, bytes):
        raise not_an_image("a file object of text; open it in mode 'rb'")
    return data


def _encoded(data: bytes, what: str) -> tuple[bytes, str, dict[str, Any]]:
    for signature, suffix in _SIGNATURES:
        if signature.match(data[:4096]):
            return data, suffix, {}
    raise not_an_image(f"{what[:200]}, in no known format")


def _of_pillow(image: Any) -> tuple[bytes, str, dict[str, Any]]:
    mode = image.mode
    if mode in ("F", "I"):
        from tracelet.run.media.image_arrays import array_png

        if numpy() is not None:
            return array_png(numpy().asarray(image))
    if mode == "LAB":
        image = _from_lab(image)
    elif mode not in _OF_PNG:
        image = image.convert(_TURNED_INTO.get(mode, "L" if mode in ("F", "I") else "RGB"))
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=4)
    return file.getvalue(), ".png", {}


def _from_lab(image: Any) -> Any:
    from PIL import ImageCms

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")


def _of_lists(image: Any) -> tuple[bytes, str, dict[str, Any]]:
    """Encode nested lists without NumPy."""
    try:
        nested = image.tolist() if hasattr(image, "tolist") else image
        grey = not isinstance(nested[0][0], (list, tuple))
        channels = 1 if grey else len(nested[0][0])
        rows = [list(row) if grey else [value for pixel in row for value in pixel] for row in nested]
        width = len(rows[0]) // channels
        if channels not in (1, 3, 4) or width == 0 or {len(row) for row in rows} != {width * channels}:
            raise not_an_image(type(image).__name__)
        values = [value for row in rows for value in row]
        scale = 255 if any(isinstance(value, (float, bool)) for value in values) else 1
        return (
            encode_png([bytes(_shade(value * scale) for value in row) for row in rows], width, channels),
            ".png",
            {},
        )
    except (TypeError, IndexError, KeyError):
        raise not_an_image(type(image).__name__) from None


def _shade(value: float) -> int:
    return round(max(0, min(255, value))) if value == value else 0
