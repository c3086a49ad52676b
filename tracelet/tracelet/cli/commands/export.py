"""``tracelet export``: a run's points, for other programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import click

from tracelet.cli.options import choices, place_options, plugin_options

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
def export(run: str, form: str | None, output: Path | None, metrics: tuple[str, ...]) -> int:
    """Write the points of a run as csv (a line per point), jsonl (an object per line) or json (all of the run)."""
    from tracelet.cli.mistakes import tell
    from tracelet.cli.views.records import matching
    from tracelet.store import export

    writers = {"csv": export.write_csv, "jsonl": export.write_json_lines, "json": export.write_json}
    record = choices().store().run(run)
    names = matching(record.metrics(), metrics)
    with _opened(output) as stream:
        writers[form or _form_of(output)](record, stream, names)
    if record.problem:
        tell(f"run {record.id} {record.problem}")
    return 1 if record.problem else 0


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
