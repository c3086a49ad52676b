"""Fewer points that show the same: of every stretch its least and its greatest value."""

from __future__ import annotations

from typing import Any

from tracelet.store.columns import numpy


def places_of_peaks(values: Any, points: int) -> Any:
    """Return about ``points`` places in a column, in order: first, last, and the extremes of equal stretches.

    Uses tsdownsample where it is installed, else NumPy, else neither. NaN is an extreme only where a stretch
    holds nothing else.
    """
    stretches = max(1, (points - 2) // 2)
    module = numpy()
    if module is None:
        return _plainly(values, stretches)
    items = module.ascontiguousarray(values)
    inside = _with_library(items[1:-1], stretches)
    if inside is None:
        inside = _with_numpy(module, items[1:-1], stretches)
    return module.unique(module.concatenate(([0], inside.astype("int64") + 1, [len(items) - 1])))


def _with_library(items: Any, stretches: int) -> Any:
    try:
        from tsdownsample import MinMaxDownsampler
    except ImportError:
        return None
    return MinMaxDownsampler().downsample(items, n_out=2 * stretches)


def _with_numpy(module: Any, items: Any, stretches: int) -> Any:
    size = -(-len(items) // stretches)
    padded = module.full(size * stretches, module.nan)
    padded[: len(items)] = items
    rows = padded.reshape(stretches, size)
    starts = module.arange(stretches) * size
    unknown = module.isnan(rows)
    low = module.where(unknown, module.inf, rows).argmin(axis=1) + starts
    high = module.where(unknown, -module.inf, rows).argmax(axis=1) + starts
    places = module.concatenate((low, high))
    return places[places < len(items)]


def _plainly(values: Any, stretches: int) -> list[int]:
    kept = {0, len(values) - 1}
    size = -(-(len(values) - 2) // stretches)
    for start in range(1, len(values) - 1, size):
        places = range(start, min(start + size, len(values) - 1))
        known = [place for place in places if values[place] == values[place]] or places[:1]
        kept |= {min(known, key=values.__getitem__), max(known, key=values.__getitem__)}
    return sorted(kept)
