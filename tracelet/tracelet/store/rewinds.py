"""Stretches that a resumed run computed again: what counts, what was replaced, and how far the two differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from tracelet.journal import Part
from tracelet.store import point_columns
from tracelet.store.point_columns import Points, require_numpy
from tracelet.store.series import MetricColumns, Series


class Ghost(NamedTuple):
    """The points of an earlier attempt that a later one replaced.

    ``deviation`` is the greatest difference between the two at one step, and ``at_step`` where it is; ``steps`` is the
    number of steps that both have. NaN and ``None`` if they share no step with a number.
    """

    attempt: int
    series: Series
    steps: int
    deviation: float
    at_step: int | None


class Rewound(NamedTuple):
    """The series that counts, and what was recorded and then computed again."""

    effective: Series
    ghosts: list[Ghost]


def split_rewinds(series: Series) -> Rewound:
    """Separate what a resumed run computed again.

    Each attempt replaces what earlier ones recorded from its own first step on. A run of one attempt, and one that
    resumed where it had stopped, has no ghosts.
    """
    origin = series.origin
    attempts = _parts_by_attempt(origin) if origin is not None else {}
    if origin is None or len(attempts) < 2:
        return Rewound(series, [])
    numpy = require_numpy("the comparison of attempts")
    kept: list[Points] = []
    replaced: list[tuple[int, Points]] = []
    limit = math.inf
    for attempt in sorted(attempts, reverse=True):
        points = origin.merge(attempts[attempt])[0]
        steps = numpy.asarray(points.steps)
        if (steps >= limit).any():
            replaced.append((attempt, points.take(numpy.flatnonzero(steps >= limit))))
        kept.append(points.take(numpy.flatnonzero(steps < limit)))
        limit = min(limit, int(steps.min()))
    if not replaced:
        return Rewound(series, [])
    effective = _series_like(series, _sorted_by_step(kept))
    ghosts = [_make_ghost(series, effective, attempt, points) for attempt, points in reversed(replaced)]
    return Rewound(effective, ghosts)


def _parts_by_attempt(origin: MetricColumns) -> dict[int, list[Part]]:
    known = origin.attempts()
    found: dict[int, list[Part]] = {}
    for part in origin.parts:
        if part.stop > part.start:
            found.setdefault(known.get(part.writer, 0), []).append(part)
    return found


def _sorted_by_step(several: Iterable[Points]) -> Points:
    whole = Points(*(point_columns.concatenate(list(columns)) for columns in zip(*several, strict=True)))
    return whole.take(point_columns.order_by(whole.steps, whole.times))


def _make_ghost(series: Series, effective: Series, attempt: int, points: Points) -> Ghost:
    ghost = _series_like(series, _sorted_by_step([points]))
    deviation, at_step, steps = _compare(effective.points, ghost.points)
    return Ghost(attempt, ghost, steps, deviation, at_step)


def _compare(effective: Points, ghost: Points) -> tuple[float, int | None, int]:
    """Return the greatest difference at one step, that step, and the number of steps that both have."""
    numpy = require_numpy("the comparison of attempts")
    mine, own = numpy.unique(numpy.asarray(effective.steps)[::-1], return_index=True)
    theirs, other = numpy.unique(numpy.asarray(ghost.steps)[::-1], return_index=True)
    shared, here, there = numpy.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    with numpy.errstate(invalid="ignore"):
        apart = numpy.abs(
            numpy.asarray(effective.values)[::-1][own[here]] - numpy.asarray(ghost.values)[::-1][other[there]]
        )
    known = numpy.flatnonzero(~numpy.isnan(apart))
    if not len(known):
        return math.nan, None, len(shared)
    place = known[apart[known].argmax()]
    return float(apart[place]), int(shared[place]), len(shared)


def _series_like(series: Series, points: Points) -> Series:
    return Series(series.name, points, run=series.run, type=series.type, source=series.source)
