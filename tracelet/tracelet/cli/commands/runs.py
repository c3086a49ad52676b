"""``tracelet runs``: the recorded runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import dir_option, global_options, parse_pairs, plugin_options, project_option
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from rich.text import Text

    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord


@click.command("runs")
@project_option
@click.option(
    "--outcome", metavar="WORD", help="Only runs with this outcome: running, finished, failed, killed."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY[=VALUE]", help="Only runs with this tag. Repeatable."
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_pairs,
    help="Only runs with this parameter. Repeatable.",
)
@click.option(
    "--since", metavar="TIME", help="Only runs started since then: a date, or a time span such as 2h or 7d."
)
@click.option(
    "--where",
    metavar="EXPRESSION",
    help="Only runs that match: 'params.lr < 0.1 and metrics.acc.max > 0.9'.",
)
@click.option(
    "--sort",
    metavar="FIELD",
    default="-started",
    help="Field to sort by, with - for descending: -metrics.acc.max.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Add a column with this metric's last value. Repeatable.",
)
@click.option(
    "-n", "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="How many; 0 for all."
)
@dir_option
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
    from tracelet.cli.views.run_data import describe_run

    options = global_options()
    wanted: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    wanted["params"] = {key: _possible_values(value) for key, value in params.items()}
    wanted["tags"] = {
        key: _possible_values(value) for key, equals, value in (tag.partition("=") for tag in tags) if equals
    }
    exists = options.config().dir.exists() or options.dir is not None  # a folder given by --dir has to exist
    found = options.store().runs(options.project, **wanted) if exists else []
    bare_tags = [tag for tag in tags if "=" not in tag]
    found = [record for record in found if all(tag in record.tags for tag in bare_tags)]
    shown = found[: limit or None]
    values = [_last_values(record, metrics) for record in shown]
    narrowed = bool(options.project or params or tags or len(wanted) > 3)
    show_result(
        lambda: {
            "total": len(found),
            "runs": [
                {**describe_run(record), **({"metrics": last} if metrics else {})}
                for record, last in zip(shown, values, strict=True)
            ],
        },
        lambda screen: _print(screen, shown, values, metrics, len(found), narrowed=narrowed),
    )


def _possible_values(text: str) -> list[Any]:
    """Return the values that a word may stand for: the text, and the number or boolean that it spells."""
    boolean = {"true": True, "false": False}.get(text.lower())
    if boolean is not None:
        return [text, boolean]
    try:
        return [text, float(text)]
    except ValueError:
        return [text]


def _last_values(record: RunRecord, names: Sequence[str]) -> dict[str, float | None]:
    known = record.summary() if names else {}
    return {name: known[name]["last"] if name in known else None for name in names}


def _print(
    screen: Screen,
    shown: Sequence[RunRecord],
    values: Sequence[Mapping[str, float | None]],
    metrics: Sequence[str],
    total: int,
    *,
    narrowed: bool,
) -> None:
    if not shown:
        screen.line("no matching runs" if narrowed else "no runs yet; 'tracelet run SCRIPT' records one")
        return
    projects = len({record.project for record in shown}) > 1
    heads = ["run", "name", *(["project"] if projects else []), "outcome", "started", "took", *metrics]
    rows = [
        _format_row(screen, record, last, projects=projects)
        for record, last in zip(shown, values, strict=True)
    ]
    screen.table(
        heads,
        rows,
        right=("took", *metrics),
        whole=("run", "outcome", "started"),
        optional=("project", "took", "started"),
    )
    if total > len(shown):
        screen.line((f"and {total - len(shown)} more: -n 0 shows all", "dim"))


def _format_row(
    screen: Screen, record: RunRecord, values: Mapping[str, float | None], *, projects: bool
) -> list[str | Text]:
    from rich.text import Text

    from tracelet.cli.views.formatting import format_age, format_duration, format_number
    from tracelet.cli.views.screen import state_text

    return [
        Text(record.id, "cyan"),
        Text(record.name, "bold"),
        *([record.project] if projects else []),
        state_text(record.outcome),
        format_age(record.started_at),
        format_duration(record.duration),
        *(screen.dash if value is None else format_number(value) for value in values.values()),
    ]
