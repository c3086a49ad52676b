"""``tracelet watch``: a run as it goes on, in the terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from tracelet.cli.options import dir_option, global_options, plugin_options

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.watching import Watched
    from tracelet.store import RunRecord

COST: Final = 10.0  # times the seconds that reading the run took: at most a tenth of the time is spent on it
PIPED_HEIGHT: Final = 36  # lines, if there is no terminal


@click.command("watch")
@click.argument("run", required=False)
@click.argument("metrics", nargs=-1, metavar="[METRIC]...")
@click.option(
    "--total", type=click.IntRange(min=1), metavar="STEPS", help="How many steps there will be, for the ETA."
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two updates.",
)
@dir_option
@plugin_options
def watch(run: str | None, metrics: tuple[str, ...], total: int | None, interval: float) -> None:
    """Show a run as it goes on: curves, rates, backends, plugins, the machine, and when it will be done.

    Ctrl-C ends it. RUN as in show; by default, the newest run that is recording. The ETA needs --total, or a
    parameter such as max_steps or epochs. Without a terminal, the present state is printed once.
    """
    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.watching import Watched, draw_frame

    record = _find(run)
    store = global_options().store_of(record)
    # By the store's index, which reads only what is new.
    watched = Watched(record, metrics, total, lambda: store.run(record.id))
    screen = Screen()
    if not sys.stdout.isatty():
        screen.show(draw_frame(watched, screen.console.width, PIPED_HEIGHT, ascii_only=screen.ascii_only))
        return
    with contextlib.suppress(KeyboardInterrupt):
        _follow(screen, watched, interval)
    record = watched.record
    screen.line(
        (record.name, "bold"),
        f" {screen.dot} {record.outcome} {screen.dot} ",
        (f"tracelet show {record.id}", "cyan"),
    )


def _find(run: str | None) -> RunRecord:
    if run is not None:
        return global_options().find_run(run)
    store = global_options().store()
    running = store.runs(global_options().project, outcome="running", limit=1)
    return store.run(running[0].id) if running else store.run()


def _follow(screen: Screen, watched: Watched, interval: float) -> None:
    """Redraw until the run has ended."""
    from rich.live import Live

    from tracelet.cli.views.watching import draw_frame

    with Live(console=screen.console, screen=True, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            size = screen.console.size
            live.update(
                draw_frame(watched, size.width, size.height, ascii_only=screen.ascii_only), refresh=True
            )
            record = watched.record
            is_about_to_begin = record.outcome == "empty" and record.problem is None
            if record.outcome != "running" and not is_about_to_begin:
                return
            time.sleep(max(interval, COST * (time.monotonic() - began)))
            watched.update()
