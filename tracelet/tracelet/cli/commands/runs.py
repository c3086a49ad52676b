"""``tracelet runs``: the recorded runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from tracelet.cli.options import dir_option, global_options, parse_pairs, plugin_options, project_option
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from rich.text import Text

    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord

LEAST_NAME: Final = 16  # columns of a name that is shortened so that other columns fit
LONGEST_NAME: Final = 32  # of one that is shortened where they do not fit anyway
NARROWING: Final = ("outcome", "since", "where", "group")  # options that may leave no runs


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
@click.option("--group", metavar="NAME", help="Only runs of this group.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also archived runs.")
@click.option("--tree", is_flag=True, help="Show runs below their group and their parent.")
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
    "-c",
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD",
    help="Add a column: params.lr, tags.team, metrics.acc.max. Repeatable.",
)
@click.option("--params", "show_params", is_flag=True, help="Add a column for each parameter that differs.")
@click.option("--tags", "show_tags", is_flag=True, help="Add a column with the tags.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=20,
    show_default=True,
    help="How many; 0 for all.",
)
@dir_option
@plugin_options
@json_option
def runs(
    tags: tuple[str, ...],
    params: Mapping[str, str],
    metrics: tuple[str, ...],
    columns: tuple[str, ...],
    show_params: bool,
    show_tags: bool,
    limit: int,
    everything: bool,
    tree: bool,
    **given: str | None,
) -> None:
    """List the runs, newest first; archived ones only with --all.

    FIELD and the names in EXPRESSION: name, project, outcome, host, started, duration, group, parent, job_type, notes,
    archived, params.NAME, tags.NAME, metrics.NAME (the last value), metrics.NAME.best, .min, .max, .mean.
    """
    from tracelet.cli.views.run_data import describe_run
    from tracelet.store.fields import read_columns

    found = _find_runs(tags, params, given, everything=everything)
    shown = _choose_runs(found, limit, tree=tree)
    values = [_last_values(record, metrics) for record in shown]
    extra = read_columns(shown, columns)
    narrowed = bool(global_options().project or params or tags or any(given[key] for key in NARROWING))
    show_result(
        lambda: {
            "total": len(found),
            "runs": [
                {
                    **describe_run(record),
                    **({"metrics": last} if metrics else {}),
                    **({"columns": {name: cells[at] for name, cells in extra.items()}} if columns else {}),
                }
                for at, (record, last) in enumerate(zip(shown, values, strict=True))
            ],
        },
        lambda screen: _print(
            screen,
            shown,
            _choose_columns(shown, values, extra, params=show_params, tags=show_tags),
            total=len(found),
            narrowed=narrowed,
            tree=tree,
        ),
    )


def _find_runs(
    tags: Sequence[str], params: Mapping[str, str], given: Mapping[str, str | None], *, everything: bool
) -> list[RunRecord]:
    options = global_options()
    wanted: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    wanted |= {"archived": None} if everything else {}
    wanted["params"] = {key: _possible_values(value) for key, value in params.items()}
    wanted["tags"] = {
        key: _possible_values(value) for key, equals, value in (tag.partition("=") for tag in tags) if equals
    }
    exists = options.dir is not None or options.config().dir.exists()  # a folder given by --dir has to exist
    found = options.store().runs(options.project, **wanted) if exists else []
    bare_tags = [tag for tag in tags if "=" not in tag]
    return [record for record in found if all(tag in record.tags for tag in bare_tags)]


def _choose_runs(found: Sequence[RunRecord], limit: int, *, tree: bool) -> list[RunRecord]:
    """Return the first runs; in a tree, also the runs above them: without these it would be another tree."""
    wanted = {record.id for record in found[: limit or None]}
    if tree:
        parents = {record.id: record.parent for record in found}
        for run in list(wanted):
            while (above := parents.get(run)) in parents and above is not None and above not in wanted:
                wanted.add(above)
                run = above
    return [record for record in found if record.id in wanted]


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


def _choose_columns(
    records: Sequence[RunRecord],
    metrics: Sequence[Mapping[str, float | None]],
    extra: Mapping[str, list[Any]],
    *,
    params: bool,
    tags: bool,
) -> dict[str, list[Any]]:
    """Return the columns to add to the table: head and values, one per run."""
    from tracelet.store.fields import find_differing_params

    columns: dict[str, list[Any]] = {
        name: [last[name] for last in metrics] for name in (metrics[0] if metrics else ())
    }
    columns |= extra
    if params:
        columns |= find_differing_params(records)
    if tags:
        columns["tags"] = [_join_tags(record.tags) for record in records]
    return columns


def _join_tags(tags: Mapping[str, Any]) -> str:
    return ", ".join(name if value == "" else f"{name}={value}" for name, value in tags.items())


def _print(
    screen: Screen,
    shown: Sequence[RunRecord],
    columns: Mapping[str, list[Any]],
    *,
    total: int,
    narrowed: bool,
    tree: bool,
) -> None:
    from tracelet.cli.views.damage import print_damaged

    if not shown:
        screen.line("no matching runs" if narrowed else "no runs yet; 'tracelet run SCRIPT' records one")
        return
    own = _own_columns(shown, tree=tree)
    heads = ["run", "name", *own, "outcome", "started", "took", *columns]
    cells = {
        record.id: [
            *_format_row(record, own.values()),
            *(_format_cell(screen, name, values[at]) for name, values in columns.items()),
        ]
        for at, record in enumerate(shown)
    }
    rows = list(cells.values())
    if tree:
        from tracelet.cli.views.run_tree import arrange

        heads[0:2] = ["name", "run"]
        rows = arrange(shown, cells, ascii_only=screen.ascii_only)
    rows = _shorten_names(screen, heads, rows, list(own))
    numeric = [name for name, cells in columns.items() if all(map(_is_number, cells))]
    hidden = screen.table(
        heads,
        rows,
        right=("took", *numeric),
        whole=("run", "outcome", "started"),
        optional=(*own, "took", "started", *(["outcome"] if columns else []), *reversed(list(columns))),
    )
    if missing := [name for name in hidden if name in columns]:
        screen.line((f"no room for {', '.join(missing)}: widen the terminal, or use --json", "dim"))
    print_damaged(screen, shown)
    if total > len(shown):
        screen.line((f"and {total - len(shown)} more: -n 0 shows all", "dim"))


def _shorten_names(
    screen: Screen, heads: Sequence[str], rows: Sequence[list[str | Text]], optional: Sequence[str]
) -> list[list[str | Text]]:
    """Leave out the middle of long names where that makes room for the other columns."""
    from tracelet.cli.views.screen import shorten_text

    place = list(heads).index("name")
    if screen.fits(heads, rows):
        return list(rows)
    others = [[*row[:place], *row[place + 1 :], ""] for row in rows]
    room = screen.fit_columns([*heads[:place], *heads[place + 1 :], ""], others, optional, reserve=LEAST_NAME)
    longest = room if room >= LEAST_NAME else LONGEST_NAME
    mark = "..." if screen.ascii_only else "…"
    return [[*row[:place], shorten_text(row[place], longest, mark), *row[place + 1 :]] for row in rows]


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _format_cell(screen: Screen, column: str, value: Any) -> str:
    from tracelet.cli.views.formatting import format_duration, format_number, format_time, format_value

    if value is None:
        return screen.dash
    if column in ("started", "ended", "started_at", "ended_at"):
        return format_time(value)
    if column == "duration":
        return format_duration(value)
    return format_number(value) if isinstance(value, float) else format_value(value)


def _own_columns(shown: Sequence[RunRecord], *, tree: bool) -> dict[str, Callable[[RunRecord], str]]:
    """Return the columns that only some lists need, with what each shows."""
    several = len({record.project for record in shown}) > 1
    grouped = not tree and any(record.group for record in shown)
    archived = any(record.archived for record in shown)
    return {
        **({"project": lambda record: record.project} if several else {}),
        **({"group": lambda record: record.group or ""} if grouped else {}),
        **({"archived": lambda record: "archived" if record.archived else ""} if archived else {}),
    }


def _format_row(record: RunRecord, own: Iterable[Callable[[RunRecord], str]]) -> list[str | Text]:
    from tracelet.cli.views.formatting import format_age, format_duration
    from tracelet.cli.views.screen import state_text, styled_text

    return [
        styled_text(record.id, "cyan"),
        styled_text(record.name, "bold"),
        *(column(record) for column in own),
        state_text(record.outcome),
        format_age(record.started_at),
        format_duration(record.duration),
    ]
