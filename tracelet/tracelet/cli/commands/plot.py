"""``tracelet plot``: a run's curves in the terminal, or as a picture file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tracelet.cli.options import dir_option, global_options, plugin_options

if TYPE_CHECKING:
    from tracelet.cli.views.curves import Curve
    from tracelet.store import RunRecord, Series
    from tracelet.store.plotting_panels import Panel, Style

HEIGHT: Final = 12  # rows of a plot in the terminal
MOST_PLOTS: Final = 6  # of metrics that were not named


@click.command("plot")
@click.argument("run", default="latest")
@click.argument("metrics", nargs=-1, metavar="[METRIC]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A .png, .svg, .pdf or .html file.",
)
@click.option("--with", "others", multiple=True, metavar="RUN", help="Also this run's curves. Repeatable.")
@click.option(
    "-x",
    "axis",
    type=click.Choice(["step", "time", "wall"]),
    default="step",
    show_default=True,
    help="What the horizontal axis shows; time is relative to the first point.",
)
@click.option("--log", is_flag=True, help="A logarithmic vertical axis.")
@click.option(
    "--smooth",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    metavar="WEIGHT",
    help="Smooth the curves: from 0 (not at all) to below 1.",
)
@dir_option
@plugin_options
def plot(
    run: str,
    metrics: tuple[str, ...],
    output: Path | None,
    others: tuple[str, ...],
    axis: str,
    log: bool,
    smooth: float,
) -> None:
    """Draw a run's curves: in the terminal, or into the file given with -o. RUN and METRIC as in show.

    Picture files need Matplotlib, HTML files Plotly or Matplotlib: pip install 'tracelet[plot]'.
    """
    from tracelet.store.plotting_panels import Style

    records = [global_options().find_run(one) for one in (run, *others)]
    style = Style(axis, smooth, log).check()
    if output is not None:
        _write(records, metrics, output, style)
    else:
        _show(records, metrics, style)


def _choose(records: Sequence[RunRecord], metrics: Sequence[str]) -> list[str]:
    """Return the metrics to draw: those that were named, or else the program's own."""
    from tracelet.cli.diagnostics import suggest
    from tracelet.cli.views.trends import summarize_metrics
    from tracelet.errors import StoreError
    from tracelet.store.metric_keys import select_metrics

    found = {one.name: one for record in records for one in summarize_metrics(record)}
    names = sorted(found)
    if not metrics:
        own = [name for name in names if not found[name].is_measured]
        if not names:
            raise StoreError(f"run {records[0].name} ({records[0].id}) has no metrics")
        return own or names
    for pattern in metrics:
        if not select_metrics(pattern, names, missing_ok=True):
            raise StoreError(f"no metric {pattern!r}{suggest(pattern, names)}")
    return select_metrics(list(metrics), names)


def _write(records: Sequence[RunRecord], metrics: Sequence[str], output: Path, style: Style) -> None:
    from tracelet.cli.views.formatting import format_size
    from tracelet.cli.views.screen import Screen
    from tracelet.store import plotting

    library = plotting.library_for(output)
    names = _choose(records, metrics)
    if not metrics:
        names = names[: plotting.MOST_PANELS]
    panels = plotting.arrange(_load(records, names), style, _labels(records))
    plotting.save(plotting.draw(panels, style, library), output)
    for panel in panels:
        if panel.hidden:
            Screen(sys.stderr).problem(f"{panel.title}: {panel.notes[0]}")
    Screen().line(f"{output} ", (f"({format_size(output.stat().st_size)})", "dim"))


def _load(records: Sequence[RunRecord], names: Sequence[str]) -> list[Series]:
    from tracelet.store.metric_keys import as_patterns

    return [series for one in records for series in one.series(as_patterns(names), missing_ok=True)]


def _show(records: Sequence[RunRecord], metrics: Sequence[str], style: Style) -> None:
    from rich.text import Text

    from tracelet.cli.views.curves import draw_curves, draw_legend
    from tracelet.cli.views.formatting import format_times
    from tracelet.cli.views.screen import Screen
    from tracelet.store.plotting_panels import make_panels

    screen = Screen()
    chosen = _choose(records, metrics)
    shown = chosen if metrics else chosen[:MOST_PLOTS]
    panels = make_panels(_load(records, shown), style, _labels(records))
    for panel in panels:
        screen.blank()
        about = f" {screen.dot} ".join(["", _describe(panel), *panel.notes])
        screen.line((panel.title, "bold"), (about, "dim"))
        drawn = draw_curves(
            _curves(panel),
            screen.console.width,
            HEIGHT,
            ascii_only=screen.ascii_only,
            log=style.log,
            format_ends=format_times if style.x == "wall" else None,
        )
        for row in drawn or [Text(panel.empty or "no number to draw", "dim")]:
            screen.line(row)
    if len(records) > 1:
        screen.blank()
        screen.line(draw_legend([one.name for one in records], ascii_only=screen.ascii_only))
    if len(chosen) > len(shown):
        screen.line((f"and {len(chosen) - len(shown)} more metrics; name some to see them", "dim"))


def _labels(records: Sequence[RunRecord]) -> dict[str, str]:
    return {one.id: one.name for one in records}


def _curves(panel: Panel) -> list[Curve]:
    """Return the lines, and what was computed again as faint ones of the same color."""
    from tracelet.cli.views.curves import Curve

    curves = [Curve(line.label, line.x, line.y) for line in panel.lines]
    ghosts = [
        Curve(line.label, one.x, one.y, True, at)
        for at, line in enumerate(panel.lines)
        for one in line.ghosts
    ]
    return [*curves, *ghosts]


def _describe(panel: Panel) -> str:
    """Return the last values."""
    last = [line.y[-1] for line in panel.lines if line.y]
    return f"last {', '.join(_number(value) for value in last[:4])}" if last else "no points"


def _number(value: float) -> str:
    from tracelet.cli.views.formatting import format_number

    return format_number(value)
