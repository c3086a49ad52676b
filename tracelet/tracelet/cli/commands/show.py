"""``tracelet show``: one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from tracelet.cli.options import dir_option, global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord

MOST_CHILDREN: Final = 3  # that are named
MOST_LINES: Final = 20  # of the notes


@click.command("show")
@click.argument("run", default="latest")
@click.argument("metrics", nargs=-1, metavar="[METRIC]...")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also the collectors' metrics and facts, and every file."
)
@click.option("--console", is_flag=True, help="What the program printed, and nothing else.")
@click.option("--diff", is_flag=True, help="What differed from the commit in the program's repository.")
@dir_option
@plugin_options
@json_option
def show(run: str, metrics: tuple[str, ...], everything: bool, console: bool, diff: bool) -> None:
    """Show a run: RUN is an id, the beginning of one, a name (its newest run), or "latest".

    With METRIC (a name or a pattern such as 'train/*'), show only these metrics, each as wide as the screen.
    """
    from tracelet.cli.views.run_data import describe_run_fully, match_metrics
    from tracelet.cli.views.trends import load_points, summarize_metrics

    record = global_options().find_run(run)
    if console or diff:
        from tracelet.cli.views.program_files import show_console, show_diff

        (show_console if console else show_diff)(record)
        return
    found = summarize_metrics(record, match_metrics(record.metrics(), metrics) if metrics else None)
    show_result(
        lambda: describe_run_fully(record, load_points(record, found)),
        lambda screen: (
            _print_metrics(screen, record, load_points(record, found))
            if metrics
            else _print_run(screen, record, found, everything=everything)
        ),
    )


def _print_run(screen: Screen, record: RunRecord, found: list[MetricSummary], *, everything: bool) -> None:
    from tracelet.cli.views import sections
    from tracelet.cli.views.artifact_list import print_artifacts, print_tables
    from tracelet.cli.views.edits import print_edits

    _print_about(screen, record)
    sections.print_drops(screen, record.dropped)
    screen.blank()
    sections.print_metrics(screen, found, record, everything=everything)
    sections.print_values(screen, "params", record.params)
    sections.print_values(screen, "tags", record.tags)
    if record.notes:
        _print_notes(screen, record.notes)
    print_artifacts(screen, record, everything=everything)
    print_tables(screen, record, everything=everything)
    sections.print_costs(screen, record.plugins, record.overhead)
    _print_delivery(screen, record)
    if everything:
        for source, facts in record.facts.items():
            _print_facts(screen, source, facts)
        print_edits(screen, record)
    _print_problems(screen, record)


def _print_about(screen: Screen, record: RunRecord) -> None:
    from tracelet.cli.views.formatting import format_age, format_duration, format_time, shorten_path
    from tracelet.cli.views.sections import print_outcome

    dot = f" {screen.dot} "
    screen.rule((record.name, "bold"), (f"{dot}{record.id}", "cyan"))
    screen.field("project", record.project)
    _print_place(screen, record)
    age = (f"{dot}{format_age(record.started_at)}", "dim")
    screen.field("started", format_time(record.started_at), age)
    so_far = (" so far", "dim") if record.outcome == "running" else ""
    screen.field("took", format_duration(record.duration), so_far)
    if record.host:
        screen.field("host", record.host)
    _print_processes(screen, record)
    screen.field("folder", shorten_path(record.location))
    print_outcome(screen, record)


def _print_place(screen: Screen, record: RunRecord) -> None:
    """Print where the run belongs: group, kind of work, parent, children."""
    from tracelet.cli.views.formatting import pluralize

    if record.group:
        screen.field("group", record.group)
    if record.job_type:
        screen.field("job type", record.job_type)
    if record.parent:
        screen.field("parent", record.parent)
    if children := record.children:
        more = f", and {len(children) - MOST_CHILDREN} more" if len(children) > MOST_CHILDREN else ""
        names = ", ".join(children[:MOST_CHILDREN]) + more
        screen.field("children", f"{pluralize(len(children), 'run')}: {names}")
    if record.archived:
        screen.field("archived", "yes", (" (lists leave the run out)", "dim"))


def _print_notes(screen: Screen, notes: str) -> None:
    """Print notes as they were written, line by line."""
    lines = notes.strip().splitlines()
    for at, line in enumerate(lines[:MOST_LINES]):
        screen.field("" if at else "notes", line)
    if len(lines) > MOST_LINES:
        screen.field("", (f"and {len(lines) - MOST_LINES} more lines, in --json", "dim"))


def _print_delivery(screen: Screen, record: RunRecord) -> None:
    """Print what each backend has received; during a run, the rest is on its way."""
    from tracelet.cli.views import sections
    from tracelet.cli.views.formatting import format_count, pluralize
    from tracelet.delivery import progress

    known = progress(record.dir)
    if record.outcome != "running":
        sections.print_delivery(screen, {each.backend: each._asdict() for each in known}, {}, record.id)
        return
    for each in known:
        error = (f" ({each.error})", "yellow") if each.error else ""
        counts = f"{pluralize(each.delivered, 'record')} delivered, {format_count(each.pending)} pending"
        screen.field("delivery", f"{each.backend} {counts}", error)


def _print_processes(screen: Screen, record: RunRecord) -> None:
    """Print how many processes recorded the run, if more than one did."""
    from tracelet.cli.views.formatting import pluralize

    several = record.writers
    if len(several) < 2:
        return
    parts = [str(len(several))]
    if ranks := {process.rank for process in several if process.rank is not None}:
        parts.append(f"{pluralize(len(ranks), 'rank')} of {several[-1].facts.get('launcher', 'a job')}")
    if len(hosts := {process.host for process in several}) > 1:
        parts.append(pluralize(len(hosts), "host"))
    if forked := sum(process.is_child for process in several):
        parts.append(f"{forked} forked")
    if resumed := sum(
        process.rank in (None, 0) and bool(process.facts.get("resumed")) for process in several
    ):
        parts.append(f"resumed {pluralize(resumed, 'time')}")
    screen.field("processes", f" {screen.dot} ".join(parts))


def _print_facts(screen: Screen, source: str, facts: Mapping[str, Any]) -> None:
    screen.blank()
    screen.line((source, "bold"))
    width = min(max((len(name) for name in facts), default=0) + 2, 32)
    for name, value in facts.items():
        screen.field(f"  {name}", str(value), width=width)


def _print_problems(screen: Screen, record: RunRecord) -> None:
    """Print what could not be read or written."""
    from tracelet.cli.views.damage import describe_damage

    if record.problem:
        screen.problem(record.problem, style="red")
        return
    damage = {kind: count for kind, count in record.damage.items() if kind != "version"}  # reported above
    if damage:
        what = "; ".join(describe_damage(damage))
        screen.problem(f"{what}. What is shown is what could be read; details: tracelet verify {record.id}")


def _print_metrics(screen: Screen, record: RunRecord, metrics: Sequence[MetricSummary]) -> None:
    from tracelet.cli.views.formatting import format_number, pluralize
    from tracelet.cli.views.trends import draw_sparkline

    dot = f" {screen.dot} "
    screen.rule((record.name, "bold"), (f"{dot}{record.id}", "cyan"))
    for metric in metrics:
        best = "" if metric.best is None else f"{dot}best {format_number(metric.best)}"
        best += "" if metric.best_step is None else f" at step {metric.best_step}"
        least, most, mean = map(format_number, (metric.min, metric.max, metric.mean))
        screen.line(
            (metric.name, "bold"),
            f"{dot}last {format_number(metric.last)} at step {metric.last_step}{best}",
            (f"{dot}min {least}{dot}max {most}{dot}mean {mean}", "dim"),
            (f"{dot}{pluralize(metric.points, 'point')}", "dim"),
        )
        trend = draw_sparkline(metric.values, screen.console.width, ascii_only=screen.ascii_only)
        screen.line((trend, "cyan"))
