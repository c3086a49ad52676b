"""The development of each metric of a run: last value, best value, and its trend as a line of characters."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.text import Text

from tracelet.cli.views.formatting import format_count, format_number
from tracelet.cli.views.screen import styled_text
from tracelet.store.goals import best_value
from tracelet.store.metric_keys import as_patterns
from tracelet.store.point_columns import find_value
from tracelet.store.rewinds import split_rewinds

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord, Series
    from tracelet.store.accumulator import Summary

LONGEST_TREND: Final = 24  # characters in a table
SHORTEST_TREND: Final = 8  # a narrower column is useless
SYSTEM: Final = "system"  # the type of collectors' metrics
BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII_LEVELS: Final = "_.-=+*#"
GAP: Final = " "  # a share without a finite value
SAMPLES: Final = 256  # values read per character, evenly spread: a million points draw as quickly


class MetricSummary(NamedTuple):
    """The summary of one metric of one run. :func:`load_points` fills in ``best_step`` and ``values``."""

    name: str
    type: str
    source: str | None
    points: int
    last: float
    last_step: int
    min: float
    max: float
    mean: float
    direction: str | None  # which is better: "min", "max", or None if unknown
    best: float | None  # None if the direction is unknown
    best_step: int | None = None  # of the first point with the best value
    values: Sequence[float] = ()

    @property
    def is_measured(self) -> bool:
        """Whether a collector measured it rather than the program."""
        return self.type == SYSTEM

    def as_dict(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {key: value for key, value in self._asdict().items() if key != "values"}


def summarize_metrics(record: RunRecord, names: Collection[str] | None = None) -> list[MetricSummary]:
    """Summarize metrics of a run (by default all) without reading their points: the program's own come first."""
    wanted = None if names is None else set(names)
    found = [
        _summarize_metric(name, summary, record.goal(name))
        for name, summary in record.summary().items()
        if wanted is None or name in wanted
    ]
    return sorted(found, key=lambda metric: (metric.is_measured, metric.source or "", metric.name))


def _summarize_metric(name: str, summary: Summary, goal: str | None) -> MetricSummary:
    direction = goal if goal in ("min", "max") else None  # there is no best value if the last one counts
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
        direction=direction,
        best=best_value(summary, direction),
    )


def load_points(record: RunRecord, metrics: Iterable[MetricSummary]) -> list[MetricSummary]:
    """Return the same summaries with ``best_step`` and ``values``, reading the points of these metrics only."""
    wanted = {metric.name: metric for metric in metrics}
    return [
        _add_points(wanted[series.name], series)
        for series in record.series(as_patterns(wanted), missing_ok=True)
        if series.name in wanted
    ]


def _add_points(metric: MetricSummary, series: Series) -> MetricSummary:
    step = None if metric.best is None else _find_step(metric.best, series)
    return metric._replace(best_step=step, values=split_rewinds(series).effective.points.values)


def _find_step(value: float, series: Series) -> int | None:
    """Return the step at which a series first had a value."""
    try:
        return int(series.points.steps[find_value(series.points.values, value)])
    except ValueError:
        return None


def print_trends(screen: Screen, metrics: Sequence[MetricSummary], *, indent: int = 0) -> None:
    """Print a table of metrics. The trend gets the room that the other columns leave."""
    heads = ["metric", "last", "best", "at step", "points", "trend"]
    rows = [_format_row(screen, metric) for metric in metrics]
    room = screen.fit_columns(heads, rows, ("points", "at step"), indent=indent, reserve=SHORTEST_TREND)
    width = min(room, LONGEST_TREND)
    for row, metric in zip(rows, metrics, strict=True):
        if metric.points > 1 and width > 0:
            row[-1] = Text(draw_sparkline(metric.values, width, ascii_only=screen.ascii_only), "cyan")
    screen.table(
        heads,
        rows,
        right=("last", "best", "at step", "points"),
        whole=("trend",),
        optional=("points", "at step", "trend", "best"),
        indent=indent,
    )


def _format_row(screen: Screen, metric: MetricSummary) -> list[str | Text]:
    best, step = format_best(screen, metric)
    return [
        styled_text(metric.name, "bold" if not metric.is_measured else ""),
        format_number(metric.last),
        best,
        step,
        format_count(metric.points),
        "",
    ]


def format_best(screen: Screen, metric: MetricSummary) -> tuple[Text, str]:
    """Return the best value and its step, or the range of the values if it is unknown which is better."""
    if metric.best is not None and metric.points > 1:
        return Text(format_number(metric.best), "green"), "" if metric.best_step is None else str(
            metric.best_step
        )
    if metric.points < 2 or math.isnan(metric.min) or metric.min == metric.max:
        return Text(""), ""
    between = ".." if screen.ascii_only else "…"
    return Text(f"{format_number(metric.min)} {between} {format_number(metric.max)}", "dim"), ""


def draw_sparkline(values: Sequence[float], width: int = 20, *, ascii_only: bool = False) -> str:
    """Draw values from left to right, each character the mean of an equal share of them.

    NaN and infinities are left out of the means; a share with no other value is drawn as a gap. A constant
    is a low line. Without any finite value nothing is drawn.
    """
    levels = ASCII_LEVELS if ascii_only else BLOCKS
    means = _average_shares(values, min(width, len(values)))
    finite = [mean for mean in means if mean is not None]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    return "".join(
        GAP if mean is None else levels[_find_level(mean, low, high, len(levels))] for mean in means
    )


def _average_shares(values: Sequence[float], shares: int) -> list[float | None]:
    """Split values into equal shares and average each; ``None`` for a share without a finite value."""
    means: list[float | None] = []
    for at in range(shares):
        share = values[at * len(values) // shares : (at + 1) * len(values) // shares]
        samples = share[:: max(len(share) // SAMPLES, 1)]
        finite = [float(value) for value in samples if math.isfinite(value)]
        # Divide first: the sum of two huge values may be infinite.
        means.append(math.fsum(value / len(finite) for value in finite) if finite else None)
    return means


def _find_level(value: float, low: float, high: float, levels: int) -> int:
    span = high / 2 - low / 2  # halved, because the span of two huge values may be infinite
    if span <= 0:
        return 0
    return min(int((value / 2 - low / 2) / span * levels), levels - 1)
