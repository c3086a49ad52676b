"""Runs next to each other: a column per run if they fit the screen, otherwise a row per run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.text import Text

from tracelet.cli.views.formatting import format_duration, format_number, format_value
from tracelet.cli.views.screen import state_text, styled_text

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord

BEST_MARK: Final = "*"
LONGEST_CELL: Final = 24  # characters of a parameter that a column per run makes room for; a longer one wraps


class Item(NamedTuple):
    """What is compared: a label, and a cell per run."""

    label: str
    style: str
    cells: list[Text]


def print_comparison(
    screen: Screen,
    records: Sequence[RunRecord],
    params: Mapping[str, Sequence[Any]],
    metrics: Mapping[str, Sequence[MetricSummary | None]],
    *,
    complete: bool,
) -> None:
    """Print runs next to each other. ``complete`` says that nothing was left out."""
    names = [record.name for record in records]
    ids = Item("run", "", [styled_text(record.id, "cyan") for record in records])
    items = [
        Item("outcome", "", [state_text(record.outcome) for record in records]),
        Item("took", "", [Text(format_duration(record.duration)) for record in records]),
        *_format_params(screen, params),
        *(_format_metric(screen, name, several) for name, several in metrics.items()),
    ]
    ambiguous = len(set(names)) < len(names)
    if screen.unlimited or _column_per_run_fits(screen, names, [ids, *items]):
        _print_column_per_run(screen, names, [ids, *items])
    elif not ambiguous and _column_per_run_fits(screen, names, items):
        _print_column_per_run(screen, names, items)
    else:
        _print_row_per_run(screen, records, [ids, *items] if ambiguous else items)
    _print_legend(screen, items, complete=complete)


def _print_legend(screen: Screen, items: Sequence[Item], *, complete: bool) -> None:
    marked = any(cell.plain.endswith(f" {BEST_MARK}") for item in items for cell in item.cells)
    notes = [f"{BEST_MARK} best of these runs"] if marked else []
    notes += [] if complete else ["--all adds equal parameters and the collectors' metrics"]
    if notes:
        screen.line(("; ".join(notes), "dim"))


def _column_per_run_fits(screen: Screen, names: Sequence[str], items: Sequence[Item]) -> bool:
    rows: list[list[str | Text]] = [
        [item.label, *(cell.plain[:LONGEST_CELL] for cell in item.cells)] for item in items
    ]
    return screen.fits(["", *names], rows)


def _print_column_per_run(screen: Screen, names: Sequence[str], items: Sequence[Item]) -> None:
    screen.table(["", *names], [[styled_text(item.label, item.style), *item.cells] for item in items])


def _print_row_per_run(screen: Screen, records: Sequence[RunRecord], items: Sequence[Item]) -> None:
    """Print one table, or several below each other if the items need more than the screen's width.

    Only the first table has the runs' ids; in all of them, runs that share a name show its end.
    """
    names = _distinct_names(records)
    widest_name = max(map(len, ["run", *names]))
    room = screen.console.width - min(widest_name, screen.console.width // 2)
    for at, group in enumerate(_split_items(items, room)):
        if at:
            screen.blank()
        rows = [
            [styled_text(name, "bold"), *(item.cells[run] for item in group)]
            for run, name in enumerate(names)
        ]
        heads = ["name", *(item.label for item in group)]
        narrow = [item.label for item in group if _measure(item) <= room]
        screen.table(heads, rows, whole=narrow)


def _distinct_names(records: Sequence[RunRecord]) -> list[str]:
    """Return the runs' names; to one that several runs have, the end of the id is added."""
    counts = Counter(record.name for record in records)
    ends = Counter((record.name, _end_of_id(record.id)) for record in records)
    return [
        record.name
        if counts[record.name] == 1
        else f"{record.name} {_end_of_id(record.id) if ends[record.name, _end_of_id(record.id)] == 1 else record.id}"
        for record in records
    ]


def _end_of_id(run: str) -> str:
    return run.rpartition("-")[2]


def _split_items(items: Sequence[Item], room: int) -> Iterator[list[Item]]:
    """Split the items into groups that fit next to each other."""
    group: list[Item] = []
    used = 0
    for item in items:
        if group and used + _measure(item) > room:
            yield group
            group, used = [], 0
        group.append(item)
        used += _measure(item)
    yield group


def _measure(item: Item) -> int:
    """Return the columns that an item takes, with the gap before it."""
    return max(len(item.label), *(cell.cell_len for cell in item.cells)) + 3


def _format_params(screen: Screen, params: Mapping[str, Sequence[Any]]) -> Iterator[Item]:
    for name, values in params.items():
        cells = [
            Text(screen.dash, "dim") if value is None else styled_text(format_value(value))
            for value in values
        ]
        yield Item(name, "yellow", cells)


def _format_metric(screen: Screen, name: str, several: Sequence[MetricSummary | None]) -> Item:
    values = [_compared_value(metric) for metric in several]
    direction = next((metric.direction for metric in several if metric is not None), None)
    best = _find_best([value for value in values if value is not None and value == value], direction)
    cells = [_format_cell(screen, value, is_best=value is not None and value == best) for value in values]
    return Item(f"{name} {'best' if direction else 'last'}", "bold", cells)


def _find_best(numbers: Sequence[float], direction: str | None) -> float | None:
    """Return the best of several values, or ``None`` if they are equal or it is unknown which is better."""
    if direction is None or len(set(numbers)) < 2:
        return None
    return min(numbers) if direction == "min" else max(numbers)


def _format_cell(screen: Screen, value: float | None, *, is_best: bool) -> Text:
    if value is None:
        return Text(screen.dash, "dim")
    text = format_number(value)
    return Text(f"{text} {BEST_MARK}", "bold green") if is_best else Text(text)


def _compared_value(metric: MetricSummary | None) -> float | None:
    """Return the value by which a metric is compared."""
    if metric is None:
        return None
    return metric.last if metric.best is None else metric.best
