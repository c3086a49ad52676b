"""A metric's course in a line of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII: Final = "_.-=+*#"
GAP: Final = " "  # a stretch with no finite value
SAMPLES: Final = 256  # values looked at per character, evenly spread: a million points draw as quickly


def sparkline(values: Sequence[float], width: int = 20, *, ascii_only: bool = False) -> str:
    """Draw values, the oldest on the left, each character the mean of an equal share of them.

    NaN and infinities are left out of a mean; where nothing else is there, a gap is drawn. A constant
    draws a low line. No finite value at all: nothing is drawn.
    """
    marks = ASCII if ascii_only else BLOCKS
    means = _means(values, min(width, len(values)))
    finite = [mean for mean in means if mean is not None]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    return "".join(GAP if mean is None else marks[_level(mean, low, high, len(marks))] for mean in means)


def _means(values: Sequence[float], buckets: int) -> list[float | None]:
    """Split into equal shares and take the mean of each; ``None`` for a share without finite values."""
    means: list[float | None] = []
    for bucket in range(buckets):
        share = values[bucket * len(values) // buckets : (bucket + 1) * len(values) // buckets]
        samples = share[:: max(len(share) // SAMPLES, 1)]
        finite = [float(value) for value in samples if math.isfinite(value)]
        # Divided first: the sum of two huge values may be infinite.
        means.append(math.fsum(value / len(finite) for value in finite) if finite else None)
    return means


def _level(value: float, low: float, high: float, levels: int) -> int:
    span = high / 2 - low / 2  # halved: the whole span of two huge values may be infinite
    if span <= 0:
        return 0
    return min(int((value / 2 - low / 2) / span * levels), levels - 1)
