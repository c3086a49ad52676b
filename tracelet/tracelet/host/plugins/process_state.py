"""What ``tracelet plugins check`` watches while it imports and constructs a plugin: the state of the process."""

from __future__ import annotations

import builtins
import contextlib
import gc
import io
import locale
import logging
import os
import random
import signal
import socket  # noqa: F401 - loaded, so that a plugin's change of its timeout is seen
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any, Final

from tracelet.logs import get_logger

_log = get_logger("tracelet.plugins")
_COMPARED: Final = ("while it was in", "random.seed")  # in messages about what is compared here as well
_FRESH_KEY: Final = 0x80000000  # first word of a Mersenne Twister that was not seeded with a number


class ProcessWatch:
    """Watches what plugins change in the process, as a context manager; ``changes`` lists it.

    ``what`` is what the plugins do meanwhile, for the messages. What they print is kept out of the terminal.
    """

    def __init__(self, what: str = "its import") -> None:
        self.changes: list[str] = []
        self.seconds = 0.0
        self._what = what
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> ProcessWatch:
        self._out = self._stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        self._err = self._stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        self._before = {what: read() for what, read in _READERS.items()}
        self._undone = _Undone()
        _log.addHandler(self._undone)
        self._began = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._began
        _log.removeHandler(self._undone)
        after = {what: read() for what, read in _READERS.items()}
        printed = (self._out.getvalue() + self._err.getvalue()).strip()
        self._stack.close()
        self.changes.extend(self._undone.messages)
        if printed:
            self.changes.append(
                f"{self._what} prints {printed.splitlines()[0][:80]!r}; use logging inside functions"
            )
        for what, before in self._before.items():
            if after[what] != before:
                self.changes.append(f"{self._what} {what}")
        with contextlib.suppress(OSError):
            os.chdir(self._before["changes the current folder"])


class _Undone(logging.Handler):
    """Collects what the host has undone itself and reported in its log: see ``tracelet.host.intrusions``."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.module == "intrusions" and not any(each in message for each in _COMPARED):
            self.messages.append(message)


def _folder() -> str:
    with contextlib.suppress(OSError):
        return os.getcwd()
    return ""


def _foreign_threads() -> set[int]:
    return {
        thread.ident or 0
        for thread in threading.enumerate()
        if not thread.name.startswith("tracelet") and thread is not threading.main_thread()
    }


def _blanket_filters() -> list[Any]:
    """Return the warning filters that are not limited to a message, a module or a library's own category."""
    found = [each for each in warnings.filters if each[1] is None and each[3] is None]
    return [each for each in found if each[2].__module__ == "builtins"]


def _numpy_seed() -> Any:
    """Return the state of NumPy's global generator, or ``None`` while nobody has seeded it."""
    module = sys.modules.get("numpy.random")
    if module is None:
        return None
    key = module.get_state()[1]
    return key.tobytes() if int(key[0]) != _FRESH_KEY else None


def _logging() -> tuple[Any, ...]:
    root = logging.getLogger()
    return list(root.handlers), root.level, root.manager.disable, logging.getLoggerClass()


def _priority() -> Any:
    affinity = getattr(os, "sched_getaffinity", None)
    return (os.nice(0) if hasattr(os, "nice") else None), (affinity(0) if affinity is not None else None)


def _limits() -> Any:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_STACK, resource.RLIMIT_AS)
    return [resource.getrlimit(kind) for kind in kinds]


def _start_method() -> Any:
    module = sys.modules.get("multiprocessing")
    return module.get_start_method(allow_none=True) if module is not None else None


def _locale() -> Any:
    return locale.setlocale(locale.LC_ALL)


_READERS: Final[dict[str, Callable[[], Any]]] = {
    "changes the current folder": _folder,
    "starts a thread; start it in start()": _foreign_threads,
    "changes signal handlers": lambda: {
        number: signal.getsignal(number) for number in signal.valid_signals()
    },
    "sets a timer that sends a signal": lambda: (
        signal.getitimer(signal.ITIMER_REAL)[0] > 0 if hasattr(signal, "getitimer") else None
    ),
    "configures logging": _logging,
    "replaces sys.stdout or sys.stderr": lambda: (sys.stdout, sys.stderr),
    "replaces sys.excepthook": lambda: sys.excepthook,
    "replaces threading.excepthook": lambda: threading.excepthook,
    "replaces sys.unraisablehook or sys.displayhook": lambda: (sys.unraisablehook, sys.displayhook),
    "replaces a builtin function": lambda: {
        name: value for name, value in vars(builtins).items() if name not in ("_", "__warningregistry__")
    },
    "changes environment variables": lambda: dict(os.environ),
    "changes which warnings are shown": _blanket_filters,
    "seeds the program's random numbers": random.getstate,
    "seeds NumPy's random numbers": _numpy_seed,
    "changes the locale": _locale,
    "changes the recursion limit": sys.getrecursionlimit,
    "changes the interval at which threads switch": sys.getswitchinterval,
    "changes garbage collection": lambda: (gc.isenabled(), gc.get_threshold()),
    "sets a trace or profile function": lambda: (sys.gettrace(), sys.getprofile()),
    "changes limits of the process": _limits,
    "changes the priority or the CPUs of the process": _priority,
    "sets how multiprocessing starts processes": _start_method,
}
