"""``tracelet delete``: move runs to the trash, bring them back, or remove them for good."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import dir_option, global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord
    from tracelet.store.trash import DeletedRun


@click.command("delete")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--trash", "list_trash", is_flag=True, help="List the deleted runs.")
@click.option("--restore", is_flag=True, help="Bring the named runs back from the trash.")
@click.option("--empty-trash", is_flag=True, help="Remove the deleted runs for good.")
@dir_option
@plugin_options
@json_option
def delete(runs: tuple[str, ...], yes: bool, list_trash: bool, restore: bool, empty_trash: bool) -> None:
    """Move runs to the trash. RUN as in show; a run that is still recording is refused.

    Deleted runs stay in the trash of the data folder until --empty-trash; --restore brings them back.
    """
    if list_trash + restore + empty_trash > 1:
        raise click.UsageError("expected one of --trash, --restore and --empty-trash")
    if list_trash or empty_trash:
        if runs:
            raise click.UsageError(f"expected no RUN with this option, found {' '.join(runs)}")
        (_empty_trash if empty_trash else _list_trash)(yes)
    elif not runs:
        raise click.UsageError("expected RUN...: which runs to " + ("restore" if restore else "delete"))
    else:
        (_restore if restore else _delete)(runs, yes)


def _delete(runs: Sequence[str], yes: bool) -> None:
    from tracelet.cli.views.formatting import pluralize

    found = {record.id: record for record in map(global_options().find_run, runs)}
    records = list(found.values())
    store = global_options().store_of
    _confirm(
        f"Move {pluralize(len(records), 'run')} to the trash?", [_label(record) for record in records], yes
    )
    moved = [(record, store(record).delete(record)) for record in records]

    def show(screen: Screen) -> None:
        for record, _ in moved:
            screen.line(*_parts(screen, record), ("moved to the trash", "dim"))
        screen.line((f"to bring it back: tracelet delete --restore {records[-1].id}", "dim"))

    show_result(
        lambda: {"deleted": [{"id": record.id, "name": record.name, "dir": str(to)} for record, to in moved]},
        show,
    )


def _restore(runs: Sequence[str], _: bool) -> None:
    store = global_options().store()
    records = [store.restore(run) for run in runs]

    def show(screen: Screen) -> None:
        for record in records:
            screen.line(*_parts(screen, record), ("restored", "green"))

    show_result(
        lambda: {"restored": [{"id": one.id, "name": one.name, "dir": str(one.dir)} for one in records]}, show
    )


def _list_trash(_: bool) -> None:
    from tracelet.cli.views.formatting import format_age, format_size

    deleted = global_options().store().trash()

    def show(screen: Screen) -> None:
        if not deleted:
            screen.line("the trash is empty")
            return
        rows = [[run.id, run.name, format_age(run.deleted_at), format_size(run.size)] for run in deleted]
        screen.table(["run", "name", "deleted", "size"], rows, right=["size"], whole=["run", "deleted"])

    show_result(lambda: {"trash": [_as_dict(run) for run in deleted]}, show)


def _empty_trash(yes: bool) -> None:
    from tracelet.cli.views.formatting import format_size, pluralize

    store = global_options().store()
    deleted = store.trash()
    if deleted:
        question = f"Remove {pluralize(len(deleted), 'run')} for good? This cannot be undone."
        _confirm(question, [f"{run.name} ({run.id})" for run in deleted], yes)
    removed = store.empty_trash()
    freed = format_size(sum(run.size for run in removed))
    show_result(
        lambda: {"removed": [_as_dict(run) for run in removed]},
        lambda screen: screen.line(f"{pluralize(len(removed), 'run')} removed, {freed} freed"),
    )


def _as_dict(run: DeletedRun) -> dict[str, Any]:
    return {**run._asdict(), "dir": str(run.dir)}


def _label(record: RunRecord) -> str:
    from tracelet.cli.views.formatting import format_age

    return f"{record.name} ({record.id}, {record.outcome}, {format_age(record.started_at)})"


def _parts(screen: Screen, record: RunRecord) -> tuple[tuple[str, str], ...]:
    return (record.name, "bold"), (f" {screen.dot} {record.id}  ", "cyan")


def _confirm(question: str, what: Sequence[str], yes: bool) -> None:
    """Ask, unless ``--yes`` was given. Without a terminal to ask on, that is an error."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on; --yes does it without asking")
    from tracelet.messages import plain

    for line in what:
        click.echo(f"  {plain(line)}", err=True)
    if not click.confirm(question, err=True):
        raise click.Abort()
