"""``tracelet sync``: deliver pending records of earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.options import dir_option, global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.progress import Advance
    from tracelet.cli.views.screen import Screen
    from tracelet.config import Config
    from tracelet.delivery import Synced
    from tracelet.store import RunRecord


@click.command("sync")
@click.argument("run", required=False)
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Every run, also to backends that received none of it."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop after this long, per run."
)
@dir_option
@plugin_options
@json_option
def sync(run: str | None, everything: bool, timeout: float | None) -> int:
    """Deliver pending records to the project's backends, or to those given by -p.

    With RUN, deliver everything the backends have not received yet, also to a backend added after the run. Without RUN,
    deliver what ended runs left pending. The exit status is 1 if something is still pending.
    """
    from tracelet.cli.views.progress import progress_bar

    if run is not None and everything:
        raise click.UsageError("expected RUN or --all, found both")
    options = global_options()
    config, store = options.config(), options.store()
    backends, processors = _find_backends(config)
    records = [store.run(run)] if run is not None else [*reversed(store.runs(archived=None))]
    if run is None and not everything:
        records = [record for record in records if _is_pending(record, backends)]
    results = []
    for at, record in enumerate(records, 1):
        label = f"delivering {record.name[:30]}" + (f" ({at}/{len(records)})" if len(records) > 1 else "")
        with progress_bar(label) as progress:
            results.append((record, _sync_run(config, record, backends, processors, timeout, progress)))
    show_result(
        lambda: {"runs": [_describe_results(record, several) for record, several in results]},
        lambda screen: _print(screen, results, backends),
    )
    return 0 if all(result.complete for _, several in results for result in several) else 1


def _find_backends(config: Config) -> tuple[list[str], list[str]]:
    """Return the plugins to deliver to, and the processors that have to run with them."""
    from tracelet.host.discovery import implementations
    from tracelet_hookspecs import BACKEND_HOOKS

    manager = global_options().manager(config)
    backends, processors = [], []
    for name in manager.select_plugins(defaults=False):
        loaded = manager.load_plugin(name)
        hooks = {one.hook for one in implementations(manager.plugins[name].instance)} if loaded else set()
        if not loaded or hooks.intersection(BACKEND_HOOKS):
            backends.append(name)
        elif "process_metric" in hooks:
            processors.append(name)
    manager.stop_all_plugins()
    if not backends:
        raise click.UsageError("no backend is active: name one with -p, or give it a table in tracelet.toml")
    return backends, processors


def _is_pending(record: RunRecord, backends: Sequence[str]) -> bool:
    from tracelet.delivery import is_due

    return record.outcome != "running" and any(is_due(record.dir, backend) for backend in backends)


def _sync_run(
    config: Config,
    record: RunRecord,
    backends: list[str],
    processors: list[str],
    timeout: float | None,
    progress: Advance | None,
) -> list[Synced]:
    from tracelet.delivery import sync

    limit = float("inf") if timeout is None else timeout
    manager = global_options().manager(config)
    return sync(record.dir, manager, backends, beside=processors, timeout=limit, progress=progress)


def _describe_results(record: RunRecord, results: Sequence[Synced]) -> dict[str, Any]:
    backends = [{**result._asdict(), "complete": result.complete} for result in results]
    return {"id": record.id, "name": record.name, "backends": backends}


def _print(
    screen: Screen, results: Sequence[tuple[RunRecord, Sequence[Synced]]], backends: Sequence[str]
) -> None:
    from tracelet.cli.views.formatting import pluralize

    for record, several in results:
        screen.line((record.name, "bold"), (f" {screen.dot} {record.id}", "cyan"))
        for result in several:
            is_old = result.complete and not result.delivered
            delivered = "up to date" if is_old else pluralize(result.delivered, "record") + " delivered"
            pending = (f"; pending: {result.due}", "yellow") if result.due else ""
            screen.field(
                f"  {result.backend}",
                (delivered, "green" if result.complete else ""),
                pending,
                width=max(map(len, backends)) + 2,
                style="",
            )
            if result.error:
                screen.line((result.error, "red"), indent=4)
    if not results:
        screen.line(
            f"nothing is pending for {', '.join(backends)} (--all also delivers runs that they received none of)"
        )
