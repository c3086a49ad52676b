"""``tracelet compact``: less room for runs that have ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from tracelet.cli.options import choices, json_option, place_options, plugin_options, project_option

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.journal import Compaction
    from tracelet.store import RunRecord

NOTHING: Final = "is as small as it gets"


class Compacted(NamedTuple):
    """What became of one run; ``error`` is why it stayed as it was."""

    record: RunRecord
    done: Compaction
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        about = {"id": self.record.id, "name": self.record.name}
        return {**about, **self.done._asdict(), "error": self.error}


@click.command("compact")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@project_option
@place_options
@plugin_options
@json_option
def compact(runs: tuple[str, ...]) -> int:
    """Make the journals of runs that have ended smaller, without losing a bit.

    RUN as in show; without, all of them. A run that is still going is left alone, with the reason; one that is
    compact already stays as it is. The exit status is 1 where something went wrong.
    """
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.views.screen import Screen

    store = choices().store()
    found = map(store.run, runs) if runs else reversed(store.runs(choices().project))
    done = _compacted({one.id: one for one in found}.values())  # each once, whatever it is called by
    if choices().json:
        several = list(done)
        emit_json({"runs": [one.as_dict() for one in several]})
    else:
        several = _print(Screen(), done, named=bool(runs))
    return 1 if any(one.error for one in several) else 0


def _compacted(records: Iterable[RunRecord]) -> Iterator[Compacted]:
    from tracelet.errors import JournalError
    from tracelet.journal import Compaction, compact

    for record in records:
        if record.problem:
            yield Compacted(record, Compaction(), record.problem)
            continue
        try:
            yield Compacted(record, compact(record.dir))
        except JournalError as error:
            yield Compacted(record, Compaction(), str(error))


def _print(screen: Screen, done: Iterable[Compacted], *, named: bool) -> list[Compacted]:
    """Print a line for each run as it is done: of many, only those of which there is something to say."""
    several = []
    for one in done:
        several.append(one)
        if named or one.error or one.done.segments or one.done.left:
            _print_run(screen, one)
    if not named:
        _print_sum(screen, several)
    return several


def _print_sum(screen: Screen, several: list[Compacted]) -> None:
    from tracelet.cli.views.numbers import plural

    changed = [one.done for one in several if one.done.segments]
    sizes = _sizes(sum(each.before for each in changed), sum(each.after for each in changed))
    told = f"{len(changed)} of {plural(len(several), 'run')} compacted{sizes}" if several else "no runs yet"
    screen.line((told, "dim"))


def _print_run(screen: Screen, one: Compacted) -> None:
    from tracelet.cli.views.numbers import plural

    label = [(one.record.name, "bold"), (f" {screen.dot} {one.record.id}  ", "cyan")]
    if one.error:
        screen.line(*label, (one.error, "red"))
    elif one.done.segments:
        told = plural(one.done.points, "point") + _sizes(one.done.before, one.done.after)
        screen.line(*label, (told, "green"))
    elif not one.done.left:
        screen.line(*label, (NOTHING, "dim"))
    for reason in one.done.left.values():
        screen.line(*label, ("left alone: ", "yellow"), reason)


def _sizes(before: int, after: int) -> str:
    from tracelet.cli.views.numbers import size

    return f", {size(before)} -> {size(after)}" if before else ""
