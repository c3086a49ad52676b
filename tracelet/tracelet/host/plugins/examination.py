"""What ``tracelet plugins check`` looks for beyond validation: likely slips, and side effects of the import."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FunctionType
from typing import Any, Final

import tracelet_hookspecs as contract
from tracelet.host.discovery import attributes, implementations, is_class, is_module
from tracelet.host.discovery.inspection import OWN_HOOKS, bases
from tracelet.logs import get_logger
from tracelet.messages import closest

_log = get_logger("tracelet.plugins")

SLOW_IMPORT: Final = 0.5  # seconds
_CONTRACT: Final = (
    *(contract.BackendPlugin, contract.CollectorPlugin, contract.FrameworkPlugin, contract.ProcessorPlugin),
    *(contract.PluginBase, contract.BackendInterface, contract.CollectorInterface),
    *(contract.MetricSink, contract.MetricSource, object),
)
_KNOWN: Final = frozenset(name for cls in _CONTRACT for name in vars(cls))


def find_slips(plugin: Any, hook_names: list[str]) -> Iterator[str]:
    """Yield what a plugin probably means, but does not say: nothing of this keeps it from being valid."""
    if is_module(plugin):
        yield from _undecorated_functions(plugin)
    else:
        yield from _misspelt_methods(plugin, hook_names)


def _undecorated_functions(module: Any) -> Iterator[str]:
    implemented = {one.attribute for one in implementations(module)}
    for name, value in vars(module).items():
        if (
            type(value) is FunctionType
            and value.__module__ == module.__name__
            and name in OWN_HOOKS - implemented
        ):
            yield f"{name}() is not a hook implementation; put @tracelet.hookimpl above it"


def _misspelt_methods(plugin: Any, hook_names: list[str]) -> Iterator[str]:
    cls = plugin if is_class(plugin) else type(plugin)
    own = {name for base in bases(cls) if base not in _CONTRACT for name in vars(base)}
    known = attributes(cls)
    implemented = {one.attribute for one in implementations(plugin)}
    for name in sorted(own - _KNOWN - implemented - set(hook_names)):
        if name.startswith("_") or type(known[name]) is not FunctionType:
            continue
        meant = closest(name, [hook for hook in hook_names if hook not in implemented], cutoff=0.85)
        if meant is not None:
            yield f"{name}() is not a hook; did you mean {meant}()?"


def find_slow_import(seconds: float | None) -> Iterator[str]:
    """Yield a warning if the import took more than half a second."""
    if seconds is not None and seconds > SLOW_IMPORT:
        yield f"its import took {seconds:.1f} s; import heavy packages inside the functions that use them"


class _Undone(logging.Handler):
    """Collects what the host has undone itself and reported in its log: see ``tracelet.host.intrusions``."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == "intrusions":
            self.messages.append(record.getMessage())


class ImportWatch:
    """Watches what the import of plugins changes in the process, as a context manager; ``changes`` lists it.

    What they print meanwhile is kept out of the terminal.
    """

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.seconds = 0.0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> ImportWatch:
        self._out = self._stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        self._err = self._stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        self._streams = sys.stdout, sys.stderr
        self._before = _snapshot()
        self._undone = _Undone()
        _log.addHandler(self._undone)
        self._began = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._began
        _log.removeHandler(self._undone)
        self.changes.extend(self._undone.messages)
        replaced = (sys.stdout, sys.stderr) != self._streams
        printed = (self._out.getvalue() + self._err.getvalue()).strip()
        self._stack.close()
        if replaced:
            self.changes.append("its import replaces sys.stdout or sys.stderr")
        if printed:
            self.changes.append(
                f"its import prints {printed.splitlines()[0][:80]!r}; use logging inside functions"
            )
        after = _snapshot()
        for what, before in self._before.items():
            if after[what] != before:
                self.changes.append(f"its import {what}")
        _restore(self._before)


def _snapshot() -> dict[str, Any]:
    root = logging.getLogger()
    with contextlib.suppress(OSError):
        folder = os.getcwd()
    return {
        "changes the current folder": folder,
        "starts a thread; start it in start()": _foreign_threads(),
        "changes signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "configures logging": (list(root.handlers), root.level, root.manager.disable),
        "replaces sys.excepthook": sys.excepthook,
        "changes environment variables": dict(os.environ),
    }


def _foreign_threads() -> set[int]:
    return {
        thread.ident or 0
        for thread in threading.enumerate()
        if not thread.name.startswith("tracelet") and thread is not threading.main_thread()
    }


def _restore(before: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.chdir(before["changes the current folder"])
