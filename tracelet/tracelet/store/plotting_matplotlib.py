"""Panels as a figure of Matplotlib."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tracelet.store.plotting_panels import AXES, Line, Panel, Style, find_lonely
from tracelet.store.plotting_scale import Scale, choose_scale


def draw(panels: Sequence[Panel], style: Style, grid: tuple[int, int], colors: Sequence[str]) -> Any:
    """Return a ``matplotlib.figure.Figure``."""
    from matplotlib.figure import Figure

    rows, columns = grid
    width = 4.2 if columns > 1 else 7.0
    # Not by pyplot: that would keep every figure, and may open a window.
    figure: Any = Figure(figsize=(width * columns, 2.9 * rows + 0.4), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    labels: dict[str, str] = {}
    handles: dict[str, Any] = {}
    for at, panel in enumerate(panels):
        ax = axes[at // columns][at % columns]
        scale = choose_scale(panel.columns, log=style.log)
        for line in panel.lines:
            color = labels.setdefault(line.label, colors[len(labels) % len(colors)])
            handles[line.label] = _draw_line(ax, line, style, scale, color, is_empty=panel.empty is not None)
        _set_axis(ax, panel, style, scale)
        _set_title(ax, panel, int(16 * width))
        ax.set_xlabel(AXES[style.x], fontsize=8)
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.3, linewidth=0.5)
        ax.spines[["top", "right"]].set_visible(False)
    for unused in range(len(panels), rows * columns):
        axes[unused // columns][unused % columns].set_axis_off()
    if len(labels) > 1:
        _add_legend(figure, handles)
    figure._repr_png_ = lambda: to_bytes(figure, "png")  # notebooks know only figures of pyplot
    return figure


def _draw_line(ax: Any, line: Line, style: Style, scale: Scale | None, color: str, *, is_empty: bool) -> Any:
    def plot(x: list[float], y: list[float], **how: Any) -> Any:
        placed: list[Any] = [datetime.fromtimestamp(one) for one in x] if style.x == "wall" else list(x)
        if lonely := find_lonely(y, log=style.log):
            how |= {"marker": ".", "markevery": lonely}
        if is_empty:  # the axis is not the one that was asked for
            y = [math.nan for _ in y]
        return ax.plot(placed, y if scale is None else scale.place(y), color=color, **how)[0]

    for one in line.ghosts:
        plot(one.x, one.y, linewidth=1.0, alpha=0.45, linestyle="--")
    if line.raw is not None:
        plot(line.x, line.raw, linewidth=0.8, alpha=0.3)
    return plot(line.x, line.y, linewidth=1.3)


def _set_axis(ax: Any, panel: Panel, style: Style, scale: Scale | None) -> None:
    if panel.empty is not None:
        ax.set_xticks([])
        ax.set_yticks([])
        middle = {"ha": "center", "va": "center", "transform": ax.transAxes}
        ax.text(0.5, 0.5, panel.empty, fontsize=9, color="0.5", **middle)
    elif scale is not None:
        ax.set_yticks([place for place, _ in scale.ticks], [label for _, label in scale.ticks])
    elif style.log:
        ax.set_yscale("log", nonpositive="mask")
        shown = [value for column in panel.columns for value in column if 0 < value < math.inf]
        if min(shown) < max(shown) < 10 * min(shown):
            _label_plainly(ax)


def _label_plainly(ax: Any) -> None:
    """Label a logarithmic axis of less than a decade with numbers: as powers of ten, they would all look the same."""
    from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())


def _set_title(ax: Any, panel: Panel, width: int) -> None:
    """Write the title, and below it what the lines do not show."""
    text = "\n".join(line for note in panel.notes for line in textwrap.wrap(note, width))
    ax.set_title(panel.title, fontsize=10, parse_math=False, pad=6 + 9.5 * len(text.splitlines()))
    if text:
        at = {"xy": (0.5, 1), "xycoords": "axes fraction", "xytext": (0, 4), "textcoords": "offset points"}
        ax.annotate(
            text,
            **at,
            ha="center",
            va="bottom",
            fontsize=7,
            color="0.45",
            parse_math=False,
            annotation_clip=False,
        )


def _add_legend(figure: Any, handles: dict[str, Any]) -> None:
    # A label that begins with an underscore would be left out.
    shown = [f" {label}" if label.startswith("_") else label for label in handles]
    legend = figure.legend(
        list(handles.values()), shown, loc="outside lower center", fontsize=8, ncols=min(4, len(handles))
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def to_bytes(figure: Any, format: str) -> bytes:
    """Return a figure as a picture."""
    stream = io.BytesIO()
    figure.savefig(stream, format=format, dpi=144)
    return stream.getvalue()
