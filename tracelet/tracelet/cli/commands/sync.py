"""``tracelet sync``: delivering later what could not be delivered then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import choices, json_option, place_options, plugin_options

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.config import Config
    from tracelet.delivery import Synced
    from tracelet.store import RunRecord


@click.command("sync")
@click.argument("run", required=False)
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Every run, also to backends that never had any of it."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop after so long, for each run."
)
@place_options
@plugin_options
@json_option
def sync(run: str | None, everything: bool, timeout: float | None) -> int:
    """Deliver what is due to the backends in use here, or to those given by -p.

    With RUN, all of that run that a backend has not had: also to one that did not exist then. Without, what runs left
    unfinished. The exit status is 1 when something is still due.
    """
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.views.screen import Screen

    if run is not None and everything:
        raise click.UsageError("expected RUN or --all, found both")
    mine = choices()
    config, store = mine.config(), mine.store()
    backends, beside = _backends(config)
    records = [store.run(run)] if run is not None else [*reversed(store.runs())]
    if run is None and not everything:
        records = [record for record in records if _is_due(record, backends)]
    done = [(record, _synced(config, record, backends, beside, timeout)) for record in records]
    if mine.json:
        emit_json({"runs": [_as_dict(record, results) for record, results in done]})
    else:
        _print(Screen(), done, backends)
    return 0 if all(result.complete for _, results in done for result in results) else 1


def _backends(config: Config) -> tuple[list[str], list[str]]:
    """Return the plugins to deliver to, and those that have to be there for it: the processors."""
    from tracelet.host.discovery import implementations
    from tracelet_hookspecs import BACKEND_HOOKS

    manager = choices().manager(config)
    backends, beside = [], []
    for name in manager.select_plugins(defaults=False):
        loaded = manager.load_plugin(name)
        hooks = {one.hook for one in implementations(manager.plugins[name].instance)} if loaded else set()
        if not loaded or hooks.intersection(BACKEND_HOOKS):
            backends.append(name)
        elif "process_metric" in hooks:
            beside.append(name)
    manager.stop_all_plugins()
    if not backends:
        raise click.UsageError(
            "no backend is in use here: name one with -p, or give it a table in tracelet.toml"
        )
    return backends, beside


def _is_due(record: RunRecord, backends: Sequence[str]) -> bool:
    from tracelet.delivery import is_due

    return record.outcome != "running" and any(is_due(record.dir, backend) for backend in backends)


def _synced(
    config: Config, record: RunRecord, backends: list[str], beside: list[str], timeout: float | None
) -> list[Synced]:
    from tracelet.delivery import sync

    limit = float("inf") if timeout is None else timeout
    return sync(record.dir, choices().manager(config), backends, beside=beside, timeout=limit)


def _as_dict(record: RunRecord, results: Sequence[Synced]) -> dict[str, Any]:
    shown = [{**result._asdict(), "complete": result.complete} for result in results]
    return {"id": record.id, "name": record.name, "backends": shown}


def _print(
    screen: Screen, done: Sequence[tuple[RunRecord, Sequence[Synced]]], backends: Sequence[str]
) -> None:
    from tracelet.cli.views.numbers import plural
    from tracelet.messages import plain

    for record, results in done:
        screen.line((record.name, "bold"), (f" {screen.dot} {record.id}", "cyan"))
        for result in results:
            got = (plural(result.delivered, "record") + " delivered", "green" if result.complete else "")
            rest = (f"; still due: {result.due}", "yellow") if result.due else ""
            screen.field(f"  {result.backend}", got, rest, width=max(map(len, backends)) + 2, style="")
            if result.error:
                screen.line((plain(result.error), "red"), indent=4)
    if not done:
        screen.line(f"nothing is due to {', '.join(backends)} (--all: also what they never had any of)")
