"""The files of a run: artifacts one by one, media grouped by name, small tables drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracelet.cli.views.formatting import format_number, format_size, format_value, pluralize
from tracelet.layout import media_kind

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord

MOST_FILES: Final = 10  # listed without --all; likewise names of media
MOST_TABLES: Final = 3  # drawn without --all
TABLE_ROWS: Final = 12  # a longer table is drawn only with --all
TABLE_COLUMNS: Final = 12  # likewise a wider one
TABLE_BYTES: Final = 100_000  # a larger file is not opened


def print_artifacts(screen: Screen, record: RunRecord, *, everything: bool = False) -> None:
    """Print the files of a run: artifacts by path, media (images, tables, histograms) grouped by name."""
    files = [artifact for artifact in record.artifacts if not artifact.get("media")]
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for artifact in record.artifacts:
        if artifact.get("media"):
            key = str(artifact.get("name")), _name_kind(artifact)
            groups.setdefault(key, []).append(artifact)
    rows = [(str(artifact.get("path", "")), _describe_files([artifact])) for artifact in files]
    _print_list(screen, "artifacts", rows, record.id, everything=everything)
    rows = [(name, _describe_media(screen, kind, group)) for (name, kind), group in groups.items()]
    _print_list(screen, "media", rows, record.id, everything=everything)


def _print_list(
    screen: Screen, label: str, rows: Sequence[tuple[str, str]], run_id: str, *, everything: bool
) -> None:
    shown = rows if everything else rows[:MOST_FILES]
    for at, (name, about) in enumerate(shown):
        screen.field("" if at else label, name, (f"  {about}", "dim"))
    if len(rows) > len(shown):
        screen.field("", (f"and {len(rows) - len(shown)} more: tracelet show {run_id} --all", "dim"))


def _name_kind(artifact: Mapping[str, Any]) -> str:
    return media_kind(str(artifact.get("media")), str(artifact.get("path")))


def _describe_files(artifacts: Sequence[Mapping[str, Any]]) -> str:
    files = [file for artifact in artifacts for file in artifact.get("files") or []]
    several = f"{pluralize(len(files), 'file')}, " if len(files) != 1 else ""
    return several + format_size(sum(int(file.get("size") or 0) for file in files))


def _describe_media(screen: Screen, kind: str, group: Sequence[Mapping[str, Any]]) -> str:
    steps = sorted(step for artifact in group if isinstance(step := artifact.get("step"), int))
    between = ".." if screen.ascii_only else "…"
    at = f", steps {steps[0]} {between} {steps[-1]}" if len(set(steps)) > 1 else ""
    at = f", step {steps[0]}" if len(set(steps)) == 1 else at
    size = format_size(sum(int(file.get("size") or 0) for one in group for file in one.get("files") or []))
    return f"{pluralize(len(group), kind)}{at}, {size}"


class LoggedTable(NamedTuple):
    """A table that the program logged, as of its latest step."""

    name: str
    step: int | None
    columns: list[str]
    rows: list[list[Any]]

    @property
    def is_small(self) -> bool:
        """Whether it is drawn by default."""
        return len(self.rows) <= TABLE_ROWS and len(self.columns) <= TABLE_COLUMNS

    @property
    def numeric_columns(self) -> list[str]:
        """The names of the columns that hold nothing but numbers."""
        columns = zip(self.columns, zip(*self.rows, strict=True), strict=True)
        return [name for name, cells in columns if all(isinstance(cell, (int, float)) for cell in cells)]


def print_tables(screen: Screen, record: RunRecord, *, everything: bool = False) -> None:
    """Draw the small tables of a run; of a table that was logged at several steps, the last."""
    drawn = [table for table in _read_tables(record) if everything or table.is_small]
    for table in drawn if everything else drawn[:MOST_TABLES]:
        screen.blank()
        at = f" {screen.dot} step {table.step}" if table.step is not None else ""
        screen.line((table.name, "bold"), (at, "dim"))
        screen.table(table.columns, _format_cells(screen, table), right=table.numeric_columns, indent=2)


def _read_tables(record: RunRecord) -> Iterator[LoggedTable]:
    latest = {one.get("name"): one for one in record.artifacts if _name_kind(one) == "table"}
    for name, artifact in latest.items():
        try:
            content = json.loads(record.read_file(artifact["path"], limit=TABLE_BYTES))
            columns = [str(column) for column in content["columns"]]
            rows = [list(row) for row in content["rows"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # too large, missing or malformed: the list of media names it all the same
        if columns and rows and all(len(row) == len(columns) for row in rows):
            yield LoggedTable(str(name), artifact.get("step"), columns, rows)


def _format_cells(screen: Screen, table: LoggedTable) -> Iterator[list[str]]:
    for row in table.rows:
        texts = [format_number(cell) if isinstance(cell, float) else format_value(cell) for cell in row]
        yield [screen.dash if cell is None else text for cell, text in zip(row, texts, strict=True)]
