"""What the readers of a journal counted as damaged, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tracelet.cli.views.formatting import format_count, pluralize

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord

_MOST_BYTES: Final = 64 << 20  # of all journals that a list checks: that takes less than a second
_MOST_RUNS: Final = 200
_MOST_LINES: Final = 5
#: For each kind: what is counted, and what became of one, or of several.
_KINDS: Final = {
    "damaged": ("record", "has a wrong checksum", "have a wrong checksum"),
    "torn": ("record", "was written only in part", "were written only in part"),
    "unwritten": ("record", "was never written", "were never written"),
    "missing": (
        "record",
        "is missing: a file is gone or cut short",
        "are missing: a file is gone or cut short",
    ),
    "header": (
        "file",
        "has a damaged header; its records are kept",
        "have a damaged header; their records are kept",
    ),
    "cut": ("process", "lacks its last records", "lack their last records"),
    "unnamed": (
        "metric",
        "has lost its name; its points are kept",
        "have lost their names; their points are kept",
    ),
    "time": (
        "record",
        "has an impossible time; the nearest one is shown",
        "have an impossible time; the nearest one is shown",
    ),
    "version": (
        "file",
        "is of a newer tracelet and cannot be read",
        "are of a newer tracelet and cannot be read",
    ),
    "invalid": ("record", "has content that is refused", "have content that is refused"),
}


def describe_damage(damage: Mapping[str, int]) -> list[str]:
    """Return a sentence for each kind of damage."""
    return [_describe(kind, count) for kind, count in damage.items()]


def _describe(kind: str, count: int) -> str:
    noun, one, several = _KINDS.get(kind, ("record", f"is damaged ({kind})", f"are damaged ({kind})"))
    if noun == "process" and count != 1:
        return f"{format_count(count)} processes {several}"
    return f"{pluralize(count, noun)} {one if count == 1 else several}"


def find_damaged(records: Iterable[RunRecord]) -> dict[str, dict[str, int]]:
    """Return the damage of each run of a list that has any, by id. Journals beyond a limit of bytes are not read."""
    found, room = {}, _MOST_BYTES
    for record in list(records)[:_MOST_RUNS]:
        size = _journal_size(record)
        if record.outcome != "running" and record.problem is None and size <= room:
            room -= size
            if damage := record.damage:
                found[record.id] = damage
    return found


def _journal_size(record: RunRecord) -> int:
    """Return the bytes of the run's journal on this machine; 0 if there is none here."""
    try:
        return sum(file.stat().st_blocks * 512 for file in (record.dir / "journal").iterdir())
    except OSError:
        return 0


def print_damaged(screen: Screen, records: Sequence[RunRecord]) -> None:
    """Print a line for each of the runs that is damaged."""
    found = find_damaged(records)
    names = {record.id: record.name for record in records}
    for run, damage in list(found.items())[:_MOST_LINES]:
        screen.problem(f"{names[run]}: {'; '.join(describe_damage(damage))}; details: tracelet verify {run}")
    if len(found) > _MOST_LINES:
        screen.problem(
            f"{pluralize(len(found) - _MOST_LINES, 'more run')} with damage; tracelet verify RUN has the details"
        )
