"""Uncaught exceptions: what they mean for the run, and how they are shown.

A mistake in use (a typo in ``tracelet.toml``, an impossible argument) is an exception like any other, which the program
may catch. If it does not, the message says everything, and a traceback would only hide it.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, NoReturn, Protocol

from tracelet.errors import ConfigError, NoActiveRunError, TraceletError, UsageError

DEBUG: Final = "TRACELET_DEBUG"  # set to anything: tracebacks of mistakes too
_PLAIN: Final = (ConfigError, NoActiveRunError, UsageError)
_HERE: Final = str(Path(__file__).parents[1])

_seen: list[BaseException] = []  # reported by our excepthook
_exit_status: list[Any] = []  # given to sys.exit
_before: list[BaseException | None] = []  # sys.last_value when watching began


class Observer(Protocol):
    """Is notified of ``sys.exit`` and of uncaught exceptions."""

    def thread_failed(self, error: BaseException) -> None:
        """The current thread ends with this exception."""

    def exit_called(self, error: SystemExit | None) -> None:
        """``sys.exit`` was called on the main thread; ``None`` stands for success."""


def watch(observer: Observer | None = None) -> None:
    """Notice uncaught exceptions from now on, and report to ``observer`` what else may end the program."""
    if not _before:
        _before.append(_last_value())
        _watch_exceptions()
    if observer is not None:
        _watch_threads(observer)
        _watch_exit(observer)


def latest() -> BaseException | None:
    """Return the exception that is ending the program, if there is one."""
    if hasattr(sys, "ps1"):  # an interactive session goes on after a mistake
        return None
    if _seen:
        return _seen[-1]
    last = _last_value()  # set by the interpreter, whoever has replaced sys.excepthook
    return last if not _before or last is not _before[0] else None


def exit_status() -> int:
    """Return the status that the program ends with, as far as it can be known from outside the interpreter."""
    if _exit_status:
        status = _exit_status[-1]
        return int(status) if isinstance(status, int) else int(status is not None)
    return int(latest() is not None)


def _last_value() -> BaseException | None:
    value = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return value if isinstance(value, BaseException) else None


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


def _watch_threads(observer: Observer) -> None:
    previous = threading.excepthook

    def hook(arguments: Any, /) -> None:
        if arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
            observer.thread_failed(arguments.exc_value)
        previous(arguments)

    threading.excepthook = hook


def _watch_exit(observer: Observer) -> None:
    """Notice calls of ``sys.exit``: the interpreter does not report the status that it ends with."""
    previous = sys.exit

    @functools.wraps(previous)
    def exit(status: Any = None, /) -> NoReturn:
        if threading.current_thread() is threading.main_thread():
            _exit_status.append(status)
            error = SystemExit(status)
            error.__context__ = sys.exc_info()[1]
            observer.exit_called(error if status not in (None, 0) else None)
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
