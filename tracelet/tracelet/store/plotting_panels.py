"""What a figure shows, whichever library draws it: panels, lines, and what a reader has to be told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from tracelet.errors import UsageError
from tracelet.messages import one_of
from tracelet.store.drawable import DrawableSeries
from tracelet.store.point_columns import load_numpy, plain_list
from tracelet.store.rewinds import Ghost, describe_ghost, split_rewinds

AXES: Final = {"step": "step", "time": "time since the first point (s)", "wall": "time"}
POINTS: Final = 2000  # of a line: about what a screen can show
_TIMES: Final = (-3e10, 2e11)  # seconds since the epoch that are dates: about the years 1000 to 8000


class Stretch(NamedTuple):
    """What a line's run recorded and then computed again."""

    attempt: int
    x: list[float]
    y: list[float]


class Line(NamedTuple):
    """A line of a figure: its label, and the points after downsampling. ``raw`` is what a smoothed line stands for.

    Wall times are seconds since the epoch.
    """

    label: str
    x: list[float]
    y: list[float]
    raw: list[float] | None = None
    ghosts: Sequence[Stretch] = ()


class Panel(NamedTuple):
    """The lines of one metric. ``notes`` say what the lines do not show; ``empty`` says why there is nothing to see."""

    title: str
    lines: list[Line]
    notes: list[str]
    empty: str | None
    hidden: int = 0  # points that a logarithmic axis cannot show

    @property
    def columns(self) -> list[list[float]]:
        """Everything that is drawn."""
        return [
            column
            for line in self.lines
            for column in (line.y, *([line.raw] if line.raw is not None else []), *(g.y for g in line.ghosts))
        ]


class Style(NamedTuple):
    """How curves are drawn."""

    x: str = "step"
    smoothing: float = 0.0
    log: bool = False
    points: int = POINTS

    def check(self) -> Style:
        """Return the style. Raises :class:`UsageError` for a value that it cannot have."""
        if self.x not in AXES:
            raise UsageError(f"plot: expected {one_of(AXES)} as x, found {self.x!r}")
        is_number = isinstance(self.smoothing, (int, float)) and not isinstance(self.smoothing, bool)
        if not is_number or not 0 <= self.smoothing < 1:
            raise UsageError(
                f"plot: expected smoothing from 0 up to, not including, 1, found {self.smoothing!r}"
            )
        if not isinstance(self.points, int) or self.points < 2:
            raise UsageError(f"plot: expected at least 2 points, found {self.points!r}")
        return self


def make_panels(several: Sequence[DrawableSeries], style: Style, names: Mapping[str, str]) -> list[Panel]:
    """Return a panel per metric, with a line per run. ``names`` are the names of runs by id."""
    by_metric: dict[str, list[DrawableSeries]] = {}
    for series in several:
        by_metric.setdefault(series.name, []).append(series)
    return [_make_panel(metric, of_metric, style, names) for metric, of_metric in by_metric.items()]


def _make_panel(
    metric: str, several: Sequence[DrawableSeries], style: Style, names: Mapping[str, str]
) -> Panel:
    lines, ghost_notes = [], []
    total = odd = hidden = 0
    for series in several:
        effective, ghosts = split_rewinds(series)
        label = names.get(series.run, series.run)
        lines.append(_make_line(effective, ghosts, style, label))
        prefix = f"{label}: " if len(several) > 1 else ""
        ghost_notes += [prefix + describe_ghost(ghost) for ghost in ghosts]
        total += len(effective)
        odd += _count_odd(effective.points.values)
        hidden += _count_not_positive(effective.points.values) if style.log else 0
    notes = [f"{hidden} of {_points(total)} not shown: 0 or less on a log axis"] if hidden else []
    notes += [f"{odd} of {_points(total)} NaN or infinite"] if odd else []
    return Panel(metric, lines, [*notes, *ghost_notes], _why_empty(total, odd, hidden), hidden)


def _why_empty(total: int, odd: int, hidden: int) -> str | None:
    if not total:
        return "no points"
    if odd == total:
        return "no finite value"
    return "no value above 0 to show on a log axis" if odd + hidden == total else None


def _points(count: int) -> str:
    return f"{count} point{'' if count == 1 else 's'}"


def find_lonely(y: Sequence[float], *, log: bool) -> list[int]:
    """Return the places of the values without a neighbor to draw a line to."""
    is_shown = [math.isfinite(value) and (value > 0 or not log) for value in y]
    edged = [False, *is_shown, False]
    return [at for at, shown in enumerate(is_shown) if shown and not edged[at] and not edged[at + 2]]


def _count_odd(values: Any) -> int:
    numpy = load_numpy()
    if numpy is not None:
        return len(values) - int(numpy.isfinite(numpy.asarray(values)).sum())
    return sum(not math.isfinite(value) for value in values)


def _count_not_positive(values: Any) -> int:
    """Count the finite values that have no logarithm."""
    numpy = load_numpy()
    if numpy is not None:
        items = numpy.asarray(values)
        return int(((items <= 0) & numpy.isfinite(items)).sum())
    return sum(value <= 0 and math.isfinite(value) for value in values)


def _make_line(series: DrawableSeries, ghosts: Sequence[Ghost], style: Style, label: str) -> Line:
    start = 0.0
    if style.x == "time":
        every = [series, *(ghost.series for ghost in ghosts)]
        start = min((time for one in every for time in plain_list(one.points.times)), default=0.0)
    thin = series.downsample(style.points)
    x, y, steps = _place(thin, style, start), plain_list(thin.points.values), plain_list(thin.points.steps)
    stretches = [_make_stretch(ghost, style, start) for ghost in ghosts]
    if not style.smoothing:
        return Line(label, x, y, None, stretches)
    return Line(label, x, smooth(steps, y, style.smoothing), y, stretches)


def _make_stretch(ghost: Ghost, style: Style, start: float) -> Stretch:
    thin = ghost.series.downsample(style.points)
    y = plain_list(thin.points.values)
    if style.smoothing:
        y = smooth(plain_list(thin.points.steps), y, style.smoothing)
    return Stretch(ghost.attempt, _place(thin, style, start), y)


def _place(series: DrawableSeries, style: Style, start: float) -> list[float]:
    """Return the x of each point."""
    if style.x == "step":
        return plain_list(series.points.steps)
    times = plain_list(series.points.times)
    if not all(_TIMES[0] <= each <= _TIMES[1] for each in times):
        raise UsageError(f"plot: {series.name} has times that are not dates; its points can be drawn by step")
    return [each - start for each in times]


def smooth(x: Sequence[float], y: Sequence[float], smoothing: float) -> list[float]:
    """Return an exponential moving average of values, weighted by the distance of their steps.

    ``smoothing`` is the weight that the past keeps over a distance of one mean step, from 0 (no smoothing) up to 1. So
    a curve that was logged every tenth step looks like one that was logged at every step. The start is not biased
    toward zero; NaN and infinities are passed through and change nothing else.
    """
    spans = [later - earlier for earlier, later in pairwise(x) if later > earlier]
    mean = math.fsum(spans) / len(spans) if spans else 1.0
    average, weight, before = 0.0, 0.0, x[0] if x else 0.0
    result: list[float] = []
    for place, value in zip(x, y, strict=True):
        if not math.isfinite(value):
            result.append(value)
            continue
        kept = smoothing ** (max(0.0, place - before) / mean) if weight else 0.0
        average, weight = kept * average + (1 - kept) * value, 1.0
        if not math.isfinite(average):  # rounded beyond the greatest float
            average = value
        before = place
        result.append(average)
    return result
