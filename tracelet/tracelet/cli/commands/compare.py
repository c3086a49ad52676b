"""``tracelet compare``: several runs next to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from tracelet.cli.options import dir_option, global_options, plugin_options, project_option
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord

MISSING: Final = object()


@click.command("compare")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "--where",
    metavar="EXPRESSION",
    help="Also the runs that match: 'params.lr < 0.1 and metrics.acc.max > 0.9'.",
)
@click.option(
    "--sort",
    metavar="FIELD",
    default="-started",
    help="Order of the runs from --where, with - for descending: -metrics.acc.max.",
)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=20,
    show_default=True,
    help="How many runs from --where; 0 for all.",
)
@click.option("--metric", "metrics", multiple=True, metavar="PATTERN", help="Only these metrics. Repeatable.")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also equal parameters, and collectors' metrics."
)
@project_option
@dir_option
@plugin_options
@json_option
def compare(
    runs: tuple[str, ...],
    where: str | None,
    sort: str,
    limit: int,
    metrics: tuple[str, ...],
    everything: bool,
) -> None:
    """Compare runs: the parameters that differ, and each metric's best value (or its last).

    RUN as in show. The best run of each metric is marked with an asterisk.
    """
    from tracelet.cli.views.comparison import print_comparison
    from tracelet.cli.views.run_data import describe_run
    from tracelet.cli.views.trends import load_points, summarize_metrics

    records = _select_runs(runs, where, sort, limit)
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

    params = _collect_params(records, everything=everything)
    shown = {name: [one.get(name) for one in found] for name in names}
    show_result(
        describe,
        lambda screen: print_comparison(screen, records, params, shown, complete=everything),
    )


def _select_runs(runs: Sequence[str], where: str | None, sort: str, limit: int) -> list[RunRecord]:
    """Return the runs that were named, then those that match, each once."""
    if len(runs) < 2 and where is None:
        raise click.UsageError("expected two runs or more to compare: RUN RUN..., or --where EXPRESSION")
    records = [global_options().find_run(run) for run in runs]
    if where is not None:
        records += (
            global_options()
            .store()
            .runs(global_options().project, where=where, sort=sort, limit=limit or None)
        )
    unique = list({record.id: record for record in records}.values()) if where is not None else records
    if len(unique) < 2:
        raise click.UsageError(
            f"expected two runs or more to compare, --where {where!r} leaves {len(unique)}"
        )
    return unique


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
