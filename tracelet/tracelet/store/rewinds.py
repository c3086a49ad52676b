"""Stretches that a resumed run computed again: what counts, what was replaced, and how far the two differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from tracelet.journal import Part
from tracelet.store import point_columns
from tracelet.store.drawable import DrawableSeries, Origin
from tracelet.store.point_columns import Points, plain_list


class Ghost(NamedTuple):
    """The points of an earlier attempt that a later one replaced.

    ``deviation`` is the greatest difference between the two at one step, and ``at_step`` where it is; ``steps`` is the
    number of steps that both have. NaN and ``None`` if they share no step with a number.
    """

    attempt: int
    series: Any  # a Series; naming the class here would make two modules import each other
    steps: int
    deviation: float
    at_step: int | None


class Rewound(NamedTuple):
    """The series that counts, and what was recorded and then computed again."""

    effective: Any  # a Series, too
    ghosts: list[Ghost]


def split_rewinds(series: DrawableSeries) -> Rewound:
    """Separate what a resumed run computed again.

    Each attempt replaces what earlier ones recorded from its own first step on. A run of one attempt, and one that
    resumed where it had stopped, has no ghosts.
    """
    origin = series.origin
    attempts = _parts_by_attempt(origin) if origin is not None else {}
    if origin is None or len(attempts) < 2:
        return Rewound(series, [])
    kept: list[Points] = []
    replaced: list[tuple[int, Points]] = []
    limit: int | None = None
    for attempt in sorted(attempts, reverse=True):
        points = origin.merge(attempts[attempt])[0]
        first = int(min(plain_list(points.steps)))
        if limit is not None:
            again = points.take(point_columns.find_between(points.steps, limit))
            replaced += [(attempt, again)] if len(again.steps) else []
            points = points.take(point_columns.find_between(points.steps, last=limit - 1))
        kept.append(points)
        limit = first if limit is None else min(limit, first)
    if not replaced:
        return Rewound(series, [])
    effective = series.replaced_by(_sorted_by_step(kept))
    ghosts = [_make_ghost(series, effective, attempt, points) for attempt, points in reversed(replaced)]
    return Rewound(effective, ghosts)


def describe_ghost(ghost: Ghost) -> str:
    """Return in words what a resumed run computed again, and how far the results are apart."""
    steps = ghost.series.points.steps
    where = f"steps {int(steps[0])} to {int(steps[-1])} computed again"
    if ghost.deviation == 0:
        return f"{where}: identical"
    apart = "" if ghost.at_step is None else f", up to {ghost.deviation:.4g} apart at step {ghost.at_step}"
    return f"{where}: the faint line is attempt {ghost.attempt}{apart}"


def _parts_by_attempt(origin: Origin) -> dict[int, list[Part]]:
    known = origin.attempts()
    found: dict[int, list[Part]] = {}
    for part in origin.parts:
        if part.stop > part.start:
            found.setdefault(known.get(part.writer, 0), []).append(part)
    return found


def _sorted_by_step(several: Iterable[Points]) -> Points:
    whole = Points(*(point_columns.concatenate(list(columns)) for columns in zip(*several, strict=True)))
    return whole.take(point_columns.order_by(whole.steps, whole.times))


def _make_ghost(series: DrawableSeries, effective: DrawableSeries, attempt: int, points: Points) -> Ghost:
    ghost = series.replaced_by(_sorted_by_step([points]))
    deviation, at_step, steps = _compare(effective.points, ghost.points)
    return Ghost(attempt, ghost, steps, deviation, at_step)


def _compare(effective: Points, ghost: Points) -> tuple[float, int | None, int]:
    """Return the greatest difference at one step, that step, and the number of steps that both have."""
    numpy = point_columns.load_numpy()
    if numpy is None:
        return _compare_plainly(effective, ghost)
    mine, own = numpy.unique(numpy.asarray(effective.steps)[::-1], return_index=True)
    theirs, other = numpy.unique(numpy.asarray(ghost.steps)[::-1], return_index=True)
    shared, here, there = numpy.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    with numpy.errstate(invalid="ignore", over="ignore"):
        apart = numpy.abs(
            numpy.asarray(effective.values)[::-1][own[here]] - numpy.asarray(ghost.values)[::-1][other[there]]
        )
    known = numpy.flatnonzero(~numpy.isnan(apart))
    if not len(known):
        return math.nan, None, len(shared)
    place = known[apart[known].argmax()]
    return float(apart[place]), int(shared[place]), len(shared)


def _compare_plainly(effective: Points, ghost: Points) -> tuple[float, int | None, int]:
    """Do the same without NumPy. Of several values at a step, the last one counts."""
    mine, theirs = (dict(zip(one.steps, one.values, strict=True)) for one in (effective, ghost))
    shared = sorted(mine.keys() & theirs.keys())
    apart = {step: abs(mine[step] - theirs[step]) for step in shared}
    known = {step: one for step, one in apart.items() if not math.isnan(one)}
    if not known:
        return math.nan, None, len(shared)
    step = max(known, key=known.__getitem__)
    return float(known[step]), int(step), len(shared)
