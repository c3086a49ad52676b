"""The sections that a run's summary and ``tracelet show`` have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from tracelet.cli.views.formatting import (
    format_count,
    format_duration,
    format_number,
    format_value,
    pluralize,
)
from tracelet.cli.views.screen import join_parts, state_text
from tracelet.cli.views.trends import load_points, print_trends

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Part, Screen
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord

MOST_METRICS: Final = 30  # shown without --all
MEANINGFUL_SECONDS: Final = (
    10.0  # in a shorter program, the start of the plugins dominates the share of overhead
)


def print_outcome(screen: Screen, record: RunRecord) -> None:
    """Print how a run ended."""
    error = (f": {record.error}", "red") if record.error else ""
    screen.field("outcome", state_text(record.outcome), error)


def print_drops(screen: Screen, dropped: Mapping[str, int]) -> None:
    """Print how many points were lost, and why."""
    for reason, points in dropped.items():
        screen.problem(f"{pluralize(points, 'point')} could not be recorded: {reason}", style="red")


def print_metrics(
    screen: Screen, metrics: Sequence[MetricSummary], record: RunRecord, *, everything: bool = False
) -> None:
    """Print a table of the program's metrics, and of the collectors' if ``everything`` is wanted."""
    own = [metric for metric in metrics if everything or not metric.is_measured]
    shown = own if everything else own[:MOST_METRICS]
    if shown:
        print_trends(screen, load_points(record, shown))
    measured = len(metrics) - len(own)
    hidden = [f"{len(own) - len(shown)} more"] if len(own) > len(shown) else []
    hidden += [f"{measured} measured by collectors"] if measured else []
    if hidden:
        screen.line((f"and {', '.join(hidden)}: tracelet show {record.id} --all", "dim"))
    if metrics:
        screen.blank()


def print_values(screen: Screen, label: str, values: Mapping[str, Any]) -> None:
    """Print parameters or tags, as many per line as fit. A tag without a value is its name alone."""
    parts = [
        join_parts((name, "dim"), *([" ", format_value(value)] if value != "" else []))
        for name, value in values.items()
    ]
    dot = Text(f" {screen.dot} ", "dim")
    for at, line in enumerate(_fill_lines(parts, screen.field_width, dot.cell_len)):
        screen.field("" if at else label, dot.join(line))


def _fill_lines(parts: Sequence[Text], width: int, gap: int) -> Iterator[list[Text]]:
    """Group parts into lines, so that a line breaks between two parts and not inside one."""
    line: list[Text] = []
    used = 0
    for part in parts:
        if line and used + gap + part.cell_len > width:
            yield line
            line, used = [], 0
        used += part.cell_len + (gap if line else 0)
        line.append(part)
    if line:
        yield line


def print_costs(
    screen: Screen, plugins: Mapping[str, Mapping[str, Any]], overhead: Mapping[str, Any]
) -> None:
    """Print what each active plugin cost, and how much of the program's time tracelet took in total."""
    rows = list(_format_costs(screen, plugins))
    if rows:
        screen.blank()
        screen.table(
            ("plugin", "type", "calls", "errors", "wall", "cpu", "state"),
            rows,
            right=("calls", "errors", "wall", "cpu"),
            whole=("plugin", "type", "state"),
            optional=("type", "cpu", "wall"),
        )
        screen.blank()
    if overhead:
        screen.blank()
        screen.field("overhead", *_format_overhead(overhead))


def _format_costs(screen: Screen, plugins: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str | Text]]:
    for name, plugin in plugins.items():
        errors = int(plugin["errors"])
        word = "ok" if plugin["state"] in ("stopped", "active") else str(plugin["state"])
        yield [
            name,
            plugin["type"] or screen.dash,
            format_count(int(plugin["calls"])),
            Text(format_count(errors), "bold red" if errors else "dim"),
            format_duration(plugin["wall_s"]),
            format_duration(plugin["cpu_s"]),
            state_text(word),
        ]


def _format_overhead(overhead: Mapping[str, Any]) -> Iterator[Part]:
    taken = overhead["call_s"] + overhead["threads_cpu_s"]
    yield f"{format_duration(taken)} in total"
    if taken > MEANINGFUL_SECONDS * overhead["share"] or overhead["limit"] is not None:
        yield f", {100 * overhead['share']:.2g}% of the program's time"
    if overhead["limit"] is not None:
        yield f" (budget {100 * overhead['limit']:.2g}%)"
    if overhead["us_per_point"]:
        yield (f"; {format_number(overhead['us_per_point'], 2)} us per point", "dim")
    for shed in overhead["shed"]:
        yield (f"; {shed}", "yellow")


def print_delivery(
    screen: Screen, delivery: Mapping[str, Mapping[str, Any]], pending: Mapping[str, Any], run_id: str
) -> None:
    """Print what each backend has received. ``pending`` describes, by backend, what it has not."""
    label = "delivery"
    for backend, progress in delivery.items():
        records = int(progress.get("pending") or 0)
        if backend not in pending and not records:
            received = pluralize(int(progress.get("delivered") or 0), "record")
            text = join_parts(f"{backend} ", (f"has all {received}", "green"))
        else:
            what = pending.get(backend) or pluralize(records, "record")
            error = progress.get("error")
            what += f" ({error})" if error and error not in what else ""
            hint = f"kept in the journal; deliver with: tracelet sync {run_id}"
            text = join_parts(f"{backend} ", (f"pending: {what}; {hint}", "yellow"))
        screen.field(label, text)
        label = ""


def print_problems(screen: Screen, status: Mapping[str, Any]) -> None:
    """Print a line for each plugin that failed and for every other problem of the run."""
    failures = [plugin["error"] for plugin in status["plugins"].values() if plugin.get("error")]
    for problem in dict.fromkeys([*failures, *status["problems"]]):
        if problem in failures:
            screen.problem(problem, label="error", style="red")
        else:
            screen.problem(problem)
