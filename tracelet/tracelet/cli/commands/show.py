"""``tracelet show``: one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import choices, json_option, place_options, plugin_options

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord


@click.command("show")
@click.argument("run", default="latest")
@click.argument("metrics", nargs=-1, metavar="[METRIC]...")
@click.option("-a", "--all", "everything", is_flag=True, help="Also what collectors measured and found out.")
@place_options
@plugin_options
@json_option
def show(run: str, metrics: tuple[str, ...], everything: bool) -> None:
    """Show a run: RUN is an id, its beginning, a name (the newest of that name), or "latest".

    With METRIC (a name or a pattern such as 'train/*'), only these metrics, each drawn as wide as the screen.
    """
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.views.records import fully_described, matching
    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.trends import courses, drawn

    record = choices().store().run(run)
    found = courses(record, matching(record.metrics(), metrics))
    if choices().json:
        emit_json(fully_described(record, drawn(record, found)))
    elif metrics:
        _print_metrics(Screen(), record, drawn(record, found))
    else:
        _print_run(Screen(), record, found, everything=everything)


def _print_run(screen: Screen, record: RunRecord, found: list[MetricSummary], *, everything: bool) -> None:
    from tracelet.cli.views import summary
    from tracelet.cli.views.costs import print_costs
    from tracelet.cli.views.numbers import ago, duration, moment
    from tracelet.cli.views.plugins import near
    from tracelet.cli.views.tables import print_tables

    dot = f" {screen.dot} "
    screen.rule((record.name, "bold"), (f"{dot}{record.id}", "cyan"))
    screen.field("project", record.project)
    taken = "so far" if record.outcome == "running" else "in all"
    screen.field("started", moment(record.started_at), (f"{dot}{ago(record.started_at)}", "dim"))
    screen.field("took", duration(record.duration), (f" {taken}", "dim"))
    if record.host:
        screen.field("host", record.host)
    _print_processes(screen, record)
    screen.field("folder", near(record.dir))
    summary.print_outcome(screen, record)
    summary.print_drops(screen, record.dropped)
    screen.blank()
    summary.print_metrics(screen, found, record, everything=everything)
    summary.print_values(screen, "params", record.params)
    summary.print_values(screen, "tags", record.tags)
    summary.print_artifacts(screen, record)
    print_tables(screen, record, everything=everything)
    print_costs(screen, record.plugins, record.overhead)
    _print_delivery(screen, record)
    if everything:
        for source, facts in record.facts.items():
            _print_facts(screen, source, facts)
    _print_troubles(screen, record)


def _print_delivery(screen: Screen, record: RunRecord) -> None:
    """Print how far each backend has come; of a run that goes on, it is on its way."""
    from tracelet.cli.views import summary
    from tracelet.cli.views.numbers import count
    from tracelet.delivery import progress

    known = progress(record.dir)
    if record.outcome != "running":
        summary.print_delivery(screen, {each.backend: each._asdict() for each in known}, {}, record.id)
        return
    for each in known:
        error = (f" ({each.error})", "yellow") if each.error else ""
        screen.field(
            "delivery",
            f"{each.backend} has {count(each.delivered)} records, {count(each.pending)} to come",
            error,
        )


def _print_processes(screen: Screen, record: RunRecord) -> None:
    """Print of how many processes a run was, where there was more than one."""
    from tracelet.cli.views.numbers import plural

    several = record.writers
    if len(several) < 2:
        return
    told = [str(len(several))]
    if ranks := {process.rank for process in several if process.rank is not None}:
        told.append(f"{plural(len(ranks), 'rank')} of {several[-1].facts.get('launcher', 'a job')}")
    if len(hosts := {process.host for process in several}) > 1:
        told.append(plural(len(hosts), "host"))
    if forked := sum(process.is_child for process in several):
        told.append(f"{forked} forked")
    if resumed := sum(
        process.rank in (None, 0) and bool(process.facts.get("resumed")) for process in several
    ):
        told.append(f"resumed {plural(resumed, 'time')}")
    screen.field("processes", f" {screen.dot} ".join(told))


def _print_facts(screen: Screen, source: str, facts: dict[str, Any]) -> None:
    screen.blank()
    screen.line((source, "bold"))
    for name, value in facts.items():
        screen.field(f"  {name}", str(value), width=min(max(len(each) for each in facts) + 2, 32))


def _print_troubles(screen: Screen, record: RunRecord) -> None:
    """Print what could not be read or written."""
    from tracelet.cli.views.numbers import plural

    if record.problem:
        screen.problem(record.problem, style="red")
        return
    for kind, times in record.damage.items():
        if kind == "version":  # that is the problem told above
            continue
        screen.problem(
            f"the journal is damaged: {kind}, {plural(times, 'time')}; tracelet verify {record.id} tells more"
        )


def _print_metrics(screen: Screen, record: RunRecord, found: list[MetricSummary]) -> None:
    from tracelet.cli.views.numbers import count, number
    from tracelet.cli.views.sparkline import sparkline

    dot = f" {screen.dot} "
    screen.rule((record.name, "bold"), (f"{dot}{record.id}", "cyan"))
    for course in found:
        best = (
            f"{dot}best {number(course.best)} at step {course.best_step}" if course.best is not None else ""
        )
        screen.line(
            (course.name, "bold"),
            f"{dot}last {number(course.last)} at step {course.last_step}{best}",
            (
                f"{dot}min {number(course.min)}{dot}max {number(course.max)}{dot}mean {number(course.mean)}",
                "dim",
            ),
            (f"{dot}{count(course.points)} points", "dim"),
        )
        drawn = sparkline(course.values, screen.console.width, ascii_only=screen.ascii_only)
        screen.line((drawn, "cyan"))
