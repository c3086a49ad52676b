"""``tracelet export``: a run's points, for other programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from tracelet.cli.options import choices, place_options, plugin_options

if TYPE_CHECKING:
    from tracelet.store import RunRecord, Series

COLUMNS: Final = ("run", "metric", "step", "value", "time", "type", "source")
FORMATS: Final = ("csv", "jsonl", "json")


@click.command("export")
@click.argument("run", default="latest")
@click.option(
    "-f", "--format", "form", type=click.Choice(FORMATS), help="By default as the file is named, else csv."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="In place of stdout.",
)
@click.option("--metric", "metrics", multiple=True, metavar="PATTERN", help="Only these metrics. Repeatable.")
@place_options
@plugin_options
def export(run: str, form: str | None, output: Path | None, metrics: tuple[str, ...]) -> None:
    """Write the points of a run as csv (a line per point), jsonl (an object per line) or json (all of the run)."""
    from tracelet.cli.records import matching

    record = choices().store().run(run)
    names = matching(record.metrics(), metrics)
    with _opened(output) as stream:
        WRITERS[form or _form_of(output)](stream, record, names)


def _form_of(output: Path | None) -> str:
    suffix = output.suffix.removeprefix(".").lower() if output is not None else ""
    return suffix if suffix in FORMATS else "csv"


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
    else:
        with open(output, "w", encoding="utf-8", newline="") as stream:
            yield stream


def _rows(record: RunRecord, names: list[str]) -> Iterator[tuple[Any, ...]]:
    for name in names:
        series: Series = record.metric(name)
        for step, value, time in series:
            yield record.id, name, step, value, time, series.type, series.source


def _write_csv(stream: TextIO, record: RunRecord, names: list[str]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(record, names))


def _write_jsonl(stream: TextIO, record: RunRecord, names: list[str]) -> None:
    from tracelet.cli.json_output import jsonable

    for row in _rows(record, names):
        stream.write(json.dumps(jsonable(dict(zip(COLUMNS, row, strict=True)))) + "\n")


def _write_json(stream: TextIO, record: RunRecord, names: list[str]) -> None:
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.records import fully_described

    points = {name: record.metric(name).to_dict() for name in names}
    emit_json({**fully_described(record, ()), "metrics": points}, stream)


WRITERS: Final[dict[str, Callable[[TextIO, RunRecord, list[str]], None]]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "json": _write_json,
}
