"""Uncaught exceptions: what they mean for the run, and how they are shown.

A mistake in use (a typo in ``tracelet.toml``, an impossible argument) is an exception like any other, which the program
may catch. If it does not, the message says everything, and a traceback would only hide it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Final

from tracelet.errors import ConfigError, NoActiveRunError, TraceletError, UsageError

DEBUG: Final = "TRACELET_DEBUG"  # set to anything: tracebacks of mistakes too
_PLAIN: Final = (ConfigError, NoActiveRunError, UsageError)
_HERE: Final = str(Path(__file__).parents[1])

_seen: list[BaseException] = []
_watching = False


def watch() -> None:
    """Notice uncaught exceptions from now on."""
    global _watching
    if _watching:
        return
    _watching = True
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not hasattr(sys, "ps1"):  # an interactive session goes on
            _seen.append(error)
        if previous is sys.__excepthook__ and _is_plain_mistake(error):
            _print_message(error, trace)
        else:
            previous(kind, error, trace)

    sys.excepthook = hook


def latest() -> BaseException | None:
    """Return the exception that is ending the program, if there is one."""
    return _seen[-1] if _seen else None


def _is_plain_mistake(error: BaseException) -> bool:
    """Return whether the message alone explains the failure: not if another exception was being handled."""
    in_another = error.__context__ is not None and not error.__suppress_context__
    return isinstance(error, _PLAIN) and not in_another and not os.environ.get(DEBUG)


def _print_message(error: BaseException, trace: TracebackType | None) -> None:
    from tracelet.secrets import redact

    assert isinstance(error, TraceletError)
    places = [(frame.f_code.co_filename, line) for frame, line in walk_tb(trace)]
    theirs = [place for place in places if not place[0].startswith((_HERE, "<"))]
    where = f"{theirs[-1][0]}, line {theirs[-1][1]}; " if theirs else ""
    for line in error.lines:
        print(redact(f"tracelet: {line}"), file=sys.stderr)
    print(f"({where}{DEBUG}=1 shows the traceback)", file=sys.stderr)
