"""Runs as a tree: groups, and below them the runs with their children."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from tracelet.cli.views.screen import styled_text

if TYPE_CHECKING:
    from tracelet.store import RunRecord

Row = list[str | Text]


class Guides(NamedTuple):
    """The characters that connect a run with its parent."""

    middle: str
    last: str
    through: str
    blank: str


UNICODE = Guides("├─ ", "└─ ", "│  ", "   ")
ASCII = Guides("|- ", "`- ", "|  ", "   ")


def arrange(records: Sequence[RunRecord], cells: Mapping[str, Row], *, ascii_only: bool) -> list[Row]:
    """Return the rows of a table: name first, then the id, then the other cells, in the order of the records.

    A run whose parent is not among the records has its place at the top; so has one of a circle of parents, which
    only a hand-made journal contains.
    """
    guides = ASCII if ascii_only else UNICODE
    tops, below = _find_children(records)
    width = len(next(iter(cells.values())))
    rows: list[Row] = []
    for group in dict.fromkeys(record.group for record in tops):
        members = [record for record in tops if record.group == group]
        if group:
            rows.append([styled_text(group, "bold magenta"), *([""] * (width - 1))])
        for prefix, record in _walk(members, below, guides, "" if group else None):
            run, name, *rest = cells[record.id]
            rows.append([Text(prefix, "dim").append_text(_as_text(name)), run, *rest])
    return rows


def _as_text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def _find_children(records: Sequence[RunRecord]) -> tuple[list[RunRecord], dict[str, list[RunRecord]]]:
    """Return the runs at the top, and the children of each run by its id."""
    parents = {record.id: record.parent for record in records}
    below: dict[str, list[RunRecord]] = {}
    tops: list[RunRecord] = []
    for record in records:
        if record.parent in parents and not _is_in_circle(record.id, parents):
            below.setdefault(str(record.parent), []).append(record)
        else:
            tops.append(record)
    return tops, below


def _is_in_circle(run: str, parents: Mapping[str, str | None]) -> bool:
    above, seen = parents.get(run), set[str]()
    while above is not None and above != run and above not in seen:
        seen.add(above)
        above = parents.get(above)
    return above == run


def _walk(
    records: Iterable[RunRecord], below: Mapping[str, list[RunRecord]], guides: Guides, indent: str | None
) -> Iterator[tuple[str, RunRecord]]:
    """Yield each run with what precedes its name. Without an ``indent``, the runs stand at the left edge."""
    stack = [(record, indent, at == 0) for at, record in enumerate(reversed(list(records)))]
    while stack:
        record, before, is_last = stack.pop()
        if before is None:
            yield "", record
            further = ""
        else:
            yield before + (guides.last if is_last else guides.middle), record
            further = before + (guides.blank if is_last else guides.through)
        children = list(reversed(below.get(record.id, ())))
        stack += [(child, further, at == 0) for at, child in enumerate(children)]
