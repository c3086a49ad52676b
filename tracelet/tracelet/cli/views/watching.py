"""One frame of ``tracelet watch``: what is known of a run at a moment, fitted to the terminal."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tracelet.cli.views.curves import Curve, draw_curves
from tracelet.cli.views.formatting import format_count, format_duration, format_number, format_size
from tracelet.cli.views.screen import join_parts, state_text
from tracelet.store.goals import best_value
from tracelet.store.metric_keys import as_patterns, select_metrics
from tracelet.store.point_columns import plain_list
from tracelet.store.rewinds import split_rewinds

if TYPE_CHECKING:
    from tracelet.store import RunRecord, Series
    from tracelet.store.accumulator import Summary

SIDE: Final = 34  # columns of the facts beside the curves
NARROW: Final = 76  # columns below which the facts go below the curves
LOWEST: Final = 7  # lines of a curve with its title and axis
MOST_CURVES: Final = 4
_WINDOW: Final = 30  # looks over which a rate is averaged
#: Parameters that say how long a run will be.
_STEPS: Final = re.compile(
    r"(?:.*[/._])?(?:max|total|num|n)?_?(?:train(?:ing)?_)?(?:steps|iterations|iters)", re.IGNORECASE
)
_EPOCHS: Final = re.compile(r"(?:.*[/._])?(?:max|total|num|n)?_?(?:train_)?epochs", re.IGNORECASE)
_SYSTEM: Final = (
    "cpu/percent",
    "load/1m",
    "memory/percent",
    "process/rss_bytes",
    "disk/percent",
    "utilization",
    "memory/used_bytes",
)


class Look(NamedTuple):
    """What was counted at a moment."""

    at: float
    points: int
    step: float


class Watched:
    """A run that is watched, and how it moves."""

    def __init__(
        self,
        record: RunRecord,
        metrics: Sequence[str] = (),
        total: int | None = None,
        read: Callable[[], RunRecord] | None = None,
    ) -> None:
        self.record = record
        self._read = read or record.refresh
        self._metrics = metrics
        self._total = total
        self._looks: deque[Look] = deque(maxlen=_WINDOW)
        self._note()

    def update(self) -> None:
        """Read the run again."""
        self.record = self._read()
        self._note()

    def _note(self) -> None:
        self.summary = self.record.summary()
        self.own = {name: one for name, one in self.summary.items() if one["type"] != "system"}
        points = sum(one["count"] for one in self.summary.values())
        self._looks.append(Look(time.monotonic(), points, self.position))

    @property
    def shown(self) -> list[str]:
        """The metrics whose curves are drawn: those that were asked for, or the first of the program's own."""
        if self._metrics:
            return select_metrics(list(self._metrics), self.summary, missing_ok=True)
        varied = [name for name, one in self.own.items() if one["count"] > 1]
        return [name for name in varied if self.record.goal(name)] or varied

    @property
    def total(self) -> float | None:
        """How many steps (or epochs) there will be, if that is known."""
        if self._total is not None:
            return self._total
        epoch = self._epoch()
        for pattern in (_STEPS, *([_EPOCHS] if epoch is not None else [])):
            for name, value in self.record.params.items():
                is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
                if is_number and value > 0 and math.isfinite(value) and pattern.fullmatch(name):
                    return float(value)
        return None

    def _epoch(self) -> float | None:
        """Return the latest value of a metric that counts epochs."""
        for name, one in self.own.items():
            if name.rpartition("/")[2].lower() == "epoch" and math.isfinite(one["last"]):
                return one["last"]
        return None

    @property
    def position(self) -> float:
        """The latest step, or the latest epoch if the total is one of epochs."""
        epoch = self._epoch()
        if self._total is None and epoch is not None and not any(map(_STEPS.fullmatch, self.record.params)):
            return epoch
        return float(max((one["last_step"] for one in self.own.values()), default=0))

    def rate(self, what: str) -> float | None:
        """Return points or steps per second, lately; of a run that was only looked at once, over its whole time."""
        first, last = self._looks[0], self._looks[-1]
        if last.at - first.at > 1.0:
            return max(0.0, float(getattr(last, what) - getattr(first, what)) / (last.at - first.at))
        duration = self.record.duration
        return float(getattr(last, what)) / duration if duration > 0 else None

    @property
    def left(self) -> float | None:
        """How many seconds are left, if the total is known and the run moves."""
        rate, total = self.rate("step"), self.total
        if total is None or not rate or self.record.outcome != "running":
            return None
        return max(0.0, total - self.position) / rate


def draw_frame(watched: Watched, width: int, height: int, *, ascii_only: bool = False) -> RenderableType:
    """Return a frame that fits a terminal of this size."""
    head = [_on_one_line(line, ascii_only) for line in _head(watched, width, ascii_only)]
    room = height - len(head) - 2
    facts = list(_facts(watched, room if width >= NARROW else max(3, room // 3)))
    if width < NARROW:
        curves = list(_curves(watched, width, room - len(facts) - 1, ascii_only))
        lines = [*head, Text(), *curves, Text(), *facts]
        return Group(*(_on_one_line(line, ascii_only) for line in lines[:height]))
    curves = list(_curves(watched, width - SIDE - 2, room, ascii_only))[: max(1, room)]
    body = Table.grid(padding=(0, 2, 0, 0))
    body.add_column(width=width - SIDE - 2, no_wrap=True)
    body.add_column(width=SIDE - 1, no_wrap=True, overflow="ellipsis")
    body.add_row(Group(*curves), Group(*facts))
    return Group(*head, Text(), body)


def _on_one_line(text: Text, ascii_only: bool) -> Text:
    text.no_wrap, text.overflow = True, "crop" if ascii_only else "ellipsis"
    return text


def _head(watched: Watched, width: int, ascii_only: bool) -> Iterator[Text]:
    record = watched.record
    dot = "|" if ascii_only else "·"
    yield join_parts(
        (record.name, "bold"), f" {dot} ", (record.id, "cyan"), f" {dot} ", state_text(record.outcome)
    )
    parts = [f"step {format_number(watched.position)}", f"took {format_duration(record.duration)}"]
    total, left = watched.total, watched.left
    if total is not None:
        parts[0] += f" of {format_number(total)}"
    if left is not None:
        parts.append(
            f"ETA {format_duration(left)} ({time.strftime('%H:%M', time.localtime(time.time() + left))})"
        )
    yield Text(f" {dot} ".join(parts), "dim")
    if total is not None:
        yield _bar(min(1.0, watched.position / total), width, ascii_only)
    if record.error:
        yield join_parts((record.error.splitlines()[0][: width - 1], "red"))


def _bar(share: float, width: int, ascii_only: bool) -> Text:
    label = f" {100 * share:3.0f}%"
    cells = max(4, min(width, 100) - len(label))
    done = round(share * cells)
    full, rest = ("#", "-") if ascii_only else ("━", "─")
    return Text(full * done, "green").append(rest * (cells - done), "dim").append(label)


def _curves(watched: Watched, width: int, room: int, ascii_only: bool) -> Iterator[Text]:
    """Yield the lines of as many curves as there is room for."""
    names = watched.shown[: max(1, min(MOST_CURVES, room // LOWEST))]
    if not names:
        yield Text("no metric has two points yet", "dim")
        return
    height = max(LOWEST, room // len(names)) - 3  # the title, the axis and its labels
    for series in watched.record.series(as_patterns(names), missing_ok=True):
        effective, ghosts = split_rewinds(series)
        yield join_parts((series.name, "bold"), (f"  {format_number(effective.last)}", "cyan"))
        curves = [_curve(effective, width), *(_curve(ghost.series, width, faint=True) for ghost in ghosts)]
        yield from draw_curves(curves, width, max(2, height), ascii_only=ascii_only) or [
            Text("no number to draw", "dim")
        ]


def _curve(series: Series, width: int, *, faint: bool = False) -> Curve:
    thin = series.downsample(max(2, 4 * width))
    return Curve(series.name, plain_list(thin.points.steps), plain_list(thin.points.values), faint, 0)


def _facts(watched: Watched, room: int) -> Iterator[Text]:
    """Yield what is said beside the curves, the most important first."""
    lines = [
        *_rates(watched),
        *_delivery(watched),
        *_metrics(watched),
        *_plugins(watched),
        *_machine(watched),
    ]
    shown = lines if len(lines) <= room else lines[: max(0, room)]
    yield from shown


def _rates(watched: Watched) -> Iterator[Text]:
    yield Text("rates", "bold")
    for what, unit in (("step", "steps/s"), ("points", "points/s")):
        rate = watched.rate(what)
        if rate is not None:
            yield _fact(unit, format_number(rate))
    dropped = sum(watched.record.dropped.values())
    if dropped:
        yield _fact("lost points", format_count(dropped), "red")


def _delivery(watched: Watched) -> Iterator[Text]:
    from tracelet.delivery import progress

    known = progress(watched.record.dir)
    if known:
        yield Text("backends", "bold")
    for each in known:
        word = f"{format_count(each.pending)} pending" if each.pending else "up to date"
        yield _fact(each.backend, word, "yellow" if each.error else "green")
        if each.error:
            yield join_parts((f"  {each.error}", "yellow"))


def _plugins(watched: Watched) -> Iterator[Text]:
    """Yield the calls, errors and wall time of each plugin, the most expensive first."""
    costs = watched.record.plugins
    if costs:
        yield Text("plugins", "bold").append("  calls, time", "dim")
    for name, cost in sorted(costs.items(), key=lambda one: (-one[1]["errors"], -one[1]["wall_s"])):
        errors = int(cost["errors"])
        word = f"{format_count(int(cost['calls']))} {format_duration(cost['wall_s']):>8}"
        is_failed = errors or cost["state"] == "error"
        yield _fact(name, f"{errors} failed, {word}" if errors else word, "red" if is_failed else "")


def _metrics(watched: Watched) -> Iterator[Text]:
    if watched.own:
        yield Text("metrics", "bold").append("  last, best", "dim")
    for name, one in watched.own.items():
        best = best_value(one, watched.record.goal(name))
        value = format_number(one["last"])
        yield _fact(name, value if best is None else f"{value} {format_number(best):>9}")


def _machine(watched: Watched) -> Iterator[Text]:
    found = {name: one for name, one in watched.summary.items() if name.endswith(_SYSTEM)}
    if found:
        yield Text("machine", "bold")
    for name, one in found.items():
        yield _fact(name.removeprefix("system/"), _measured(name, one))


def _measured(name: str, summary: Summary) -> str:
    value = summary["last"]
    if not math.isfinite(value):
        return format_number(value)
    if name.endswith("bytes"):
        return format_size(int(value))
    return f"{value:.0f}%" if name.endswith(("percent", "utilization")) else format_number(value)


def _fact(label: str, value: str, style: str = "") -> Text:
    room = SIDE - 3 - len(value)
    label = label if len(label) <= room else f"…{label[1 - room :]}" if room > 1 else ""
    return join_parts((label.ljust(room), "dim"), " ", (value, style))
