"""Curves as figures of Plotly or Matplotlib, and as picture files.

A figure has a panel per metric and a line per run. Long series are downsampled such that no peak is lost. Both
libraries are optional (extra ``plot``), and imported when a figure is made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.errors import MissingExtraError, UsageError
from tracelet.messages import one_of
from tracelet.store.drawable import DrawableSeries
from tracelet.store.point_columns import is_installed, plain_list

LIBRARIES: Final = ("plotly", "matplotlib")
AXES: Final = {"step": "step", "time": "time since the first point (s)", "wall": "time"}
SUFFIXES: Final = (".png", ".svg", ".pdf", ".html")
POINTS: Final = 2000  # of a line: about what a screen can show
MOST_PANELS: Final = 24
#: Colors that can be told apart on white and on black, also by people who do not see all colors (Okabe and Ito).
COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f8f8f", "#a6761d")


class Line(NamedTuple):
    """A line of a figure: its label, and the points after downsampling. ``raw`` is what a smoothed line stands for."""

    label: str
    x: list[Any]
    y: list[float]
    raw: list[float] | None = None


class Panel(NamedTuple):
    """The lines of one metric."""

    title: str
    lines: list[Line]


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
    return [
        Panel(metric, [_make_line(one, style, names.get(one.run, one.run)) for one in of_metric])
        for metric, of_metric in by_metric.items()
    ]


def _make_line(series: DrawableSeries, style: Style, label: str) -> Line:
    thin = series.downsample(style.points)
    x: list[Any] = plain_list(thin.points.steps)
    if style.x != "step":
        x = plain_list(thin.points.times)
        start = min(x, default=0.0)
        x = (
            [each - start for each in x]
            if style.x == "time"
            else [datetime.fromtimestamp(each) for each in x]
        )
    y = plain_list(thin.points.values)
    if not style.smoothing:
        return Line(label, x, y)
    return Line(label, x, smooth(plain_list(thin.points.steps), y, style.smoothing), y)


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
        before = place
        result.append(average)
    return result


# --- figures -------------------------------------------------------------------------------------------------


def plot(
    several: Sequence[DrawableSeries], style: Style, names: Mapping[str, str], library: str | None = None
) -> Any:
    """Return a figure: a ``plotly.graph_objects.Figure`` or a ``matplotlib.figure.Figure``.

    Raises:
        UsageError: there is nothing to draw, or an argument is invalid.
        MissingExtraError: neither library is installed.
    """
    if not several:
        raise UsageError("plot: expected a metric to draw, found none")
    library = choose_library(library)
    panels = make_panels(several, style.check(), names)
    if len(panels) > MOST_PANELS:
        raise UsageError(
            f"plot: expected at most {MOST_PANELS} metrics, found {len(panels)}; name some of them"
        )
    return (_plot_with_plotly if library == "plotly" else _plot_with_matplotlib)(panels, style)


def choose_library(library: str | None = None) -> str:
    """Return the library to draw with: the one that was asked for, or the first that is installed."""
    if library is not None and library not in LIBRARIES:
        raise UsageError(f"plot: expected {one_of(LIBRARIES)} as library, found {library!r}")
    found = [each for each in (LIBRARIES if library is None else (library,)) if is_installed(each)]
    if not found:
        raise MissingExtraError("plot", "plot")
    return found[0]


def _grid(panels: int) -> tuple[int, int]:
    """Return rows and columns."""
    columns = 1 if panels == 1 else 2 if panels in (2, 4) else 3
    return -(-panels // columns), columns


def _plot_with_plotly(panels: Sequence[Panel], style: Style) -> Any:
    import html

    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows, columns = _grid(len(panels))
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=[html.escape(panel.title) for panel in panels]
    )
    labels: dict[str, str] = {}
    for at, panel in enumerate(panels):
        place = {"row": at // columns + 1, "col": at % columns + 1}
        for line in panel.lines:
            is_new = line.label not in labels
            color = labels.setdefault(line.label, COLORS[len(labels) % len(COLORS)])
            common = {
                "x": line.x,
                "mode": "lines",
                "legendgroup": line.label,
                "name": html.escape(line.label),
            }
            if line.raw is not None:
                faint = go.Scatter(
                    **common, y=line.raw, line={"color": color, "width": 1}, opacity=0.3, showlegend=False
                )
                figure.add_trace(faint, **place)
            figure.add_trace(
                go.Scatter(**common, y=line.y, line={"color": color, "width": 1.5}, showlegend=is_new),
                **place,
            )
    figure.update_xaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False, title_text=AXES[style.x])
    figure.update_yaxes(
        gridcolor="rgba(128,128,128,0.25)", zeroline=False, type="log" if style.log else "linear"
    )
    figure.update_layout(
        height=120 + 260 * rows,
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        paper_bgcolor="rgba(0,0,0,0)",  # as the page around it, light or dark
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#808080"},
        showlegend=len(labels) > 1,
    )
    return figure


def _plot_with_matplotlib(panels: Sequence[Panel], style: Style) -> Any:
    from matplotlib.figure import Figure

    rows, columns = _grid(len(panels))
    # Not by pyplot: that would keep every figure, and may open a window.
    figure: Any = Figure(
        figsize=(4.2 * columns if columns > 1 else 7.0, 2.9 * rows + 0.4), layout="constrained"
    )
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    labels: dict[str, str] = {}
    handles: dict[str, Any] = {}
    for at, panel in enumerate(panels):
        ax = axes[at // columns][at % columns]
        for line in panel.lines:
            color = labels.setdefault(line.label, COLORS[len(labels) % len(COLORS)])
            if line.raw is not None:
                ax.plot(line.x, line.raw, color=color, linewidth=0.8, alpha=0.3)
            [handles[line.label]] = ax.plot(line.x, line.y, color=color, linewidth=1.3)
        ax.set_title(panel.title, fontsize=10, parse_math=False)
        ax.set_xlabel(AXES[style.x], fontsize=8)
        ax.set_yscale("log" if style.log else "linear")
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.3, linewidth=0.5)
        ax.spines[["top", "right"]].set_visible(False)
    for unused in range(len(panels), rows * columns):
        axes[unused // columns][unused % columns].set_axis_off()
    if len(labels) > 1:
        # A label that begins with an underscore would be left out.
        shown = [f" {label}" if label.startswith("_") else label for label in handles]
        legend = figure.legend(
            list(handles.values()), shown, loc="outside lower center", fontsize=8, ncols=min(4, len(labels))
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    figure._repr_png_ = lambda: to_bytes(figure, "png")  # notebooks know only figures of pyplot
    return figure


# --- picture files -------------------------------------------------------------------------------------------


def library_for(file: Path) -> str:
    """Return the library that can write a picture file. Raises :class:`UsageError` for an unknown suffix."""
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(f"plot: expected a file that ends with {one_of(SUFFIXES)}, found {str(file)!r}")
    if file.suffix.lower() == ".html" and is_installed("plotly"):
        return "plotly"
    return choose_library("matplotlib")


def save(figure: Any, file: Path) -> None:
    """Write a figure to a picture file, whole or not at all."""
    format = file.suffix.lower().lstrip(".")
    data = _to_page(figure) if format == "html" else to_bytes(figure, format)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def to_bytes(figure: Any, format: str) -> bytes:
    """Return a figure of Matplotlib as a picture."""
    import io

    stream = io.BytesIO()
    figure.savefig(stream, format=format, dpi=144)
    return stream.getvalue()


def _to_page(figure: Any) -> bytes:
    """Return a figure as a page that needs no network."""
    if hasattr(figure, "to_html"):
        text: str = figure.to_html(include_plotlyjs=True, full_html=True)
        return text.encode()
    drawing = to_bytes(figure, "svg").decode().partition("<svg")
    head = '<!doctype html><meta charset="utf-8"><title>tracelet plot</title>'
    return f"{head}<style>svg {{ max-width: 100%; height: auto }}</style><svg{drawing[2]}".encode()
