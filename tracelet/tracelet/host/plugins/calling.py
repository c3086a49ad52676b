"""The call of one plugin's hook inside everybody's wrappers, through pluggy."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pluggy

from tracelet.host import locations
from tracelet.host.discovery import LIFECYCLE
from tracelet.host.plugins.registry import Registry, owner

WrapperFailed = Callable[[str, str, BaseException], None]  # plugin's name, hook, what it raised


class PluginCaller:
    """Calls one hook of one plugin, inside everybody's wrappers. Kept per plugin and hook, on the plugin's thread."""

    def __init__(self, registry: Registry, name: str, hook: str, wrapper_failed: WrapperFailed) -> None:
        self.name = name
        self.hook = hook
        self.watched: Watched | None = None
        self._registry = registry
        self._wrapper_failed = wrapper_failed
        self._epoch = -1
        self._alone: pluggy.HookCaller | None = None
        self._around: pluggy.HookCaller | None = None
        self._wrappers: Mapping[str, pluggy.HookImpl] = {}

    def __call__(self, **kwargs: Any) -> Any:
        """Call, with all arguments that the hookspec has, and return the implementation's result."""
        if self._epoch != self._registry.epoch:
            self._refresh()
        if self._alone is not None:
            results = self._alone(**kwargs)
            return results[0] if results else None
        return self._wrapped(kwargs, frozenset())

    def _refresh(self) -> None:
        epoch = self._registry.epoch
        cast = self._registry.cast(self.hook)
        if self.name not in cast.implementors:
            raise LookupError(f"plugin {self.name!r} does not implement {self.hook}")
        self._wrappers, self._around = cast.wrappers, cast.around
        # A caller of its own costs pluggy as much as there are plugins: it is worth that for more than one call.
        own = not cast.wrappers and self.hook not in LIFECYCLE
        self._alone = self._registry.subset(self.hook, [cast.implementors[self.name]]) if own else None
        self.watched = None
        self._epoch = epoch

    def _wrapped(self, kwargs: dict[str, Any], blamed: frozenset[str]) -> Any:
        """Call inside the wrappers. One that fails is blamed itself: what it wrapped is called without it."""
        watched = self.watched = self._fresh_watch()
        around = self._around
        if blamed or around is None:
            innocent = [impl for name, impl in self._wrappers.items() if name not in blamed]
            around = self._registry.subset(self.hook, innocent)
        try:
            return _only(around.call_extra([watched.function], kwargs))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if error is watched.error:
                raise
            culprit = self._culprit(locations.calls_of_error(error), str(error))
            if culprit is None or culprit.plugin_name in blamed:
                raise
            self._wrapper_failed(owner(culprit), self.hook, error)
            if watched.ended:
                return watched.outcome()
            return self._wrapped(kwargs, blamed | {culprit.plugin_name})

    def _fresh_watch(self) -> Watched:
        """Return a watch over the implementation: the last one, unless it was left behind with its thread."""
        watched = self.watched
        if watched is None or watched.given_up:
            return Watched(self._registry.cast(self.hook).implementors[self.name].function)
        watched.reset()
        return watched

    def wrapper_at(self, calls: Iterable[locations.Call]) -> str | None:
        """Return the plugin whose wrapper of this hook is what runs in a stack of calls, if one is."""
        culprit = self._culprit(calls)
        return owner(culprit) if culprit is not None else None

    def _culprit(self, calls: Iterable[locations.Call], said: str = "") -> pluggy.HookImpl | None:
        """Find the wrapper that something came from: the innermost one whose code took part in it."""
        found = None
        for impl in self._wrappers.values():  # pluggy's own complaint ("did not yield") says where it stands
            if said and _stands_at(impl.function) in said:
                return impl
        for code, first in calls:
            for impl in self._wrappers.values():
                function = inspect.unwrap(impl.function)
                if (
                    getattr(function, "__code__", None) is code
                    and getattr(function, "__self__", first) is first
                ):
                    found = impl
        return found


class Watched:
    """An implementation that remembers how its call went, whatever the wrappers make of it."""

    def __init__(self, implementation: Callable[..., Any]) -> None:
        self.given_up = False
        self.ended = False
        self.error: BaseException | None = None
        self._result: Any = None

        @functools.wraps(implementation)  # pluggy reads the signature of what is wrapped
        def function(*args: Any, **kwargs: Any) -> Any:
            if self.given_up:
                raise RuntimeError("called by a wrapper that was left behind")
            try:
                self._result = implementation(*args, **kwargs)
            except BaseException as error:
                self.error = error
                raise
            finally:
                self.ended = True
            return self._result

        self.function = function

    def reset(self) -> None:
        """Forget the last call."""
        self.ended = False
        self.error = self._result = None

    def outcome(self) -> Any:
        """Return what the implementation returned, or raise what it raised."""
        if self.error is not None:
            raise self.error from None
        return self._result


def _stands_at(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno} "


def _only(results: Any) -> Any:
    """One plugin was asked, so pluggy's list holds one answer at most; a wrapper may have put anything there."""
    if isinstance(results, list):
        return results[0] if results else None
    return results
