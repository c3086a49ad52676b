"""Plugins that listen to the program's log must not change what the program prints.

``logging.basicConfig`` does nothing if the root logger has a handler, and warnings go to stderr only if it has none.
A handler that a plugin has added there counts in neither case.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Iterable
from typing import Any

_ours: weakref.WeakSet[logging.Handler] = weakref.WeakSet()


def exempt_plugins(plugins: Iterable[Any]) -> None:
    """Exempt the handlers that these plugins have on the root logger: plugins themselves, or classes of theirs."""
    plugins = list(plugins)
    modules = {type(plugin).__module__ for plugin in plugins} | {
        plugin.__name__ for plugin in plugins if isinstance(plugin, type(sys))
    }
    modules -= {"builtins", "logging", "logging.handlers", "__main__"}
    handlers = logging.getLogger().handlers
    found = [
        each
        for each in handlers
        if each not in _ours
        and (any(each is plugin for plugin in plugins) or type(each).__module__ in modules)
    ]
    _ours.update(found)
    if found:
        _install()


def clean_up() -> None:
    """Remove what stood in for ``logging.lastResort`` once no plugin has a handler any more."""
    root = logging.getLogger()
    if not any(each in _ours for each in root.handlers):
        for each in [each for each in root.handlers if isinstance(each, _LastResort)]:
            root.removeHandler(each)


class _LastResort(logging.Handler):
    """Prints warnings as ``logging.lastResort`` does, if nobody but plugins handles them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record that no handler of the program gets."""
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(each is not self and each not in _ours for each in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
            logging.lastResort.handle(record)


def _install() -> None:
    root = logging.getLogger()
    if not any(isinstance(each, _LastResort) for each in root.handlers):
        root.addHandler(_LastResort())
    original = logging.basicConfig
    if getattr(original, "_tracelet", False):
        return

    def basicConfig(**arguments: Any) -> None:
        hidden = [each for each in root.handlers if each in _ours or isinstance(each, _LastResort)]
        for each in hidden:
            root.handlers.remove(each)
        try:
            original(**arguments)
        finally:
            root.handlers.extend(hidden)

    basicConfig.__doc__ = original.__doc__
    basicConfig._tracelet = True  # type: ignore[attr-defined]
    logging.basicConfig = basicConfig
