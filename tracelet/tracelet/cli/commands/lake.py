"""``tracelet lake``: maintain the Parquet files that the backend ``lake`` writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.app import LazyGroup
from tracelet.cli.options import global_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.lake.optimize import Optimized


@click.group(cls=LazyGroup, lazy_commands={"optimize": "tracelet.cli.commands.lake:optimize"})
def lake() -> None:
    """Maintain a lake: the Parquet files of the backend `lake`."""


@click.command("optimize")
@click.argument("url")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Delete merged files this long after they were merged.",
)
@click.option(
    "--min-files",
    type=click.IntRange(2),
    default=8,
    show_default=True,
    help="Merge the files of a run from this many on.",
)
@json_option
def optimize(url: str, grace: float, min_files: int) -> int:
    """Merge the small files of each run, and delete merged ones after a grace period.

    URL is that of a lake, or its folder. Runs may be in progress, and readers are not disturbed. It can be repeated at
    any time, also after a crash. The exit status is 1 if a run could not be optimized.
    """
    from tracelet.lake.changing import ChangingStorage
    from tracelet.lake.optimize import optimize as optimize_lake

    storage = ChangingStorage(url, global_options().storage_options(url))
    results: list[Optimized] = []

    def work() -> Iterable[Optimized]:
        for one in optimize_lake(storage, grace=grace * 3600, min_files=min_files):
            results.append(one)
            yield one

    show_result(
        lambda: {"runs": [one._asdict() for one in work()]},
        lambda screen: _print(screen, work(), results),
    )
    return int(any(one.error for one in results))


def _print(screen: Screen, progress: Iterable[Optimized], results: list[Optimized]) -> None:
    from tracelet.cli.views.formatting import pluralize

    for one in progress:
        label = [(one.run, "bold"), ("  ", "")]
        if one.error:
            screen.line(*label, (one.error, "red"))
        elif one.merged or one.deleted:
            parts = []
            if one.merged:
                parts.append(f"{pluralize(one.merged, 'file')} merged into {one.into}")
            if one.repeated:
                parts.append(f"{pluralize(one.repeated, 'repeated row')} left out")
            if one.deleted:
                parts.append(f"{pluralize(one.deleted, 'old file')} deleted")
            screen.line(*label, (", ".join(parts), "green"))
    changed = sum(bool(one.merged or one.deleted) for one in results)
    total: Any = f"{changed} of {pluralize(len(results), 'run')} optimized" if results else "no runs yet"
    screen.line((total, "dim"))
