"""``tracelet pack``: runs in one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracelet.cli.options import dir_option, global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store.packing import Packed


@click.command("pack")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The .html file to write.",
)
@click.option("--title", metavar="TEXT", help="The page's title; by default, the names of the runs.")
@click.option(
    "--artifacts/--no-artifacts", default=True, help="Whether to pack the files of artifacts and media, too."
)
@dir_option
@plugin_options
@json_option
def pack(runs: tuple[str, ...], output: Path, title: str | None, artifacts: bool) -> None:
    """Pack runs into one HTML file: a page that shows them in any browser, with the exact data. RUN as in show.

    The page needs no network. 'tracelet import FILE' brings the runs back bit for bit. What belongs to this machine
    (the state of delivery) is left out.
    """
    from tracelet.cli.views.progress import progress_bar
    from tracelet.store.packing import pack as pack_runs

    if output.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"expected a file that ends with .html, found {str(output)!r}")
    records = [global_options().find_run(run) for run in runs]
    for record in records:
        record.source.check_journal("pack")
    with progress_bar("packing", unit="bytes") as progress:
        packed = pack_runs(records, output, title=title, artifacts=artifacts, progress=progress)
    show_result(lambda: {**packed._asdict(), "file": str(packed.file)}, lambda screen: _print(screen, packed))


def _print(screen: Screen, packed: Packed) -> None:
    from tracelet.cli.views.formatting import format_size, pluralize

    what = f"{pluralize(packed.runs, 'run')}, {pluralize(packed.files, 'file')}"
    sizes = f"{format_size(packed.original)} in {format_size(packed.size)}"
    screen.line((str(packed.file), "bold"), f" {screen.dot} {what}, {sizes}")
    for each in packed.left_out:
        screen.problem(f"left out: {each}")
