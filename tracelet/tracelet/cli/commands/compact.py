"""``tracelet compact``: make the journals of ended runs smaller."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from tracelet.cli.options import dir_option, global_options, plugin_options, project_option
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.journal import Compaction
    from tracelet.store import RunRecord

ALREADY_COMPACT: Final = "already compact"


class CompactedRun(NamedTuple):
    """The result for one run; ``error`` says why it was left unchanged."""

    record: RunRecord
    result: Compaction
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        about = {"id": self.record.id, "name": self.record.name}
        return {**about, **self.result._asdict(), "error": self.error}


@click.command("compact")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@project_option
@dir_option
@plugin_options
@json_option
def compact(runs: tuple[str, ...]) -> int:
    """Make the journals of ended runs smaller without loss.

    RUN as in show; without it, all runs. A run in progress is skipped and reported; a run that is already compact
    is not changed. The exit status is 1 if a run could not be compacted.
    """
    from tracelet.cli.views.progress import track

    store = global_options().store()
    found = map(store.run, runs) if runs else reversed(store.runs(global_options().project, archived=None))
    unique = {record.id: record for record in found}.values()
    results: list[CompactedRun] = []
    progress: Iterable[CompactedRun] = _compact_runs(track(unique, "compacting", len(unique)), results)
    if sys.stderr.isatty():
        progress = list(progress)  # lines would be printed into the bar
    show_result(
        lambda: {"runs": [one.as_dict() for one in progress]},
        lambda screen: _print(screen, progress, results, named=bool(runs)),
    )
    return 1 if any(one.error for one in results) else 0


def _compact_runs(records: Iterable[RunRecord], results: list[CompactedRun]) -> Iterator[CompactedRun]:
    """Yield each run as soon as it is compacted, and append it to ``results``."""
    for record in records:
        results.append(_compact_run(record))
        yield results[-1]


def _compact_run(record: RunRecord) -> CompactedRun:
    from tracelet.errors import JournalError
    from tracelet.journal import Compaction, compact

    if record.problem:
        return CompactedRun(record, Compaction(), record.problem)
    try:
        record.source.check_journal("compact")
        return CompactedRun(record, compact(record.dir))
    except JournalError as error:
        return CompactedRun(record, Compaction(), str(error))


def _print(
    screen: Screen, progress: Iterable[CompactedRun], results: list[CompactedRun], *, named: bool
) -> None:
    """Print a line per run as it is done; if no run was named, only for those that changed or failed."""
    for one in progress:
        if named or one.error or one.result.segments or one.result.left:
            _print_run(screen, one)
    if not named:
        _print_total(screen, results)


def _print_total(screen: Screen, results: list[CompactedRun]) -> None:
    from tracelet.cli.views.formatting import pluralize

    changed = [one.result for one in results if one.result.segments]
    sizes = _describe_sizes(sum(each.before for each in changed), sum(each.after for each in changed))
    total = f"{len(changed)} of {pluralize(len(results), 'run')} compacted{sizes}"
    screen.line((total if results else "no runs yet", "dim"))


def _print_run(screen: Screen, one: CompactedRun) -> None:
    from tracelet.cli.views.formatting import pluralize

    label = [(one.record.name, "bold"), (f" {screen.dot} {one.record.id}  ", "cyan")]
    if one.error:
        screen.line(*label, (one.error, "red"))
    elif one.result.segments:
        sizes = _describe_sizes(one.result.before, one.result.after)
        screen.line(*label, (pluralize(one.result.points, "point") + sizes, "green"))
    elif not one.result.left:
        screen.line(*label, (ALREADY_COMPACT, "dim"))
    for reason in one.result.left.values():
        screen.line(*label, ("skipped: ", "yellow"), reason)


def _describe_sizes(before: int, after: int) -> str:
    from tracelet.cli.views.formatting import format_size

    return f", {format_size(before)} -> {format_size(after)}" if before else ""
