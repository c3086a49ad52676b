"""What a command prints on stdout: one JSON document under ``--json``, otherwise a view for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from tracelet.cli.options import global_options

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen

F = TypeVar("F", bound=Callable[..., Any])

_reserved: TextIO | None = None  # the real stdout while plugins and their children write to stderr instead


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option(
        "--json", is_flag=True, expose_value=False, callback=_choose_json, help="Print JSON."
    )(command)


def _choose_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        global_options(ctx).json = True
        reserve_stdout()


def show_result(data: Callable[[], Any], view: Callable[[Screen], None]) -> None:
    """Print ``data()`` as JSON if ``--json`` was given, else show ``view`` on the screen."""
    if global_options().json:
        print_json(data())
    else:
        from tracelet.cli.views.screen import Screen

        view(Screen())


def print_json(data: Any) -> None:
    """Print data as JSON. NaN and infinities, which JSON lacks, become ``"NaN"``, ``"Infinity"``, ``"-Infinity"``."""
    from tracelet_hookspecs.strict_json import to_json

    stream = sys.stdout if _reserved is None else _reserved
    unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(to_json(data), indent=2, ensure_ascii=not unicode)
    try:
        stream.write(_escape_unprintable(text) + "\n")
        stream.flush()
    except BrokenPipeError:
        # The data left in the buffer would raise again when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise


def _escape_unprintable(text: str) -> str:
    """Escape what JSON allows in a string but a terminal may obey: C1 controls, bidi overrides and the like."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def reserve_stdout() -> None:
    """Keep stdout for the JSON document: anything else that is printed, by any means, goes to stderr."""
    global _reserved
    try:
        number = sys.stdout.fileno()
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        return  # stdout is closed, or not a file
    if _reserved is None:
        _reserved = os.fdopen(
            os.dup(number), "w", encoding=sys.stdout.encoding, errors="backslashreplace", newline="\n"
        )
        os.dup2(_open_elsewhere(), number)


def _open_elsewhere() -> int:
    try:
        return os.dup(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return os.open(os.devnull, os.O_WRONLY)


def release_stdout() -> None:
    """Undo :func:`reserve_stdout`, for a program that calls the command line as a function."""
    global _reserved
    if _reserved is not None:
        sys.stdout.flush()
        os.dup2(_reserved.fileno(), sys.stdout.fileno())
        _reserved.close()
        _reserved = None
