"""``tracelet verify``: whether every record is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracelet.cli.options import choices, json_option, place_options, plugin_options

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.delivery import Verification
    from tracelet.store import RunRecord


@click.command("verify")
@click.argument("run", default="latest")
@place_options
@plugin_options
@json_option
def verify(run: str) -> int:
    """Reconcile a run's journal with what each backend had of it.

    For each backend, recorded = delivered + excluded + dropped + pending; the exit status is 1 where that does not
    hold. Also told is what the disk would not take, and what of the journal is damaged.
    """
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.views.screen import Screen
    from tracelet.delivery import verify

    record = choices().store().run(run)
    found = verify(record.dir)
    if choices().json:
        emit_json({"id": record.id, "name": record.name, **found.as_dict()})
    else:
        _print(Screen(), record, found)
    return 0 if found.agrees else 1


def _print(screen: Screen, record: RunRecord, found: Verification) -> None:
    from tracelet.cli.views.numbers import count, plural
    from tracelet.cli.views.screen import state

    screen.line((record.name, "bold"), (f" {screen.dot} {record.id}", "cyan"))
    screen.field("recorded", plural(found.recorded, "record"))
    for label, kinds in (("lost", found.dropped), ("damaged", found.damage)):
        for kind, times in kinds.items():
            screen.field(label, (f"{kind}: {count(times)}", "yellow"))
    if not found.backends:
        screen.field("backends", ("none had any of it", "dim"))
        return
    screen.blank()
    screen.table(
        ("backend", "delivered", "excluded", "dropped", "pending", ""),
        [
            [
                row.backend,
                *map(count, (row.delivered, row.excluded, sum(row.dropped.values()), row.pending)),
                state("ok" if row.agrees else "error"),
            ]
            for row in found.backends
        ],
        right=("delivered", "excluded", "dropped", "pending"),
    )
    for row in found.backends:
        for reason, times in row.dropped.items():
            screen.line((f"{row.backend}: {plural(times, 'record')} dropped: {reason}", "yellow"))
        if not row.agrees:
            told = f"{row.backend}: {count(row.recorded)} recorded, {count(row.accounted)} accounted for"
            screen.problem(told, label="error", style="red")
