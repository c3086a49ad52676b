"""``tracelet compare``: several runs next to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from tracelet.cli.options import dir_option, global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from rich.text import Text

    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord

MISSING: Final = object()
BEST_MARK: Final = "*"


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--metric", "metrics", multiple=True, metavar="PATTERN", help="Only these metrics. Repeatable.")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also equal parameters, and collectors' metrics."
)
@dir_option
@plugin_options
@json_option
def compare(runs: tuple[str, ...], metrics: tuple[str, ...], everything: bool) -> None:
    """Compare runs: the parameters that differ, and each metric's best value (or its last).

    The best run of each metric is marked with an asterisk.
    """
    from tracelet.cli.views.run_data import describe_run
    from tracelet.cli.views.trends import load_points, summarize_metrics

    if len(runs) < 2:
        raise click.UsageError("expected two runs or more to compare")
    store = global_options().store()
    records = [store.run(run) for run in runs]
    found = [{metric.name: metric for metric in summarize_metrics(record)} for record in records]
    names = _select_metrics(found, metrics, everything=everything)

    def describe() -> dict[str, Any]:
        loaded = [
            {one.name: one for one in load_points(record, [known[name] for name in names if name in known])}
            for record, known in zip(records, found, strict=True)
        ]
        return {
            "runs": [describe_run(record) for record in records],
            "params": _collect_params(records, everything=True),
            "metrics": {name: [_as_dict(one.get(name)) for one in loaded] for name in names},
        }

    show_result(describe, lambda screen: _print(screen, records, found, names, everything=everything))


def _as_dict(metric: MetricSummary | None) -> dict[str, Any] | None:
    return None if metric is None else metric.as_dict()


def _select_metrics(
    found: Sequence[dict[str, MetricSummary]], patterns: Sequence[str], *, everything: bool
) -> list[str]:
    from tracelet.cli.views.run_data import match_metrics

    measured_too = everything or bool(patterns)
    known = {
        metric.name: None
        for one in found
        for metric in one.values()
        if measured_too or not metric.is_measured
    }
    return match_metrics(list(known), patterns)


def _collect_params(records: Sequence[RunRecord], *, everything: bool) -> dict[str, list[Any]]:
    """Return each parameter's values, one per run; those equal in all runs only if ``everything`` is wanted."""
    names = dict.fromkeys(name for record in records for name in record.params)
    table = {name: [record.params.get(name, MISSING) for record in records] for name in names}
    kept = {name: values for name, values in table.items() if everything or len({*map(repr, values)}) > 1}
    return {name: [None if value is MISSING else value for value in values] for name, values in kept.items()}


def _print(
    screen: Screen,
    records: Sequence[RunRecord],
    found: Sequence[dict[str, MetricSummary]],
    names: Sequence[str],
    *,
    everything: bool,
) -> None:
    from tracelet.cli.views.formatting import format_duration
    from tracelet.cli.views.screen import state_text

    rows: list[list[str | Text]] = [
        ["run", *(record.id for record in records)],
        ["outcome", *(state_text(record.outcome) for record in records)],
        ["took", *(format_duration(record.duration) for record in records)],
        *_format_params(screen, _collect_params(records, everything=everything)),
        *(_format_metric(screen, name, [one.get(name) for one in found]) for name in names),
    ]
    screen.table(["", *(record.name for record in records)], rows)
    if not everything:
        screen.line(("--all adds equal parameters and the collectors' metrics", "dim"))


def _format_params(screen: Screen, params: dict[str, list[Any]]) -> Iterator[list[str | Text]]:
    from rich.text import Text

    from tracelet.cli.views.formatting import format_value

    for name, values in params.items():
        texts = [screen.dash if value is None else format_value(value) for value in values]
        yield [Text(name, "yellow"), *texts]


def _format_metric(screen: Screen, name: str, several: Sequence[MetricSummary | None]) -> list[str | Text]:
    from rich.text import Text

    from tracelet.cli.views.formatting import format_number

    values = [_compared_value(metric) for metric in several]
    numbers = {value for value in values if value is not None and value == value}
    direction = next((metric.direction for metric in several if metric is not None), None)
    best = (
        None
        if direction is None or len(numbers) < 2
        else min(numbers)
        if direction == "min"
        else max(numbers)
    )
    cells = [
        Text(screen.dash, "dim")
        if value is None
        else Text(f"{format_number(value)} {BEST_MARK}", "bold green")
        if value == best
        else Text(format_number(value))
        for value in values
    ]
    return [Text(name, "bold") + Text(f" {'best' if direction else 'last'}", "dim"), *cells]


def _compared_value(metric: MetricSummary | None) -> float | None:
    """Return the value by which a metric is compared."""
    if metric is None:
        return None
    return metric.last if metric.best is None else metric.best
