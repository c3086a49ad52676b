"""Curves drawn with characters: eight dots of Braille in each, or one mark where only ASCII can be shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from rich.text import Text

from tracelet.cli.views.formatting import format_ticks
from tracelet.cli.views.screen import styled_text

STYLES: Final = ("cyan", "magenta", "yellow", "green", "blue", "red")
MARKS: Final = "*+ox#@"
_DOTS: Final = (
    (0x01, 0x08),
    (0x02, 0x10),
    (0x04, 0x20),
    (0x40, 0x80),
)  # of a Braille character, by row and column
_BRAILLE: Final = 0x2800


class Curve(NamedTuple):
    """A curve: points in the order in which they are connected. A ``faint`` one is dotted, and behind the others.

    ``color`` is the place of its color; by default the curve's own place among the curves.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    faint: bool = False
    color: int | None = None


class Range(NamedTuple):
    """The part of an axis that is shown."""

    low: float
    high: float

    def place(self, value: float, cells: int) -> int:
        """Return the place of a value among ``cells``, from 0."""
        span = self.high / 2 - self.low / 2  # halved: the span of two huge values may be infinite
        if span <= 0:
            return cells // 2
        return min(cells - 1, max(0, round((value / 2 - self.low / 2) / span * (cells - 1))))


def draw_curves(
    curves: Sequence[Curve],
    width: int,
    height: int,
    *,
    ascii_only: bool = False,
    log: bool = False,
    format_ends: Callable[[float, float], Sequence[str]] | None = None,
) -> list[Text]:
    """Return the lines of a plot with its axes; NaN and infinities are gaps. Without any number, nothing is drawn.

    ``format_ends`` returns the labels of the ends of the horizontal axis, by default as numbers.
    """
    shown = [one._replace(y=[_scale(value, log) for value in one.y]) for one in curves]
    finite = [(x, y) for one in shown for x, y in zip(one.x, one.y, strict=True) if math.isfinite(y)]
    if not finite:
        return []
    across = Range(min(x for x, _ in finite), max(x for x, _ in finite))
    up = Range(min(y for _, y in finite), max(y for _, y in finite))
    labels = _tick_labels(up, height, log)
    margin = max(map(len, labels.values())) + 1
    columns = max(width - margin - 1, 2)
    canvas = _Canvas(columns, height, ascii_only=ascii_only)
    colored = [one if one.color is not None else one._replace(color=at) for at, one in enumerate(shown)]
    for one in sorted(colored, key=lambda one: not one.faint):
        _draw(canvas, one, across, up)
    edge = "|" if ascii_only else "│"
    tick = "+" if ascii_only else "┤"
    lines = []
    for row, cells in enumerate(canvas.rows()):
        label = labels.get(row, "").rjust(margin - 1)
        lines.append(Text(f"{label} {tick if row in labels else edge}", "dim").append_text(cells))
    ends = format_ends(*across) if format_ends is not None else format_ticks(across)
    return [*lines, *_bottom(ends, margin, columns, ascii_only=ascii_only)]


def _scale(value: float, log: bool) -> float:
    if not log:
        return value
    return math.log10(value) if value > 0 else math.nan


def _unscale(value: float) -> float:
    try:
        return math.pow(10, value)
    except OverflowError:
        return math.inf


def _tick_labels(up: Range, height: int, log: bool) -> dict[int, str]:
    """Return the labels of the vertical axis, by row."""
    middle = (height - 1) // 2
    if up.high == up.low:
        rows = {middle: up.high}
    else:
        rows = {0: up.high, height - 1: up.low}
        if height >= 5:
            share = middle / (height - 1)
            rows[middle] = up.high * (1 - share) + up.low * share
    texts = format_ticks([_unscale(value) if log else value for value in rows.values()])
    return dict(zip(rows, texts, strict=True))


def _bottom(ends: Sequence[str], margin: int, columns: int, *, ascii_only: bool) -> Iterator[Text]:
    corner, line = ("+", "-") if ascii_only else ("└", "─")
    yield Text(" " * margin + corner + line * columns, "dim")
    low, high = ends if len(set(ends)) > 1 else (ends[0], "")
    gap = columns - len(low) - len(high)
    yield Text(" " * (margin + 1) + (f"{low}{' ' * gap}{high}" if gap > 0 else low), "dim")


def _draw(canvas: _Canvas, curve: Curve, across: Range, up: Range) -> None:
    """Connect the points; one that has no neighbor is a dot. Of a faint curve, only every third dot is set."""
    before: tuple[int, int] | None = None
    spacing = 3 if curve.faint else 1
    for x, y in zip(curve.x, curve.y, strict=True):
        if not math.isfinite(y):
            before = None
            continue
        here = across.place(x, canvas.width), canvas.height - 1 - up.place(y, canvas.height)
        for point in _line(before or here, here):
            if (point[0] + point[1]) % spacing == 0:
                canvas.set(*point, curve.color or 0)
        before = here


def _line(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    (x0, y0), (x1, y1) = start, end
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    for step in range(steps + 1):
        yield x0 + round((x1 - x0) * step / steps), y0 + round((y1 - y0) * step / steps)


class _Canvas:
    """Cells of characters; a cell has the color of the curve that was drawn into it last."""

    def __init__(self, columns: int, rows: int, *, ascii_only: bool) -> None:
        self._ascii = ascii_only
        self._dots = [[0] * columns for _ in range(rows)]
        self._curves = [[0] * columns for _ in range(rows)]
        self.width, self.height = (columns, rows) if ascii_only else (2 * columns, 4 * rows)

    def set(self, x: int, y: int, curve: int) -> None:
        """Set a dot."""
        column, row = (x, y) if self._ascii else (x // 2, y // 4)
        self._dots[row][column] |= 1 if self._ascii else _DOTS[y % 4][x % 2]
        self._curves[row][column] = curve

    def rows(self) -> Iterator[Text]:
        """Yield each row as text."""
        for dots, curves in zip(self._dots, self._curves, strict=True):
            text = Text()
            for cell, curve in zip(dots, curves, strict=True):
                if not cell:
                    text.append(" ")
                else:
                    mark = MARKS[curve % len(MARKS)] if self._ascii else chr(_BRAILLE + cell)
                    text.append(mark, STYLES[curve % len(STYLES)])
            yield text


def draw_legend(labels: Sequence[str], *, ascii_only: bool = False) -> Text:
    """Return the names of several curves, each with its mark or color."""
    text = Text()
    for at, label in enumerate(labels):
        mark = MARKS[at % len(MARKS)] if ascii_only else "━"
        text.append("  " if at else "").append(f"{mark} ", STYLES[at % len(STYLES)]).append_text(
            styled_text(label)
        )
    return text
