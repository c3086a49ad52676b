"""``tracelet edit``: change what a run says of itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import dir_option, global_options, parse_tags, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord


@click.command("edit")
@click.argument("run")
@click.option("--name", metavar="NAME", help="Another name.")
@click.option("--notes", metavar="TEXT", help="Notes, as Markdown; - reads them from stdin, '' removes them.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY[=VALUE]",
    callback=parse_tags,
    help="Set a tag. Repeatable.",
)
@click.option("--untag", "untag", multiple=True, metavar="KEY", help="Remove a tag. Repeatable.")
@click.option("--group", metavar="NAME", help="Another group; '' takes the run out of its group.")
@click.option("--parent", metavar="RUN", help="The run that this one is part of; '' for none.")
@click.option("--job-type", metavar="WORD", help="What kind of work the run did: train, eval, ...")
@click.option(
    "--archive/--unarchive", "archived", default=None, help="Leave the run out of lists, or show it again."
)
@dir_option
@plugin_options
@json_option
def edit(run: str, tags: Mapping[str, Any], untag: tuple[str, ...], **given: Any) -> None:
    """Change a run's name, notes, tags, group or parent, or archive it. RUN as in show.

    The change is appended to the run, which may still be recording; what was recorded stays. 'tracelet sync' delivers
    it to backends.
    """
    from tracelet.cli.views.run_data import describe_run

    record: RunRecord = global_options().find_run(run)
    store = global_options().store_of(record)
    if given["notes"] == "-":
        given["notes"] = sys.stdin.read()
    if given["parent"]:
        given["parent"] = store.run(given["parent"]).id
    if not (tags or untag or any(value is not None for value in given.values())):
        raise click.UsageError(
            "expected something to change, such as --name or --tag; see: tracelet edit --help"
        )
    edited = store.edit(record, tags=tags or None, untag=untag, **given)
    show_result(lambda: describe_run(edited), lambda screen: _print(screen, edited))


def _print(screen: Screen, record: RunRecord) -> None:
    from tracelet.cli.views.edits import format_changes

    dot = f" {screen.dot} "
    screen.line((record.name, "bold"), (f"{dot}{record.id}", "cyan"))
    latest = record.edits[-1]["at"] if record.edits else 0.0
    for edit in record.edits:
        if edit["at"] >= latest - 1.0:  # one edit takes up to three records
            for label, value in format_changes(edit["changes"]):
                screen.field(label, value)
