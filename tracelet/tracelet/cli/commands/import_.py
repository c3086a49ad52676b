"""``tracelet import``: bring history along from other trackers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from tracelet.cli.options import dir_option, global_options, plugin_options, project_option
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.importers import ImportResult

_SHOWN: Final = 40  # runs in the table; more are summed up


@click.command("import")
@click.argument("source")
@click.option(
    "--from",
    "format",
    metavar="FORMAT",
    help="tensorboard, wandb, mlflow, trackio, aim, csv, tracelet, or a plugin; by default, as the source looks.",
)
@click.option("--dry-run", is_flag=True, help="Only show what an import would add.")
@click.option("--follow", is_flag=True, help="Continue with what is added to the source, until Ctrl-C.")
@project_option
@dir_option
@plugin_options
@json_option
def import_(source: str, format: str | None, dry_run: bool, follow: bool) -> int:
    """Import runs that another tracker has recorded.

    SOURCE is a file, a folder or a URL. Importing again adds only what is new. The exit status is 1 if parts of the
    source could not be read; the table counts them.
    """
    if dry_run and follow:
        raise click.UsageError("expected --dry-run or --follow, found both")
    from tracelet.cli.diagnostics import silence_logging
    from tracelet.importers import import_runs

    options = global_options()
    silence_logging()
    config = options.config()
    manager = options.manager(config)
    try:
        with _progress() as progress:
            results = import_runs(
                source,
                format=format,
                project=options.project,
                dry_run=dry_run,
                follow=follow,
                progress=progress,
                config=config,
                manager=manager,
            )
    finally:
        manager.stop_all_plugins()
    show_result(lambda: _as_json(results, dry_run), lambda screen: _print(screen, results, dry_run))
    return 1 if any(result.damage for result in results) else 0


@contextmanager
def _progress() -> Iterator[Callable[[ImportResult], None] | None]:
    """Show runs and points as they are imported, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from tracelet.cli.views.formatting import pluralize
    from tracelet.messages import plain

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    counts: dict[str, int] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking for runs", total=None)

        def show(result: ImportResult) -> None:
            counts[result.id] = result.points
            runs, points = pluralize(len(counts), "run"), pluralize(sum(counts.values()), "point")
            bar.update(task, description=f"{runs}, {points}: {plain(result.name)[:40]}")

        yield show


def _as_json(results: Sequence[ImportResult], dry_run: bool) -> dict[str, Any]:
    import attrs

    runs = [{**attrs.asdict(result), "changed": result.changed} for result in results]
    return {"dry_run": dry_run, "runs": runs}


def _print(screen: Screen, results: Sequence[ImportResult], dry_run: bool) -> None:
    from tracelet.cli.views.formatting import format_count, format_time, pluralize

    listed = [one for one in results if one.changed or one.damage or len(results) <= _SHOWN]
    shown = listed[:_SHOWN]
    rows: list[tuple[str, ...]] = [
        (
            one.name,
            one.project,
            format_time(one.started_at, "%Y-%m-%d %H:%M") if one.started_at else screen.dash,
            format_count(one.metrics),
            format_count(one.points),
            format_count(one.params),
            format_count(one.files),
            format_count(sum(one.damage.values())) if one.damage else "",
        )
        for one in shown
    ]
    heads = ["run", "project", "started", "metrics", "points", "params", "files", "unreadable"]
    if not any(one.damage for one in shown):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    numbers = heads[3:]
    if rows:
        screen.table(
            heads, rows, right=numbers, whole=("started",), optional=("params", "started", "project")
        )
        if len(listed) > _SHOWN:
            screen.line((f"and {pluralize(len(listed) - _SHOWN, 'more run')}; --json lists all", "dim"))
        screen.blank()
    for reason, count in _damage(results).items():
        screen.problem(f"not read: {format_count(count)} ({reason})")
    new, changed = sum(one.is_new for one in results), sum(one.changed for one in results)
    points, known = (sum(getattr(one, key) for one in results) for key in ("points", "known_points"))
    would = "would be " if dry_run else ""
    what = f"{pluralize(new, 'new run')}, {pluralize(changed - new, 'changed run')}, {pluralize(points, 'point')}"
    before = f"; {pluralize(known, 'point')} imported before" if known else ""
    screen.line((f"{what} {would}imported{before}" if changed else f"nothing new{before}", "bold green"))


def _damage(results: Sequence[ImportResult]) -> dict[str, int]:
    total: dict[str, int] = {}
    for result in results:
        for reason, count in result.damage.items():
            total[reason] = total.get(reason, 0) + count
    return total
