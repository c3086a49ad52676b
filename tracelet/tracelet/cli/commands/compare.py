"""``tracelet compare``: runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from tracelet.cli.options import choices, json_option, place_options, plugin_options

if TYPE_CHECKING:
    from rich.text import Text

    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord

ABSENT: Final = object()


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--metric", "metrics", multiple=True, metavar="PATTERN", help="Only these metrics. Repeatable.")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also equal parameters, and collectors' metrics."
)
@place_options
@plugin_options
@json_option
def compare(runs: tuple[str, ...], metrics: tuple[str, ...], everything: bool) -> None:
    """Show runs side by side: parameters that differ, and each metric's best value (or last).

    The best run of each metric is marked.
    """
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.views.records import described
    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.trends import courses, drawn

    if len(runs) < 2:
        raise click.UsageError("expected two runs or more to compare")
    store = choices().store()
    records = [store.run(run) for run in runs]
    found = [{course.name: course for course in courses(record)} for record in records]
    names = _metric_names(found, metrics, everything=everything)
    if choices().json:
        found = [
            {one.name: one for one in drawn(*pair)} for pair in zip(records, _of(found, names), strict=True)
        ]
        emit_json(
            {
                "runs": [described(record) for record in records],
                "params": _params(records, everything=True),
                "metrics": {name: [_as_dict(one.get(name)) for one in found] for name in names},
            }
        )
    else:
        _print(Screen(), records, found, names, everything=everything)


def _of(found: Sequence[dict[str, MetricSummary]], names: Sequence[str]) -> Iterator[list[MetricSummary]]:
    for one in found:
        yield [one[name] for name in names if name in one]


def _as_dict(course: MetricSummary | None) -> dict[str, Any] | None:
    return None if course is None else course.as_dict()


def _metric_names(
    found: Sequence[dict[str, MetricSummary]], patterns: Sequence[str], *, everything: bool
) -> list[str]:
    from tracelet.cli.views.records import matching

    shown = everything or bool(patterns)
    known = {course.name: None for one in found for course in one.values() if shown or not course.is_measured}
    return matching(list(known), patterns)


def _params(records: Sequence[RunRecord], *, everything: bool) -> dict[str, list[Any]]:
    """Return each parameter's values, one per run; those alike in all runs only where all are wanted."""
    names = dict.fromkeys(name for record in records for name in record.params)
    table = {name: [record.params.get(name, ABSENT) for record in records] for name in names}
    kept = {name: values for name, values in table.items() if everything or len({*map(repr, values)}) > 1}
    return {name: [None if value is ABSENT else value for value in values] for name, values in kept.items()}


def _print(
    screen: Screen,
    records: Sequence[RunRecord],
    found: Sequence[dict[str, MetricSummary]],
    names: Sequence[str],
    *,
    everything: bool,
) -> None:
    from tracelet.cli.views.numbers import duration
    from tracelet.cli.views.screen import state

    rows: list[list[str | Text]] = [
        ["run", *(record.id for record in records)],
        ["outcome", *(state(record.outcome) for record in records)],
        ["took", *(duration(record.duration) for record in records)],
        *_param_rows(screen, _params(records, everything=everything)),
        *(_metric_row(screen, name, [one.get(name) for one in found]) for name in names),
    ]
    screen.table(["", *(record.name for record in records)], rows)
    if not everything:
        screen.line(("parameters that are alike, and what collectors measured: --all", "dim"))


def _param_rows(screen: Screen, params: dict[str, list[Any]]) -> Iterator[list[str | Text]]:
    from rich.text import Text

    from tracelet.cli.views.summary import value_text
    from tracelet.messages import plain

    for name, values in params.items():
        texts = [screen.dash if value is None else value_text(value) for value in values]
        yield [Text(plain(name), "yellow"), *texts]


def _metric_row(screen: Screen, name: str, several: Sequence[MetricSummary | None]) -> list[str | Text]:
    from rich.text import Text

    from tracelet.cli.views.numbers import number
    from tracelet.messages import plain

    values = [_telling(course) for course in several]
    numbers = [value for value in values if value is not None and value == value]
    way = next((course.direction for course in several if course is not None), None)
    winner = None if way is None or len(numbers) < 2 else min(numbers) if way == "min" else max(numbers)
    cells = [
        Text(screen.dash, "dim")
        if value is None
        else Text(number(value), "bold green" if value == winner else "")
        for value in values
    ]
    label = Text(plain(name), "bold")
    return [label + Text(f" {'best' if way else 'last'}", "dim"), *cells]


def _telling(course: MetricSummary | None) -> float | None:
    """Return the value that a metric is compared by."""
    if course is None:
        return None
    return course.last if course.best is None else course.best
