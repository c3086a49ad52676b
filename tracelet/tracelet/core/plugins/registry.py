"""pluggy's registry, and the call of one plugin's hook inside everybody's wrappers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final

import pluggy

import tracelet_hookspecs as contract
from tracelet.core.discovery import has_lifecycle

OWN_HOOKS: Final = frozenset(
    name for name, value in vars(contract.specs).items() if hasattr(value, contract.PROJECT_NAME + "_spec")
)

_PLAIN: Final[pluggy.HookimplOpts] = {
    "wrapper": False,
    "hookwrapper": False,
    "optionalhook": False,
    "tryfirst": False,
    "trylast": False,
    "specname": None,
}

WrapperFailed = Callable[[str, str, BaseException], None]  # plugin's name, hook, what it raised


class Registry(pluggy.PluginManager):
    """The one pluggy manager. Methods of a plugin that has the lifecycle need no decorator here."""

    def __init__(self) -> None:
        super().__init__(contract.PROJECT_NAME)
        self.add_hookspecs(contract.specs)
        #: Grows with every change, so that callers know when what they keep is out of date.
        self.epoch = 0
        self._split: dict[str, tuple[frozenset[Any], tuple[pluggy.HookImpl, ...]]] = {}

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """Take decorated functions, and the contract's hooks among the methods of a plugin with a lifecycle."""
        if name.startswith("__"):
            return None
        options = super().parse_hookimpl_opts(plugin, name)
        if options is None and name in OWN_HOOKS and has_lifecycle(plugin):
            static = inspect.getattr_static(plugin, name, None)
            if inspect.isroutine(static) or isinstance(static, (classmethod, staticmethod)):
                return _PLAIN.copy()
        return options

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Register a plugin, as pluggy does."""
        self._changed()
        return super().register(plugin, name)

    def unregister(self, plugin: object | None = None, name: str | None = None) -> Any | None:
        """Unregister a plugin, as pluggy does."""
        self._changed()
        return super().unregister(plugin, name)

    def _changed(self) -> None:
        self.epoch += 1
        self._split.clear()

    def split(self, hook: str) -> tuple[frozenset[Any], tuple[pluggy.HookImpl, ...]]:
        """Return the plugins that implement a hook, and the wrappers around it."""
        if hook not in self._split:
            impls = self.caller(hook).get_hookimpls()
            wrappers = tuple(impl for impl in impls if impl.wrapper or impl.hookwrapper)
            plain = frozenset(impl.plugin for impl in impls if not (impl.wrapper or impl.hookwrapper))
            self._split[hook] = (plain, wrappers)
        return self._split[hook]

    def caller(self, hook: str) -> pluggy.HookCaller:
        """Return pluggy's caller of a hook."""
        caller: pluggy.HookCaller = getattr(self.hook, hook)
        return caller

    def hook_names(self) -> list[str]:
        """Return the names of all hooks that have a specification."""
        return sorted(name for name in vars(self.hook) if self.caller(name).has_spec())


class PluginCaller:
    """Calls one hook of one plugin, inside everybody's wrappers, through pluggy."""

    def __init__(self, registry: Registry, plugin: object, hook: str, wrapper_failed: WrapperFailed) -> None:
        self._registry = registry
        self._plugin = plugin
        self._hook = hook
        self._wrapper_failed = wrapper_failed
        self._epoch = -1
        self._alone: pluggy.HookCaller | None = None

    def __call__(self, **kwargs: Any) -> Any:
        """Call, with all arguments that the hookspec has, and return the implementation's result."""
        if self._epoch != self._registry.epoch:
            self._refresh()
        if self._alone is not None:
            return _only(self._alone(**kwargs))
        return self._wrapped(kwargs, blamed=frozenset())

    def _refresh(self) -> None:
        self._epoch = self._registry.epoch
        implementors, wrappers = self._registry.split(self._hook)
        others = implementors - {self._plugin}
        self._alone = None if wrappers else self._registry.subset_hook_caller(self._hook, others)

    def _wrapped(self, kwargs: dict[str, Any], blamed: frozenset[Any]) -> Any:
        """Call inside the wrappers. One that fails is blamed itself: what it wrapped is called without it."""
        implementors, wrappers = self._registry.split(self._hook)
        watched = _Watched(self._implementation())
        caller = self._registry.subset_hook_caller(self._hook, implementors | blamed)
        try:
            return _only(caller.call_extra([watched.function], kwargs))
        except BaseException as error:
            if error is watched.error:
                raise
            culprit = _culprit(error, wrappers)
            if culprit is None or culprit.plugin in blamed:
                raise
            self._wrapper_failed(culprit.plugin_name, self._hook, error)
            if watched.error is not None:
                raise watched.error from None
            if watched.returned:
                return watched.result
            return self._wrapped(kwargs, blamed | {culprit.plugin})

    def _implementation(self) -> Callable[..., Any]:
        for impl in self._registry.caller(self._hook).get_hookimpls():
            if impl.plugin is self._plugin and not (impl.wrapper or impl.hookwrapper):
                return impl.function
        raise LookupError(f"{self._plugin!r} does not implement {self._hook}")


class _Watched:
    """An implementation that remembers how its call went, whatever the wrappers make of it."""

    def __init__(self, implementation: Callable[..., Any]) -> None:
        self.returned = False
        self.result: Any = None
        self.error: BaseException | None = None

        @functools.wraps(implementation)  # pluggy reads the signature of what is wrapped
        def function(*args: Any, **kwargs: Any) -> Any:
            try:
                self.result = implementation(*args, **kwargs)
            except BaseException as error:
                self.error = error
                raise
            self.returned = True
            return self.result

        self.function = function


def _only(results: Any) -> Any:
    """One plugin was asked, so pluggy's list holds one answer at most; a wrapper may have put anything there."""
    if isinstance(results, list):
        return results[0] if results else None
    return results


def _culprit(error: BaseException, wrappers: tuple[pluggy.HookImpl, ...]) -> pluggy.HookImpl | None:
    """Find the wrapper that an exception came from: the innermost one whose code is on the traceback."""
    by_code = {getattr(inspect.unwrap(impl.function), "__code__", None): impl for impl in wrappers}
    found = None
    trace = error.__traceback__
    while trace is not None:
        found = by_code.get(trace.tb_frame.f_code, found)
        trace = trace.tb_next
    if found is None:  # pluggy's own complaint ("did not yield", "has second yield") names the function only
        found = next((impl for impl in wrappers if impl.function.__name__ in str(error)), None)
    return found
