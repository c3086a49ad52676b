"""Fewer points that show the same: of every stretch its least and its greatest value."""

from __future__ import annotations

from typing import Any

from tracelet.store.columns import is_installed, numpy


def places_of_peaks(values: Any, points: int) -> Any:
    """Return about ``points`` places in a column, in order: first, last, and the extremes of equal stretches.

    Uses tsdownsample where it is installed, else NumPy, else neither. NaN is no extreme.
    """
    stretches = max(1, (points - 2) // 2)
    module = numpy()
    if module is None:
        return _plainly(values, stretches)
    items = module.ascontiguousarray(values)
    return _with_numpy(module, items, stretches)


def _with_numpy(module: Any, items: Any, stretches: int) -> Any:
    length = len(items)
    size = length // stretches
    even = size * stretches
    blocks = items[:even].reshape(stretches, size)
    starts = module.arange(stretches) * size
    low = _fill(module, blocks, module.inf).argmin(axis=1) + starts
    high = _fill(module, blocks, -module.inf).argmax(axis=1) + starts
    rest = module.arange(even, length) if length > even else module.arange(0)
    return module.unique(module.concatenate(([0, length - 1], low, high, _extremes(module, items, rest))))


def _extremes(module: Any, items: Any, places: Any) -> Any:
    if not len(places):
        return places
    block = items[places]
    return places[[_fill(module, block, module.inf).argmin(), _fill(module, block, -module.inf).argmax()]]


def _fill(module: Any, block: Any, value: float) -> Any:
    nans = module.isnan(block)
    return module.where(nans, value, block) if nans.any() else block


def _plainly(values: Any, stretches: int) -> list[int]:
    length = len(values)
    kept = {0, length - 1}
    for stretch in range(stretches):
        places = range(stretch * length // stretches, (stretch + 1) * length // stretches)
        known = [place for place in places if values[place] == values[place]]
        if known:
            kept |= {min(known, key=values.__getitem__), max(known, key=values.__getitem__)}
    return sorted(kept)


__all__ = ["is_installed", "places_of_peaks"]
