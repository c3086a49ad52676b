"""Downsampling that keeps peaks: the least and the greatest value of each stretch of a series."""

from __future__ import annotations

from typing import Any

from tracelet.store.point_columns import load_numpy


def find_peaks(values: Any, points: int) -> Any:
    """Return about ``points`` places in a column, in order: first, last, and the extremes of equal stretches.

    Uses tsdownsample if it is installed, else NumPy, else plain Python. NaN counts as an extreme only if a stretch
    holds nothing else.
    """
    stretches = max(1, (points - 2) // 2)
    module = load_numpy()
    if module is None:
        return _find_peaks_plainly(values, stretches)
    items = module.ascontiguousarray(values)
    inside = _find_peaks_with_tsdownsample(items[1:-1], stretches)
    if inside is None:
        inside = _find_peaks_with_numpy(module, items[1:-1], stretches)
    return module.unique(module.concatenate(([0], inside.astype("int64") + 1, [len(items) - 1])))


def _find_peaks_with_tsdownsample(items: Any, stretches: int) -> Any:
    try:
        from tsdownsample import MinMaxDownsampler
    except ImportError:
        return None
    return MinMaxDownsampler().downsample(items, n_out=2 * stretches)


def _find_peaks_with_numpy(module: Any, items: Any, stretches: int) -> Any:
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


def _find_peaks_plainly(values: Any, stretches: int) -> list[int]:
    kept = {0, len(values) - 1}
    size = -(-(len(values) - 2) // stretches)
    for start in range(1, len(values) - 1, size):
        places = range(start, min(start + size, len(values) - 1))
        known = [place for place in places if values[place] == values[place]] or places[:1]
        kept |= {min(known, key=values.__getitem__), max(known, key=values.__getitem__)}
    return sorted(kept)
