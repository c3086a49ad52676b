"""What a plugin changes for the whole process, the program included: its current folder, its logging.

Each change is undone as soon as the plugin's call returns, and reported with the plugin's name.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
from typing import Any, Final

from tracelet.host.leftovers import current_owner
from tracelet.logs import get_logger

log = get_logger("tracelet.plugins")

_OURS: Final = "tracelet"

_moved: dict[
    int, tuple[str, str]
] = {}  # by thread: the folder before a plugin's call, and the one it changed to
_change: list[Any] = []  # os.chdir itself, once plugins' calls of it are noticed


def install() -> None:
    """Notice plugins that change the current folder. A second call does nothing."""
    if _change:
        return
    change = os.chdir
    _change.append(change)

    @functools.wraps(change)
    def noting_change(path: Any) -> None:
        if not current_owner():
            change(path)
            return
        before = _current_folder()
        change(path)
        first, _ = _moved.get(threading.get_ident(), (before, ""))
        _moved[threading.get_ident()] = first, _current_folder()

    os.chdir = noting_change


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


class Snapshot:
    """The process before a plugin's call; :meth:`restore` undoes what the call has changed."""

    __slots__ = ("_is_enabled", "_level")

    def __init__(self) -> None:
        self._is_enabled = not log.disabled
        self._level = logging.root.manager.disable

    def restore(self, plugin: str, step: str) -> None:
        """Undo and report what has changed since."""
        if self._is_enabled and log.disabled:
            _enable_loggers()
            log.warning(
                "plugin %r: %s disabled tracelet's loggers, which are enabled again; pass"
                " disable_existing_loggers=False to logging.config",
                *(plugin, step),
            )
        level = logging.root.manager.disable
        if level != self._level and level >= logging.WARNING:
            logging.disable(self._level)
            log.warning(
                "plugin %r: %s disabled logging for the whole program, which is undone; set the level of a logger",
                *(plugin, step),
            )
        if _moved and (moved := _moved.pop(threading.get_ident(), None)) is not None:
            _move_back(plugin, step, *moved)


def _enable_loggers() -> None:
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] == _OURS and isinstance(logger, logging.Logger):
            logger.disabled = False


def _move_back(plugin: str, step: str, before: str, after: str) -> None:
    if _current_folder() == after != before:  # nobody has changed it since
        with contextlib.suppress(OSError):
            _change[0](before)
    log.warning(
        "plugin %r: %s changed the program's current folder from %s to %s (os.chdir), which is undone; use absolute"
        " paths",
        *(plugin, step, before, after),
    )
