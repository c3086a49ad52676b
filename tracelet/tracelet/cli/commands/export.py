"""``tracelet export``: write a run's points for other programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, cast

import click

from tracelet.cli.options import dir_option, global_options, plugin_options
from tracelet.messages import plain

if TYPE_CHECKING:
    from io import TextIOWrapper

    from tracelet.store import RunRecord

TEXT_FORMATS: Final = ("csv", "jsonl", "json")
FORMATS: Final = (*TEXT_FORMATS, "parquet")


@click.command("export")
@click.argument("run", default="latest")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Default: the suffix of the output file, else csv.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE instead of stdout.",
)
@click.option("--metric", "metrics", multiple=True, metavar="PATTERN", help="Only these metrics. Repeatable.")
@dir_option
@plugin_options
def export(run: str, form: str | None, output: Path | None, metrics: tuple[str, ...]) -> int:
    """Write the points of a run for other programs.

    The formats are csv (one line per point), jsonl (one object per line), json (the whole run) and parquet (needs
    pyarrow). Text is UTF-8, whatever the locale.
    """
    from tracelet.cli.diagnostics import print_message
    from tracelet.cli.views.run_data import match_metrics
    from tracelet.store.metric_keys import as_patterns

    form = form or _choose_format(output)
    if form not in TEXT_FORMATS and output is None and sys.stdout.isatty():
        raise click.UsageError(f"{form} is not text: name a file with -o, or redirect the output")
    record = global_options().find_run(run)
    _write(record, form, output, as_patterns(match_metrics(record.metrics(), metrics)) if metrics else "*")
    if record.problem:
        print_message(f"run {record.id} {record.problem}")
    return 1 if record.problem else 0


def _choose_format(output: Path | None) -> str:
    """Return the format that the suffix of the output file names, or csv if it has none."""
    suffix = output.suffix.removeprefix(".").lower() if output is not None else ""
    if suffix and suffix not in FORMATS:
        known = ", ".join(f".{form}" for form in FORMATS)
        raise click.UsageError(f"cannot write {output}: expected one of {known}, or a format given by -f")
    return suffix or FORMATS[0]


def _write(record: RunRecord, form: str, output: Path | None, names: str | list[str]) -> None:
    from tracelet.store import export_formats

    if form == "parquet":
        export_formats.write_parquet(record, sys.stdout.buffer if output is None else output, names)
        return
    writers = {
        "csv": export_formats.write_csv,
        "jsonl": export_formats.write_json_lines,
        "json": export_formats.write_json,
    }
    with _open_text(output) as stream:
        writers[form](record, stream, names)


@contextmanager
def _open_text(output: Path | None) -> Iterator[TextIO]:
    if output is not None:
        with open(output, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield stream
    elif sys.stdout.isatty():
        yield cast("TextIO", TerminalStream(sys.stdout))
        sys.stdout.flush()
    else:
        # Another program reads this, so the locale does not matter. A name that UTF-8 lacks is escaped.
        cast("TextIOWrapper", sys.stdout).reconfigure(encoding="utf-8", errors="backslashreplace")
        yield sys.stdout
        sys.stdout.flush()


class TerminalStream:
    """Writes text to a terminal, escaping what it could obey or cannot show."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the lines of a text."""
        safe = "\n".join(map(plain, text.split("\n")))
        encoding = self._stream.encoding or "utf-8"
        return self._stream.write(safe.encode(encoding, "backslashreplace").decode(encoding))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)
