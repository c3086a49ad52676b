"""One series out of what several processes recorded.

What one process recorded stays in the order in which it did. Where several recorded the same metric, the
points are sorted by step, then time: ranks interleave, a resumed run overlaps where it went back.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from tracelet.journal import Columns
from tracelet.journal.reading.run_columns import Part
from tracelet.store.columns import EMPTY, INTEGERS, Points, joined, order_by, pick


def merge(columns: Columns, parts: Sequence[Part]) -> tuple[Points, Any | None]:
    """Return the points of some parts in one order, and of each the place of its part (None: all of one process)."""
    if not parts:
        return EMPTY, None
    points = Points(columns.steps, columns.values, columns.times)
    if len(parts) != len(columns.parts):
        points = Points(*(joined([column[part.start : part.stop] for part in parts]) for column in points))
    if len({part.writer for part in parts}) == 1:
        return points, None
    order = order_by(points.steps, points.times)
    return points.take(order), pick(_places(parts), order)


def _places(parts: Sequence[Part]) -> Any:
    return joined([array(INTEGERS, [place]) * (part.stop - part.start) for place, part in enumerate(parts)])
