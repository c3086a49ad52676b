"""What a plugin changes for the whole process, the program included: its current folder, its umask, its logging.

The functions that change such a setting are wrapped, so that a change by a plugin is told from one by the program,
which runs at the same time. A change is undone as soon as the plugin's call returns, and reported once with the
plugin's name. What cannot be undone, such as a seed, is reported only.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tracelet.host.leftovers import PLUGIN_THREAD, current_owner
from tracelet.logs import get_logger

log = get_logger("tracelet.plugins")

_OURS: Final = "tracelet"

Observation = tuple[Any, Any, Any]  # what the function returned; the setting before and after


class _Setting(NamedTuple):
    """A setting of the process: what it is called, how it was changed, and what to do instead."""

    what: str
    function: str
    remedy: str
    undo: Callable[[Any, Any], Any] | None  # from the value before and the one that was set


_changed: dict[int, dict[str, tuple[_Setting, Any, Any]]] = {}  # by thread: what a plugin's call has changed
#: Plugins of tracelet's own, which are not blamed for what the program does meanwhile.
trusted: set[str] = set()
_STEPS: Final = ("import", "initialize", "start")  # steps in which streams and handlers are compared
_STREAMS: Final = ("sys.stdout", "sys.stderr", "sys.excepthook", "threading.excepthook")

_reported: set[tuple[str, str]] = set()  # plugin, setting
_wrapped: set[str] = set()  # functions, by module and name
_plugins_handlers: weakref.WeakSet[logging.Handler] = weakref.WeakSet()  # that plugins put on the root logger


def install() -> None:
    """Notice what plugins change from now on. Modules that are not loaded yet are left to a later call."""
    if "logging" not in _wrapped:
        _wrapped.add("logging")
        for name, wrap in _OF_LOGGERS.items():
            _replace(logging.Logger, name, wrap)
    for module, functions in _FUNCTIONS.items():
        if module in sys.modules and module not in _wrapped:
            _wrapped.add(module)
            for name, wrap in functions.items():
                _replace(sys.modules[module], name, wrap)


def _replace(
    holder: Any, name: str, wrap: Callable[[Any], tuple[_Setting, Callable[..., Observation]]]
) -> None:
    original = getattr(holder, name, None)
    if original is None:
        return
    setting, observe = wrap(original)

    @functools.wraps(original)
    def noting(*arguments: Any, **keywords: Any) -> Any:
        owner = current_owner()
        if not owner:
            return original(*arguments, **keywords)
        result, before, after = observe(*arguments, **keywords)
        if before != after:
            _note(owner, setting, before, after)
        return result

    setattr(holder, name, noting)


def _note(owner: str, setting: _Setting, before: Any, after: Any) -> None:
    if PLUGIN_THREAD not in threading.current_thread().__dict__:  # a thread of its own: its end is unknown
        _report(owner, "a thread of it", setting, before, after, "")
        return
    changes = _changed.setdefault(threading.get_ident(), {})
    first = changes[setting.what][1] if setting.what in changes else before
    changes[setting.what] = setting, first, after


class Snapshot:
    """The process before a plugin's call; :meth:`restore` undoes what the call has changed."""

    __slots__ = ("_is_enabled", "_level", "_streams")

    _streams: tuple[Any, ...] | None

    def __init__(self, step: str = "") -> None:
        self._is_enabled = not log.disabled
        self._level = logging.root.manager.disable
        self._streams = None
        if step in _STEPS:
            install()  # for modules that were loaded since
            self._streams = _streams()

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
        if _changed and (changes := _changed.pop(threading.get_ident(), None)) is not None:
            for setting, before, after in changes.values():
                _settle(plugin, step, setting, before, after)
        if self._streams is not None and plugin not in trusted:
            _report_streams(plugin, step, self._streams)


def _streams() -> tuple[Any, ...]:
    return sys.stdout, sys.stderr, sys.excepthook, threading.excepthook


def _report_streams(plugin: str, step: str, before: tuple[Any, ...]) -> None:
    """Report what was replaced meanwhile. The program may have done it, so nothing is undone."""
    for what, old, new in zip(_STREAMS, before, _streams(), strict=True):
        kind = type(new)
        module = getattr(new, "__module__", None) if what.endswith("hook") else kind.__module__
        if new is old or (plugin, what) in _reported or str(module).partition(".")[0] == _OURS:
            continue
        _reported.add((plugin, what))
        log.warning(
            "plugin %r: while it was in %s, %s was replaced (by an object of type %s), which is not undone; if the"
            " plugin did that, put it back in stop(), and pass on to the earlier one what is not meant for you",
            *(plugin, step, what, kind.__name__),
        )


def _settle(plugin: str, step: str, setting: _Setting, before: Any, after: Any) -> None:
    if before == after:  # it has put back what was there
        return
    if setting.undo is not None:
        with contextlib.suppress(Exception):
            setting.undo(before, after)
    _report(plugin, step, setting, before, after, ", which is undone" if setting.undo is not None else "")


def _report(plugin: str, step: str, setting: _Setting, before: Any, after: Any, undone: str) -> None:
    if (plugin, setting.what) in _reported:
        return
    _reported.add((plugin, setting.what))
    values = "" if before is None else f" from {before} to {after}"
    log.warning(
        "plugin %r: %s changed %s%s (%s)%s; %s",
        *(plugin, step, setting.what, values, setting.function, undone, setting.remedy),
    )


def _enable_loggers() -> None:
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] == _OURS and isinstance(logger, logging.Logger):
            logger.disabled = False


# -- the settings --------------------------------------------------------------------------------------


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


def _change_folder(change: Any) -> tuple[_Setting, Callable[..., Observation]]:
    chdir = os.chdir

    def undo(before: str, after: str) -> None:
        if _current_folder() == after != before:  # nobody has changed it since
            chdir(before)

    def observe(path: Any) -> Observation:
        before = _current_folder()
        return change(path), before, _current_folder()

    return _Setting("the program's current folder", "os.chdir", "use absolute paths", undo), observe


def _change_umask(umask: Any) -> tuple[_Setting, Callable[..., Observation]]:
    def undo(before: str, after: str) -> None:
        now = umask(int(before, 8))
        if now != int(after, 8):  # somebody has changed it since
            umask(now)

    def observe(mask: int) -> Observation:
        before = umask(mask)
        return before, f"{before:03o}", f"{mask & 0o777:03o}"

    remedy = "pass a mode to os.open, or call os.chmod"
    return _Setting("the program's umask", "os.umask", remedy, undo), observe


def _between(
    what: str, function: str, remedy: str, read: Callable[[], Any]
) -> Callable[[Any], tuple[_Setting, Callable[..., Observation]]]:
    """Return the observer of a function that sets what ``read`` reads."""

    def wrap(change: Any) -> tuple[_Setting, Callable[..., Observation]]:
        def undo(before: Any, after: Any) -> None:
            if read() == after:  # nobody has changed it since
                change(before)

        def observe(*arguments: Any, **keywords: Any) -> Observation:
            before = read()
            return change(*arguments, **keywords), before, read()

        return _Setting(what, function, remedy, undo), observe

    return wrap


def _change_locale(change: Any) -> tuple[_Setting, Callable[..., Observation]]:
    everything = sys.modules["locale"].LC_ALL

    def undo(before: str, after: str) -> None:
        if change(everything) == after:
            change(everything, before)

    def observe(*arguments: Any, **keywords: Any) -> Observation:
        before = change(everything)
        return change(*arguments, **keywords), before, change(everything)

    remedy = "format values without the locale"
    return _Setting("the program's locale", "locale.setlocale", remedy, undo), observe


def _only_called(
    what: str, function: str, remedy: str
) -> Callable[[Any], tuple[_Setting, Callable[..., Observation]]]:
    """Return the observer of a function whose effect cannot be undone."""

    def wrap(change: Any) -> tuple[_Setting, Callable[..., Observation]]:
        def observe(*arguments: Any, **keywords: Any) -> Observation:
            return change(*arguments, **keywords), None, True

        return _Setting(what, function, remedy, None), observe

    return wrap


def _change_level(change: Any) -> tuple[_Setting, Callable[..., Observation]]:
    def undo(before: int, after: int) -> None:
        if logging.root.level == after:
            change(logging.root, before)

    def observe(logger: logging.Logger, level: Any) -> Observation:
        before = logging.root.level
        return change(logger, level), before, logging.root.level

    remedy = "set the level of your own logger"
    return _Setting("the level of the root logger", "logging", remedy, undo), observe


def _add_handler(change: Any) -> tuple[_Setting, Callable[..., Observation]]:
    def observe(logger: logging.Logger, handler: logging.Handler) -> Observation:
        if logger is logging.root:
            _plugins_handlers.add(handler)
        return change(logger, handler), None, None

    return _Setting("a handler", "logging", "", None), observe


def _remove_handler(change: Any) -> tuple[_Setting, Callable[..., Observation]]:
    def observe(logger: logging.Logger, handler: logging.Handler) -> Observation:
        is_programs = (
            logger is logging.root and handler in logger.handlers and handler not in _plugins_handlers
        )
        return change(logger, handler), None, True if is_programs else None

    remedy = "add a handler of your own, without force=True"
    return _Setting("the program's logging by removing its handler", "logging", remedy, None), observe


_SEED: Final = "use a random.Random or numpy.random.Generator of your own"
_FUNCTIONS: Final[dict[str, dict[str, Any]]] = {
    "os": {"fchdir": _change_folder, "chdir": _change_folder, "umask": _change_umask},
    "sys": {
        "setrecursionlimit": _between(
            "the recursion limit",
            "sys.setrecursionlimit",
            "use a stack of your own in place of deep recursion",
            sys.getrecursionlimit,
        )
    },
    "socket": {
        "setdefaulttimeout": _between(
            "the default timeout of sockets",
            "socket.setdefaulttimeout",
            "pass a timeout to each connection",
            lambda: sys.modules["socket"].getdefaulttimeout(),
        )
    },
    "locale": {"setlocale": _change_locale},
    "random": {"seed": _only_called("the program's random numbers", "random.seed", _SEED)},
    "numpy.random": {"seed": _only_called("the program's random numbers", "numpy.random.seed", _SEED)},
}
_OF_LOGGERS: Final[dict[str, Any]] = {
    "setLevel": _change_level,
    "addHandler": _add_handler,
    "removeHandler": _remove_handler,
}
