"""How each metric of a run went: last, best, a line of its course."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.text import Text

from tracelet.cli.views.best import direction
from tracelet.cli.views.numbers import count, number
from tracelet.cli.views.sparkline import sparkline
from tracelet.messages import plain

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord, Series
    from tracelet.store.accumulator import Summary

SPARK: Final = 24  # characters of a sparkline
SYSTEM: Final = "system"  # the type of what collectors measured


class MetricSummary(NamedTuple):
    """One metric of one run, in short. What its points alone can tell is there once it is :func:`drawn`."""

    name: str
    type: str
    source: str | None
    points: int
    last: float
    last_step: int
    min: float
    max: float
    mean: float
    direction: str | None  # which way is better: "min", "max", unknown
    best: float | None  # where that is known
    best_step: int | None = None  # of the first point that has it
    values: Sequence[float] = ()

    @property
    def is_measured(self) -> bool:
        """Whether a collector measured it, rather than the program."""
        return self.type == SYSTEM

    def as_dict(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {key: value for key, value in self._asdict().items() if key != "values"}


def courses(record: RunRecord, names: Collection[str] | None = None) -> list[MetricSummary]:
    """Return metrics of a run (all of them) in short: the program's own first, then what collectors measured.

    No point is read for it.
    """
    found = [
        _course(name, summary) for name, summary in record.summary().items() if names is None or name in names
    ]
    return sorted(found, key=lambda course: (course.is_measured, course.source or "", course.name))


def _course(name: str, summary: Summary) -> MetricSummary:
    way = direction(name)
    best = None if way is None else summary["min"] if way == "min" else summary["max"]
    return MetricSummary(
        name=name,
        type=summary["type"],
        source=summary["source"],
        points=summary["count"],
        last=summary["last"],
        last_step=summary["last_step"],
        min=summary["min"],
        max=summary["max"],
        mean=summary["mean"],
        direction=way,
        best=None if best is None or math.isnan(best) else best,
    )


def drawn(record: RunRecord, found: Iterable[MetricSummary]) -> list[MetricSummary]:
    """Return courses with their points, which are read for it, and no others."""
    wanted = {course.name: course for course in found}
    return [_with_points(wanted[series.name], series) for series in record.series(wanted, missing_ok=True)]


def _with_points(course: MetricSummary, series: Series) -> MetricSummary:
    step = None if course.best is None else _step_of(course.best, series)
    return course._replace(best_step=step, values=series.points.values)


def _step_of(value: float, series: Series) -> int | None:
    """Return the step at which a series first had a value."""
    values = series.points.values
    if hasattr(values, "index"):
        place = values.index(value) if value in values else len(values)
    else:
        places = (values == value).nonzero()[0]
        place = int(places[0]) if len(places) else len(values)
    return int(series.points.steps[place]) if place < len(values) else None


def print_courses(screen: Screen, found: Iterable[MetricSummary], *, indent: int = 0) -> None:
    """Print a table of metrics."""
    width = SPARK if screen.console.width >= 80 else SPARK // 2
    rows = [_row(screen, course, width) for course in found]
    heads = ("metric", "last", "best", "at step", "points", "course")
    screen.table(
        heads,
        rows,
        right=("last", "best", "at step", "points"),
        whole=("course",),
        optional=("points", "at step", "course", "best"),
        indent=indent,
    )


def _row(screen: Screen, course: MetricSummary, width: int) -> list[str | Text]:
    best, step = best_text(screen, course)
    return [
        Text(plain(course.name), "bold" if not course.is_measured else ""),
        number(course.last),
        best,
        step,
        count(course.points),
        Text(
            sparkline(course.values, width, ascii_only=screen.ascii_only) if course.points > 1 else "", "cyan"
        ),
    ]


def best_text(screen: Screen, course: MetricSummary) -> tuple[Text, str]:
    """Return the best value and its step; where nobody knows which way is up, the least and the greatest."""
    if course.best is not None and course.points > 1:
        return Text(number(course.best), "green"), str(course.best_step)
    if course.points < 2 or math.isnan(course.min) or course.min == course.max:
        return Text(""), ""
    between = ".." if screen.ascii_only else "…"
    return Text(f"{number(course.min)} {between} {number(course.max)}", "dim"), ""
