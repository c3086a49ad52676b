"""``tracelet ui``: recorded runs in a browser."""

from __future__ import annotations

from typing import Any

import click

from tracelet.cli.options import dir_option, global_options, plugin_options


@click.command("ui")
@click.argument("path", required=False)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Another one than this machine's own needs a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port; 0 for any free one.  [default: 6007 or the next free one]",
)
@click.option(
    "--token",
    envvar="TRACELET_UI_TOKEN",
    metavar="TOKEN",
    help="Who opens the page must know this; TRACELET_UI_TOKEN keeps it out of the list of processes.",
)
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@click.option("--read-only", is_flag=True, help="Refuse every change of a run.")
@dir_option
@plugin_options
def ui(
    path: str | None, host: str, port: int | None, token: str | None, no_open: bool, read_only: bool
) -> None:
    """Show the runs in a browser: a table, charts, each run, comparisons, live.

    PATH is a data folder, a project, the folder of one run, or the URL of a lake. Ctrl-C ends it.
    """
    Access, serve = _load()
    access = Access(host=host, token=token or None, read_only=read_only)
    from tracelet.store.locating import refers_to_lake

    options = global_options()
    if path is not None and refers_to_lake(path):
        options.dir = path
    store = options.store() if path is None or options.is_lake else _open(path)
    manager = options.manager()
    serve(store, access, port=port, open_browser=not no_open, ready=_announce, manager=manager)


def _load() -> tuple[Any, Any]:
    from tracelet.errors import MissingExtraError

    try:
        from tracelet.ui import Access, serve
    except ImportError:
        raise MissingExtraError("tracelet ui", "ui") from None
    return Access, serve


def _open(path: str) -> Any:
    from tracelet.store import open_store

    return open_store(path)


def _announce(address: str) -> None:
    click.echo(f"tracelet ui: {address}  (Ctrl-C ends it)")
