"""``tracelet verify``: check that every record is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracelet.cli.options import dir_option, global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.delivery import Verification
    from tracelet.store import RunRecord


@click.command("verify")
@click.argument("run", default="latest")
@dir_option
@plugin_options
@json_option
def verify(run: str) -> int:
    """Reconcile a run's journal with what each backend received.

    For each backend, recorded = delivered + excluded + dropped + pending; the exit status is 1 if that does not hold.
    Records that the disk refused and damaged parts of the journal are reported, too.
    """
    from tracelet.delivery import verify

    record = global_options().find_run(run)
    record.source.check_journal("verify")
    found = verify(record.dir)
    show_result(
        lambda: {"id": record.id, "name": record.name, **found.as_dict()},
        lambda screen: _print(screen, record, found),
    )
    return 0 if found.agrees else 1


def _print(screen: Screen, record: RunRecord, found: Verification) -> None:
    from tracelet.cli.views.damage import describe_damage
    from tracelet.cli.views.formatting import format_count, pluralize
    from tracelet.cli.views.screen import state_text

    screen.line((record.name, "bold"), (f" {screen.dot} {record.id}", "cyan"))
    screen.field("recorded", pluralize(found.recorded, "record"))
    for reason, times in found.dropped.items():
        screen.field("lost", (f"{reason}: {format_count(times)}", "yellow"))
    for sentence in describe_damage(found.damage):
        screen.field("damaged", (sentence, "yellow"))
    if not found.backends:
        screen.field("backends", ("none received any of it", "dim"))
        return
    screen.blank()
    screen.table(
        ("backend", "delivered", "excluded", "dropped", "pending", ""),
        [
            [
                row.backend,
                *map(format_count, (row.delivered, row.excluded, sum(row.dropped.values()), row.pending)),
                state_text("ok" if row.agrees else "error"),
            ]
            for row in found.backends
        ],
        right=("delivered", "excluded", "dropped", "pending"),
    )
    for row in found.backends:
        for reason, times in row.dropped.items():
            screen.line((f"{row.backend}: {pluralize(times, 'record')} dropped: {reason}", "yellow"))
        if not row.is_readable:
            screen.problem(row.error or "", label="error", style="red")
        elif not row.agrees:
            text = f"{row.backend}: {format_count(row.recorded)} recorded, {format_count(row.accounted)} accounted for"
            screen.problem(text, label="error", style="red")
