"""Functions of a framework that are wrapped, and what takes the wrappers off again."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final, NamedTuple, Protocol

from tracelet_hookspecs import suspend_captures

__all__ = ["Patches"]

Function = Callable[..., Any]
Note = Callable[..., None]

_MISSING: Final = object()


class _Plugin(Protocol):
    def report(self, error: Exception, place: str) -> None:
        """Log a fault of a note."""


class _Patch(NamedTuple):
    owner: Any  # a module or a class
    name: str
    raw: Any  # what was in the owner's dictionary, or _MISSING if it is inherited
    installed: Any


class Patches:
    """The wrappers that one capture has put around functions of its framework.

    A wrapper calls the original with what it was given, and returns what that returns. Around that it calls a *note*
    with the plugin that records; what the note raises is reported once and never reaches the program. While nobody
    records, the wrapper does nothing else, so that it may stay if somebody has wrapped it in turn.
    """

    def __init__(self, current: Callable[[], _Plugin | None]) -> None:
        """``current`` returns the plugin that records what happens on this thread, or ``None``."""
        self._current = current
        self._patches: list[_Patch] = []
        self._lock = threading.Lock()
        #: What could not be wrapped, because this version of the framework lacks it.
        self.missing: list[str] = []

    def after(self, owner: Any, name: str, note: Note, *, suspend: tuple[str, ...] = ()) -> bool:
        """Call ``note(plugin, result, *arguments, **keywords)`` after each call of a function.

        ``suspend`` names captures that record nothing during the call: the note records the same. Returns whether
        there is such a function.
        """
        current = self._current

        def make(original: Function) -> Function:
            def wrapper(*arguments: Any, **keywords: Any) -> Any:
                plugin = current()
                if plugin is None:
                    return original(*arguments, **keywords)
                with suspend_captures(*suspend) if suspend else nullcontext():
                    result = original(*arguments, **keywords)
                try:
                    note(plugin, result, *arguments, **keywords)
                except Exception as error:
                    plugin.report(error, name)
                return result

            return wrapper

        return self.wrap(owner, name, make)

    def before(self, owner: Any, name: str, note: Note, *, suspend: tuple[str, ...] = ()) -> bool:
        """Call ``note(plugin, *arguments, **keywords)`` before each call of a function. As :meth:`after` otherwise."""
        current = self._current

        def make(original: Function) -> Function:
            def wrapper(*arguments: Any, **keywords: Any) -> Any:
                plugin = current()
                if plugin is None:
                    return original(*arguments, **keywords)
                try:
                    note(plugin, *arguments, **keywords)
                except Exception as error:
                    plugin.report(error, name)
                with suspend_captures(*suspend) if suspend else nullcontext():
                    return original(*arguments, **keywords)

            return wrapper

        return self.wrap(owner, name, make)

    def suspend_if(
        self, owner: Any, name: str, captures: tuple[str, ...], condition: Callable[..., bool]
    ) -> bool:
        """Suspend captures during those calls of a function for which ``condition(*arguments, **keywords)`` is true."""
        current = self._current

        def make(original: Function) -> Function:
            def wrapper(*arguments: Any, **keywords: Any) -> Any:
                plugin = current()
                is_suspended = False
                try:
                    is_suspended = plugin is not None and condition(*arguments, **keywords)
                except Exception as error:
                    if plugin is not None:
                        plugin.report(error, name)
                with suspend_captures(*captures) if is_suspended else nullcontext():
                    return original(*arguments, **keywords)

            return wrapper

        return self.wrap(owner, name, make)

    def wrap(self, owner: Any, name: str, make: Callable[[Function], Function]) -> bool:
        """Put ``make(original)`` in the place of a function, method, class method or static method.

        What it makes must behave as the original while nobody records. Returns whether there is such a function.
        """
        with self._lock:
            if any(each.owner is owner and each.name == name for each in self._patches):
                return True
            raw = vars(owner).get(name, _MISSING)
            found = getattr(owner, name, _MISSING) if raw is _MISSING else raw
            if found is _MISSING:
                self.missing.append(f"{getattr(owner, '__name__', owner)}.{name}")
                return False
            kind = type(found) if isinstance(found, (staticmethod, classmethod)) else None
            original = found if kind is None else found.__func__
            wrapper: Any = functools.update_wrapper(make(original), original)
            installed = wrapper if kind is None else kind(wrapper)
            setattr(owner, name, installed)
            self._patches.append(_Patch(owner, name, raw, installed))
            return True

    def undo(self) -> None:
        """Restore the originals. A wrapper that somebody else has wrapped stays, and only calls the original."""
        with self._lock:
            while self._patches:
                patch = self._patches.pop()
                if vars(patch.owner).get(patch.name) is not patch.installed:
                    continue
                if patch.raw is _MISSING:
                    delattr(patch.owner, patch.name)
                else:
                    setattr(patch.owner, patch.name, patch.raw)
