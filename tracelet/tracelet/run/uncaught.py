"""Uncaught exceptions: what they mean for the run, and how they are shown.

A mistake in use (a typo in ``tracelet.toml``, an impossible argument) is an exception like any other, which the program
may catch. If it does not, the message says everything, and a traceback would only hide it.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, NamedTuple, NoReturn

from tracelet.errors import ConfigError, NoActiveRunError, TraceletError, UsageError

DEBUG: Final = "TRACELET_DEBUG"  # set to anything: tracebacks of mistakes too
_PLAIN: Final = (ConfigError, NoActiveRunError, UsageError)
_HERE: Final = str(Path(__file__).parents[1])

_seen: list[BaseException] = []  # reported by our excepthook
_thread_errors: dict[int, _Failure] = {}  # by thread
_exits: list[_Failure] = []  # the latest call of sys.exit with a status other than 0
_before: list[BaseException | None] = []  # sys.last_value when watching began
_snapshot: list[Callable[[], Mapping[int, int]]] = []


class _Failure(NamedTuple):
    error: BaseException
    recorded: Mapping[int, int]  # points of each open run at that moment


def watch(snapshot: Callable[[], Mapping[int, int]] | None = None) -> None:
    """Notice from now on what ends the program. ``snapshot`` returns the number of points of each open run."""
    if snapshot is not None:
        _snapshot[:] = [snapshot]
    if _before:
        return
    _before.append(_last_value())
    _watch_exceptions()
    _watch_threads()
    _watch_exit()


def failure_of(run: int, recorded: int, thread: int) -> BaseException | None:
    """Return the exception that is ending the program, or that ended the thread which started the run.

    A thread's failure or a call of ``sys.exit`` counts only if nothing was recorded since: otherwise the program
    handled it and went on.
    """
    if hasattr(sys, "ps1"):  # an interactive session goes on after a mistake
        return None
    if _seen:
        return _seen[-1]
    last = _last_value()
    if last is not None and last is not _before[0]:
        return last  # the interpreter sets it, whoever has replaced sys.excepthook
    found = [*_exits, *([_thread_errors[thread]] if thread in _thread_errors else [])]
    return next((failure.error for failure in found if failure.recorded.get(run) == recorded), None)


def _last_value() -> BaseException | None:
    value = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return value if isinstance(value, BaseException) else None


def _failure(error: BaseException) -> _Failure:
    return _Failure(error, dict(_snapshot[0]()) if _snapshot else {})


def _watch_exceptions() -> None:
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not hasattr(sys, "ps1"):
            _seen.append(error)
        if previous is sys.__excepthook__ and _is_plain_mistake(error):
            _print_message(error, trace)
        else:
            previous(kind, error, trace)

    sys.excepthook = hook


def _watch_threads() -> None:
    previous = threading.excepthook

    def hook(arguments: Any, /) -> None:
        if arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
            _thread_errors[threading.get_ident()] = _failure(arguments.exc_value)
        previous(arguments)

    threading.excepthook = hook


def _watch_exit() -> None:
    """Notice ``sys.exit``: the interpreter tells nobody the status that it ends with."""
    previous = sys.exit

    @functools.wraps(previous)
    def exit(status: Any = None, /) -> NoReturn:
        if threading.current_thread() is threading.main_thread():
            _exits.clear()
            if status not in (None, 0):
                error = SystemExit(status)
                error.__context__ = sys.exc_info()[1]
                _exits.append(_failure(error))
        previous(status)

    sys.exit = exit


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
