"""``tracelet runs``: what has been recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import choices, json_option, pairs, place_options, plugin_options, project_option

if TYPE_CHECKING:
    from rich.text import Text

    from tracelet.cli.output import Screen
    from tracelet.store import RunRecord


@click.command("runs")
@project_option
@click.option("--outcome", metavar="WORD", help="Only runs that are so: running, finished, failed, killed.")
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", callback=pairs, help="Only runs with this tag."
)
@click.option(
    "--param", "params", multiple=True, metavar="KEY=VALUE", callback=pairs, help="Only with this parameter."
)
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="Show this metric's last value. Repeatable."
)
@click.option(
    "-n", "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="How many; 0 for all."
)
@place_options
@plugin_options
@json_option
def runs(
    outcome: str | None,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    metrics: tuple[str, ...],
    limit: int,
) -> None:
    """List the runs, newest first."""
    from tracelet.cli.output import Screen, emit_json
    from tracelet.cli.records import described

    mine = choices()
    found = [
        record
        for record in mine.store().runs(mine.project)
        if outcome in (None, record.outcome) and _has(record.tags, tags) and _has(record.params, params)
    ]
    shown = found[: limit or None]
    lasts = [_lasts(record, metrics) for record in shown]
    if mine.json:
        listed = [
            {**described(record), **({"metrics": last} if metrics else {})}
            for record, last in zip(shown, lasts, strict=True)
        ]
        emit_json({"total": len(found), "runs": listed})
    else:
        _print(Screen(), shown, lasts, metrics, len(found))


def _has(values: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(key in values and str(values[key]) == value for key, value in wanted.items())


def _lasts(record: RunRecord, names: Sequence[str]) -> dict[str, float | None]:
    known = set(record.metrics()) if names else ()
    return {name: record.metric(name).last if name in known else None for name in names}


def _print(
    screen: Screen,
    shown: Sequence[RunRecord],
    lasts: Sequence[Mapping[str, float | None]],
    metrics: Sequence[str],
    total: int,
) -> None:
    if not shown:
        screen.line("no runs; tracelet run SCRIPT records one" if not choices().project else "no such runs")
        return
    projects = len({record.project for record in shown}) > 1
    heads = ["run", "name", *(["project"] if projects else []), "outcome", "started", "took", *metrics]
    rows = [_row(screen, record, last, projects=projects) for record, last in zip(shown, lasts, strict=True)]
    screen.table(heads, rows, right=("took", *metrics), whole=("run", "outcome", "started"))
    if total > len(shown):
        screen.line((f"{total - len(shown)} older ones: -n 0 shows all", "dim"))


def _row(
    screen: Screen, record: RunRecord, lasts: Mapping[str, float | None], *, projects: bool
) -> list[str | Text]:
    from rich.text import Text

    from tracelet.cli.figures import ago, duration, number
    from tracelet.cli.output import plain, state

    return [
        Text(record.id, "cyan"),
        Text(plain(record.name), "bold"),
        *([record.project] if projects else []),
        state(record.outcome),
        ago(record.started_at),
        duration(record.duration),
        *(screen.dash if value is None else number(value) for value in lasts.values()),
    ]
