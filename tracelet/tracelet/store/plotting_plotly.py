"""Panels as a figure of Plotly."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tracelet.store.plotting_panels import AXES, Line, Panel, Style, find_lonely
from tracelet.store.plotting_scale import Scale, choose_scale


def draw(panels: Sequence[Panel], style: Style, grid: tuple[int, int], colors: Sequence[str]) -> Any:
    """Return a ``plotly.graph_objects.Figure``."""
    from plotly.subplots import make_subplots

    rows, columns = grid
    noted = 16 * max(len(panel.notes) for panel in panels)
    between = 85 + noted  # pixels
    inside = 210 * rows + between * (rows - 1)
    titles = [_title(panel) for panel in panels]
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=titles, vertical_spacing=between / inside)
    labels: dict[str, str] = {}
    for at, panel in enumerate(panels):
        place = {"row": at // columns + 1, "col": at % columns + 1}
        scale = choose_scale(panel.columns, log=style.log)
        for line in panel.lines:
            is_new = line.label not in labels
            color = labels.setdefault(line.label, colors[len(labels) % len(colors)])
            traces = _traces(line, style, scale, color, is_new, is_empty=panel.empty is not None)
            figure.add_traces(traces, rows=place["row"], cols=place["col"])
        _set_axis(figure, panel, style, scale, place)
    figure.update_xaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False, title_text=AXES[style.x])
    figure.update_yaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    figure.update_layout(
        height=inside + 100 + noted,
        margin={"l": 60, "r": 20, "t": 50 + noted, "b": 50},
        paper_bgcolor="rgba(0,0,0,0)",  # as the page around it, light or dark
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#808080"},
        showlegend=len(labels) > 1,
    )
    return figure


def _title(panel: Panel) -> str:
    return "<br>".join(
        [html.escape(panel.title), *(f"<sup>{html.escape(note)}</sup>" for note in panel.notes)]
    )


def _traces(
    line: Line, style: Style, scale: Scale | None, color: str, is_new: bool, *, is_empty: bool
) -> list[Any]:
    import plotly.graph_objects as go

    def trace(x: list[float], y: list[float], name: str, **how: Any) -> Any:
        if lonely := set(find_lonely(y, log=style.log)):
            sizes = [5 if at in lonely else 0 for at in range(len(y))]
            how |= {"mode": "lines+markers", "marker": {"color": color, "size": sizes, "line": {"width": 0}}}
        if scale is not None:  # what is drawn is not what was recorded, so that is said
            how |= {"text": [repr(one) for one in y], "hovertemplate": "%{x}, %{text}"}
            y = scale.place(y)
        if is_empty:  # the axis is not the one that was asked for
            y = [math.nan for _ in y]
        placed = [datetime.fromtimestamp(one) for one in x] if style.x == "wall" else x
        of = {"legendgroup": line.label, "name": html.escape(name)}
        return go.Scatter(**{"x": placed, "y": y, "mode": "lines", **of, **how})

    faint = {"opacity": 0.45, "showlegend": False}
    dashed = {"color": color, "width": 1.2, "dash": "dash"}
    found = [
        trace(one.x, one.y, f"{line.label}, attempt {one.attempt}, computed again", line=dashed, **faint)
        for one in line.ghosts
    ]
    if line.raw is not None:
        found.append(
            trace(
                line.x, line.raw, line.label, line={"color": color, "width": 1}, opacity=0.3, showlegend=False
            )
        )
    found.append(
        trace(
            line.x,
            line.y,
            line.label,
            line={"color": color, "width": 1.5},
            marker={"color": color},
            showlegend=is_new,
        )
    )
    return found


def _set_axis(figure: Any, panel: Panel, style: Style, scale: Scale | None, place: dict[str, int]) -> None:
    if panel.empty is not None:
        middle = {"x": 0.5, "y": 0.5, "xref": "x domain", "yref": "y domain"}
        figure.add_annotation(text=panel.empty, showarrow=False, **middle, **place)
        figure.update_yaxes(showticklabels=False, **place)
    elif scale is not None:
        values, labels = zip(*scale.ticks, strict=True)
        figure.update_yaxes(type="linear", tickvals=list(values), ticktext=list(labels), **place)
    else:
        figure.update_yaxes(type="log" if style.log else "linear", **place)
