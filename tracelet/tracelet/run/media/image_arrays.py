"""Arrays as images: which axis is what, and which numbers are which shades."""

from __future__ import annotations

import math
from typing import Any, Final

from tracelet.run.media.arrays import as_array, is_array, not_an_image, numpy
from tracelet.run.media.png import encode_png

_CHANNELS: Final = (1, 3, 4)
_MAX_PIXELS: Final = 1 << 28
_GRID_GAP: Final = 2  # pixels between the images of a batch
_TOLERANCE: Final = 1e-3  # by which floats may leave the range from 0 to 1, by rounding


def array_png(image: Any) -> tuple[bytes, str, dict[str, Any]]:
    """Return an array, or a list of images of one size, as PNG, its suffix, and what was done to its values."""
    np = numpy()
    array = _stack(image)
    if array.dtype.kind not in "biuf" or not array.size or array.size > _MAX_PIXELS * 4:
        raise not_an_image(f"shape {array.shape} of {array.dtype}")
    pixels = _in_order(array)
    shades, facts = _shades(pixels)
    if shades.ndim == 4:
        facts["images"] = len(shades)
        shades = _grid(shades)
    _, width, channels = shades.shape
    if shades.dtype == np.uint16:
        shades, depth = shades.astype(">u2"), 16
    else:
        depth = 8
    rows = [row.tobytes() for row in np.ascontiguousarray(shades)]
    return encode_png(rows, width, channels, depth), ".png", facts


def array_shades(array: Any) -> tuple[Any, dict[str, Any]]:
    """Return an array as 8-bit shades, and the range of values that black and white stand for."""
    np = numpy()
    shades, facts = _shades(array)
    return (shades >> 8).astype(np.uint8) if shades.dtype == np.uint16 else shades, facts


def _stack(image: Any) -> Any:
    """Return an image or a list of images as one array."""
    np = numpy()
    if (
        isinstance(image, (list, tuple))
        and image
        and all(is_array(one) or hasattr(one, "convert") for one in image)
    ):
        parts = [
            np.asarray(one.convert("RGBA")) if hasattr(one, "convert") else _in_order(as_array(one))
            for one in image
        ]
        if len({part.shape for part in parts}) != 1:
            raise not_an_image(f"images of the shapes {sorted({part.shape for part in parts})[:5]}")
        return np.stack(parts)
    try:
        array = as_array(image)
    except Exception:
        raise not_an_image(type(image).__name__) from None
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise not_an_image(f"an array of objects of shape {array.shape}") from None
    if isinstance(array, np.ma.MaskedArray):
        array = array.astype(np.float64).filled(np.nan) if array.dtype.kind == "f" else array.filled(0)
    return array


def _in_order(array: Any) -> Any:
    """Return (height, width, channels), or (number, height, width, channels) of a batch."""
    shape = array.shape
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim == 3:
        if shape[2] in _CHANNELS:
            return array
        if shape[0] in _CHANNELS:
            return array.transpose(1, 2, 0)
        if shape[2] > 4:
            return array[:, :, :, None]  # a batch of grey images
    if array.ndim == 4:
        if shape[3] in _CHANNELS:
            return array
        if shape[1] in _CHANNELS:
            return array.transpose(0, 2, 3, 1)
    raise not_an_image(f"shape {shape}")


def _shades(array: Any) -> tuple[Any, dict[str, Any]]:
    """Return an array as 8-bit or 16-bit shades, and the range of values that black and white stand for."""
    np = numpy()
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255), {}
    if array.dtype in (np.dtype("u1"), np.dtype("u2")):
        return array, {}
    if array.dtype.kind == "f":
        return _shades_of_floats(array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64))
    low, high = int(array.min()), int(array.max())
    if low >= 0 and high < 1 << 16:
        return array.astype(np.uint8 if high < 256 else np.uint16), {}
    return _scaled(array.astype(np.float64), float(low), float(high))


def _shades_of_floats(array: Any) -> tuple[Any, dict[str, Any]]:
    np = numpy()
    finite = np.isfinite(array)
    missing = int(array.size - finite.sum())
    known = array if not missing else array[finite]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    facts: dict[str, Any] = {}
    if low >= -_TOLERANCE and high <= 1 + _TOLERANCE:
        shades = _scaled(array, 0.0, 1.0)[0]
    elif low >= 0 and high <= 255 and bool((known == np.rint(known)).all()):
        shades = _scaled(array, 0.0, 255.0)[0]
    else:
        shades, facts = _scaled(array, low, high)
    return shades, {**facts, "not_finite": missing} if missing else facts


def _scaled(array: Any, low: float, high: float) -> tuple[Any, dict[str, Any]]:
    """Return shades from black for ``low`` to white for ``high``; NaN is black."""
    np = numpy()
    if math.isinf(high - low):
        array, low, high = array / 2, low / 2, high / 2
        shown = [2 * low, 2 * high]
    else:
        shown = [low, high]
    with np.errstate(all="ignore"):
        part = (
            array * (255 / ((high - low) or 1.0))
            if low == 0
            else (array - low) * (255 / ((high - low) or 1.0))
        )
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            part = np.nan_to_num(part, nan=0.0, posinf=255.0, neginf=0.0)
        return np.rint(np.clip(part, 0, 255)).astype(np.uint8), {"range": shown}


def _grid(images: Any) -> Any:
    """Return a batch as one image: about as many columns as rows, with gaps between."""
    np = numpy()
    number, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(number))
    rows = math.ceil(number / columns)
    size = (rows * (height + _GRID_GAP) - _GRID_GAP, columns * (width + _GRID_GAP) - _GRID_GAP, channels)
    grid = np.zeros(size, images.dtype)
    for index, image in enumerate(images):
        top, left = index // columns * (height + _GRID_GAP), index % columns * (width + _GRID_GAP)
        grid[top : top + height, left : left + width] = image
    return grid
