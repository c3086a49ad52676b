"""What ``tracelet run`` prints after the program: what was recorded, what it cost, what is still due."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from tracelet.cli.views.costs import print_costs
from tracelet.cli.views.numbers import duration, number, plural, size
from tracelet.cli.views.screen import STATE_STYLES, Screen, joined, state
from tracelet.cli.views.trends import MetricSummary, courses, drawn, print_courses
from tracelet.messages import plain
from tracelet.run.run_plugins import sum_costs
from tracelet.store import RunRecord

if TYPE_CHECKING:
    from tracelet.run import Run

FINISHED: Final = "finished"
CLOCK_STEP: Final = 0.1  # seconds by which a file system's clock may be behind
MOST_RUNS: Final = 10
MOST_METRICS: Final = 30  # in the summary; `tracelet show` has all of them


def print_end(screen: Screen, run: Run, status: int, *, quiet: bool, verbose: bool) -> None:
    """Print the summary of a run that has ended; where nobody wants one, a line on stderr."""
    if not quiet:
        print_summary(screen, run, status, verbose=verbose)
    elif run.config.mode != "disabled":
        told = f"run {run.name} {run.outcome}; tracelet show {run.id}"
        Screen(sys.stderr).line((f"tracelet: {told}", "dim"))


def print_summary(screen: Screen, run: Run, exit_status: int, *, verbose: bool = False) -> None:
    """Print the summary of a run that has ended; the program exits with ``exit_status``."""
    status = run.status()
    screen.flush()
    screen.rule(("summary", "bold"))
    if run.config.mode == "disabled":
        screen.line("nothing was recorded: the mode is disabled")
        return
    print_drops(screen, status["dropped"])
    record = _record(run)
    if record is not None:
        _print_recorded(screen, record, everything=verbose)
    print_costs(screen, sum_costs(status["plugins"]), status["overhead"])
    print_delivery(screen, status["delivery"], run.pending, run.id)
    for line in run.plugins.summary:
        screen.line(line)
    print_problems(screen, status)
    if verbose:
        print_tracebacks(screen, run)
    print_further_runs(screen, run)
    if exit_status and run.outcome == FINISHED:
        screen.problem(f"the program failed after the run had ended (exit status {exit_status})")
    _print_end(screen, run, record)


def _record(run: Run) -> RunRecord | None:
    """Read the run back, without the index; ``None`` where its folder could not even be made (which has been told)."""
    return RunRecord.read(run.dir) if run.dir.is_dir() else None


def _print_recorded(screen: Screen, record: RunRecord, *, everything: bool) -> None:
    if record.outcome != FINISHED:
        print_outcome(screen, record)
        screen.blank()
    print_metrics(screen, courses(record), record, everything=everything)
    print_values(screen, "params", record.params)
    print_values(screen, "tags", record.tags)
    print_artifacts(screen, record)


def print_outcome(screen: Screen, record: RunRecord) -> None:
    """Print how a run ended."""
    error = (f": {record.error}", "red") if record.error else ""
    screen.field("outcome", state(record.outcome), error)


def print_drops(screen: Screen, dropped: Mapping[str, int]) -> None:
    """Print how many points were lost, and why."""
    for reason, points in dropped.items():
        screen.problem(f"{plural(points, 'point')} could not be recorded: {reason}", style="red")


def print_metrics(
    screen: Screen, found: list[MetricSummary], record: RunRecord, *, everything: bool = False
) -> None:
    """Print the table of metrics: the program's own, and what collectors measured where wanted."""
    own = [course for course in found if everything or not course.is_measured]
    shown = own if everything else own[:MOST_METRICS]
    if shown:
        print_courses(screen, drawn(record, shown))
    measured = len(found) - len(own)
    hidden = [f"{len(own) - len(shown)} more"] if len(own) > len(shown) else []
    hidden += [f"{measured} measured by collectors"] if measured else []
    if hidden:
        screen.line((f"and {', '.join(hidden)}: tracelet show {record.id} --all", "dim"))
    if found:
        screen.blank()


def print_values(screen: Screen, label: str, values: Mapping[str, Any]) -> None:
    """Print parameters or tags on one line, as wide as it takes."""
    if values:
        parts = [joined((f"{name} ", "dim"), value_text(value)) for name, value in values.items()]
        screen.field(label, Text(f" {screen.dot} ", "dim").join(parts))


def value_text(value: Any) -> str:
    """Return a parameter as people write it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return plain(str(value))
    return str(value) if isinstance(value, int) or len(str(value)) <= 8 else number(value)


def print_artifacts(screen: Screen, record: RunRecord) -> None:
    """Print the files that a run kept."""
    for at, artifact in enumerate(record.artifacts):
        files = artifact.get("files") or []
        total = sum(int(file.get("size") or 0) for file in files)
        several = f"{plural(len(files), 'file')}, " if len(files) != 1 else ""
        about = f"  {several}{size(total)}"
        screen.field("" if at else "artifacts", str(artifact.get("path", "")), (about, "dim"))


def print_delivery(
    screen: Screen, delivery: Mapping[str, Mapping[str, Any]], due: Mapping[str, Any], run_id: str
) -> None:
    """Print how far each backend has come."""
    label = "delivery"
    for backend, known in delivery.items():
        pending = int(known.get("pending") or known.get("lag") or 0)
        if backend not in due and not pending:
            text = joined(
                f"{backend} ", (f"has all {plural(int(known.get('delivered') or 0), 'record')}", "green")
            )
        else:
            what = due.get(backend) or plural(pending, "record")
            error = known.get("error")
            what += f" ({error})" if error and error not in what else ""
            hint = f"kept in the journal; tracelet sync {run_id} delivers it"
            text = joined(f"{backend} ", (f"still due: {what}; {hint}", "yellow"))
        screen.field(label, text)
        label = ""


def print_problems(screen: Screen, status: Mapping[str, Any]) -> None:
    """Print a sentence for each plugin that failed, and for whatever else went wrong."""
    failed = [plugin["error"] for plugin in status["plugins"].values() if plugin.get("error")]
    for problem in dict.fromkeys([*failed, *status["problems"]]):
        if problem in failed:
            screen.problem(problem, label="error", style="red")
        else:
            screen.problem(problem)


def print_tracebacks(screen: Screen, run: Run) -> None:
    """Print where each plugin that failed did so."""
    manager = run.plugins.manager
    for info in manager.plugins.values() if manager is not None else ():
        if info.traceback:
            screen.blank()
            screen.line((f"traceback of plugin {info.name}", "bold"))
            for line in info.traceback.splitlines():
                screen.line((line, "dim"), indent=2)


def print_further_runs(screen: Screen, run: Run) -> None:
    """Print the runs that the program has started beside the one that it was run in."""
    begun = _begun_since(run)
    records = [RunRecord.read(run.dir.with_name(run_id)) for run_id in begun]
    others = [record for record in records if any(one.pid == os.getpid() for one in record.writers)]
    others.sort(key=lambda record: record.started_at)
    for at, record in enumerate(others[:MOST_RUNS]):
        label = "" if at else "also ran"
        screen.field(label, (record.name, "bold"), (f" {record.id} ", "cyan"), state(record.outcome))
    if len(others) > MOST_RUNS:
        screen.field("", (f"and {len(others) - MOST_RUNS} more: tracelet runs", "dim"))


def _begun_since(run: Run) -> list[str]:
    """Return the ids of the runs that were begun after this one, by their folders: nothing is read or indexed."""
    if not run.dir.parent.is_dir():
        return []
    folders = [each for each in run.dir.parent.iterdir() if each.is_dir() and each != run.dir]
    since = run.started_at - CLOCK_STEP
    return [each.name for each in folders if each.stat().st_ctime >= since]


def _print_end(screen: Screen, run: Run, record: RunRecord | None) -> None:
    outcome = str(run.outcome)
    style = STATE_STYLES.get(outcome, "yellow")
    taken = time.time() - run.started_at if record is None else record.duration
    hint = (
        ("nothing was recorded", "bold red") if record is None else (f"tracelet show {run.id}", "bold cyan")
    )
    screen.rule(
        (run.name, "bold"),
        (f" {outcome}", style),
        f" in {duration(taken)} {screen.dot} ",
        hint,
        style=style.replace("bold ", ""),
    )
    screen.flush()
