"""``tracelet runs``: what has been recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import choices, json_option, pairs, place_options, plugin_options, project_option

if TYPE_CHECKING:
    from rich.text import Text

    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord


@click.command("runs")
@project_option
@click.option("--outcome", metavar="WORD", help="Only runs that are so: running, finished, failed, killed.")
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY[=VALUE]", help="Only runs with this tag. Repeatable."
)
@click.option(
    "--param", "params", multiple=True, metavar="KEY=VALUE", callback=pairs, help="Only with this parameter."
)
@click.option(
    "--since", metavar="TIME", help="Only those begun then or later: a date, or a span such as 2h or 7d."
)
@click.option(
    "--where",
    metavar="EXPRESSION",
    help="Only where this holds: 'params.lr < 0.1 and metrics.acc.max > 0.9'.",
)
@click.option(
    "--sort", metavar="FIELD", default="-started", help="What to sort by, - for descending: -metrics.acc.max."
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
    tags: tuple[str, ...],
    params: Mapping[str, str],
    metrics: tuple[str, ...],
    limit: int,
    **given: str | None,
) -> None:
    """List the runs, newest first."""
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.views.records import described
    from tracelet.cli.views.screen import Screen

    mine = choices()
    wanted: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    wanted["params"] = {key: _meant(value) for key, value in params.items()}
    wanted["tags"] = {
        key: _meant(value) for key, equals, value in (tag.partition("=") for tag in tags) if equals
    }
    is_there = mine.config().dir.exists() or mine.dir is not None  # one that was named has to be there
    found = mine.store().runs(mine.project, **wanted) if is_there else []
    bare = [tag for tag in tags if "=" not in tag]
    found = [record for record in found if all(tag in record.tags for tag in bare)]
    shown = found[: limit or None]
    lasts = [_lasts(record, metrics) for record in shown]
    if mine.json:
        listed = [
            {**described(record), **({"metrics": last} if metrics else {})}
            for record, last in zip(shown, lasts, strict=True)
        ]
        emit_json({"total": len(found), "runs": listed})
    else:
        _print(
            Screen(),
            shown,
            lasts,
            metrics,
            len(found),
            narrowed=bool(mine.project or params or tags or len(wanted) > 3),
        )


def _meant(text: str) -> list[Any]:
    """Return the values that a word on the command line may stand for: itself, and the number or truth it spells."""
    truth = {"true": True, "false": False}.get(text.lower())
    if truth is not None:
        return [text, truth]
    try:
        return [text, float(text)]
    except ValueError:
        return [text]


def _lasts(record: RunRecord, names: Sequence[str]) -> dict[str, float | None]:
    known = record.summary() if names else {}
    return {name: known[name]["last"] if name in known else None for name in names}


def _print(
    screen: Screen,
    shown: Sequence[RunRecord],
    lasts: Sequence[Mapping[str, float | None]],
    metrics: Sequence[str],
    total: int,
    *,
    narrowed: bool,
) -> None:
    if not shown:
        screen.line("no such runs" if narrowed else "no runs yet; tracelet run SCRIPT records one")
        return
    projects = len({record.project for record in shown}) > 1
    heads = ["run", "name", *(["project"] if projects else []), "outcome", "started", "took", *metrics]
    rows = [_row(screen, record, last, projects=projects) for record, last in zip(shown, lasts, strict=True)]
    screen.table(
        heads,
        rows,
        right=("took", *metrics),
        whole=("run", "outcome", "started"),
        optional=("project", "took", "started"),
    )
    if total > len(shown):
        screen.line((f"{total - len(shown)} older ones: -n 0 shows all", "dim"))


def _row(
    screen: Screen, record: RunRecord, lasts: Mapping[str, float | None], *, projects: bool
) -> list[str | Text]:
    from rich.text import Text

    from tracelet.cli.views.numbers import ago, duration, number
    from tracelet.cli.views.screen import state
    from tracelet.messages import plain

    return [
        Text(record.id, "cyan"),
        Text(plain(record.name), "bold"),
        *([record.project] if projects else []),
        state(record.outcome),
        ago(record.started_at),
        duration(record.duration),
        *(screen.dash if value is None else number(value) for value in lasts.values()),
    ]
