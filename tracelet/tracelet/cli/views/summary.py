"""What ``tracelet run`` prints after the program: what was recorded, what it cost, what is still pending."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

from tracelet.cli.views.artifact_list import print_artifacts
from tracelet.cli.views.formatting import format_duration
from tracelet.cli.views.screen import STATE_STYLES, Screen, state_text
from tracelet.cli.views.sections import (
    print_costs,
    print_delivery,
    print_drops,
    print_metrics,
    print_outcome,
    print_problems,
    print_values,
)
from tracelet.cli.views.trends import summarize_metrics
from tracelet.run.run_plugins import sum_costs
from tracelet.store import RunRecord
from tracelet.store.point_columns import is_installed
from tracelet.store.record import Surroundings

if TYPE_CHECKING:
    from tracelet.run import Run
    from tracelet.store.history import Process

FINISHED: Final = "finished"
CLOCK_LAG: Final = 0.1  # seconds by which a file system's clock may be behind
MOST_RUNS: Final = 10  # of the program's other runs that are listed


def print_end(screen: Screen, run: Run, status: int, *, quiet: bool, verbose: bool) -> None:
    """Print the summary of a run that has ended, or one line on stderr if ``quiet``."""
    if not quiet:
        print_summary(screen, run, status, verbose=verbose)
    elif run.config.mode != "disabled":
        message = f"run {run.name} {run.outcome}; tracelet show {run.id}"
        Screen(sys.stderr).line((f"tracelet: {message}", "dim"))


def print_summary(screen: Screen, run: Run, exit_status: int, *, verbose: bool = False) -> None:
    """Print the summary of a run that has ended; the program exits with ``exit_status``."""
    status = run.status()
    screen.flush()
    screen.rule(("summary", "bold"))
    if run.config.mode == "disabled":
        screen.line("nothing was recorded: the mode is disabled")
        return
    print_drops(screen, status["dropped"])
    record = _read_record(run)
    if record is not None:
        _print_record(screen, record, everything=verbose)
    print_costs(screen, sum_costs(status["plugins"]), status["overhead"])
    print_delivery(screen, status["delivery"], run.pending, run.id)
    for line in run.plugins.summary:
        screen.line(line)
    print_problems(screen, status)
    if verbose:
        print_tracebacks(screen, run)
    print_other_runs(screen, run)
    if exit_status and run.outcome == FINISHED:
        screen.problem(f"the program failed after the run had ended (exit status {exit_status})")
    if record is not None and is_installed("starlette") and is_installed("uvicorn"):
        screen.field("page", ("tracelet ui", "cyan"), (" shows it in a browser", "dim"))
    _print_footer(screen, run, record)


def _read_record(run: Run) -> RunRecord | None:
    """Read the run back without the index; ``None`` if its folder could not be created (reported already)."""
    goals = run.config.settings.get("goals", {})
    return RunRecord.read(run.dir, surroundings=Surroundings(goals)) if run.dir.is_dir() else None


def _print_record(screen: Screen, record: RunRecord, *, everything: bool) -> None:
    if record.outcome != FINISHED:
        print_outcome(screen, record)
        screen.blank()
    print_metrics(screen, summarize_metrics(record), record, everything=everything)
    print_values(screen, "params", record.params)
    print_values(screen, "tags", record.tags)
    print_artifacts(screen, record, everything=everything)


def print_tracebacks(screen: Screen, run: Run) -> None:
    """Print the traceback of each plugin that failed."""
    manager = run.plugins.manager
    for info in manager.plugins.values() if manager is not None else ():
        if info.traceback:
            screen.blank()
            screen.line((f"traceback of plugin {info.name}", "bold"))
            for line in info.traceback.splitlines():
                screen.line((line, "dim"), indent=2)


def print_other_runs(screen: Screen, run: Run) -> None:
    """Print the runs that the program started in addition to the one it was run in."""
    candidates = _find_runs_started_since(run)
    records = [RunRecord.read(run.dir.with_name(run_id)) for run_id in candidates]
    others = [record for record in records if any(map(_is_of_program, record.writers))]
    others.sort(key=lambda record: record.started_at)
    for at, record in enumerate(others[:MOST_RUNS]):
        label = "" if at else "other runs"
        screen.field(label, (record.name, "bold"), (f" {record.id} ", "cyan"), state_text(record.outcome))
    if len(others) > MOST_RUNS:
        screen.field("", (f"and {len(others) - MOST_RUNS} more: tracelet runs", "dim"))


def _is_of_program(process: Process) -> bool:
    """Return whether this is the program's process or one that it started, such as a rank."""
    return os.getpid() in (process.pid, *(process.facts.get("parents") or ()))


def _find_runs_started_since(run: Run) -> list[str]:
    """Return the ids of the runs started after this one, judged by their folders: nothing is read or indexed."""
    if not run.dir.parent.is_dir():
        return []
    folders = [each for each in run.dir.parent.iterdir() if each.is_dir() and each != run.dir]
    since = run.started_at - CLOCK_LAG
    return [each.name for each in folders if each.stat().st_ctime >= since]


def _print_footer(screen: Screen, run: Run, record: RunRecord | None) -> None:
    outcome = str(run.outcome)
    style = STATE_STYLES.get(outcome, "yellow")
    taken = time.time() - run.started_at if record is None else record.duration
    hint = (
        ("nothing was recorded", "bold red") if record is None else (f"tracelet show {run.id}", "bold cyan")
    )
    screen.rule(
        (run.name, "bold"),
        (f" {outcome}", style),
        f" in {format_duration(taken)} {screen.dot} ",
        hint,
        style=style.replace("bold ", ""),
    )
    screen.flush()
