"""Call a function once the program has imported a module. Nothing is imported that the program does not import."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

__all__ = ["when_imported"]

Action = Callable[[ModuleType], None]

_lock: Final = threading.RLock()
_watches: dict[str, list[_Watch]] = {}  # by module


def when_imported(module: str, action: Action) -> Callable[[], None]:
    """Call ``action`` with the module as soon as it has been imported: now, if it is loaded already.

    It is called on the thread that imports the module, or on the caller's; again if the module is reloaded. What it
    raises is dropped. Returns a function that ends the watch.
    """
    watch = _Watch(module, action)
    with _lock:
        _watches.setdefault(module, []).append(watch)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
    loaded = sys.modules.get(module)
    if loaded is not None and not _is_loading(loaded):
        watch.call(loaded)
    elif loaded is not None:
        threading.Thread(target=watch.wait, name="tracelet capture", daemon=True).start()
    return watch.end


def _is_loading(module: ModuleType) -> bool:
    return getattr(getattr(module, "__spec__", None), "_initializing", False) is True


class _Watch:
    """One action that waits for a module."""

    def __init__(self, module: str, action: Action) -> None:
        self.module = module
        self._action = action
        self._is_over = False

    def call(self, module: ModuleType) -> None:
        """Call the action, unless the watch has ended. Nothing that it raises may reach the program's import."""
        if not self._is_over:
            with contextlib.suppress(Exception):
                self._action(module)

    def wait(self) -> None:
        """Wait until another thread has finished the import that it has begun."""
        with contextlib.suppress(Exception):  # it fails for the thread that imports it as well
            self.call(importlib.import_module(self.module))

    def end(self) -> None:
        """End the watch. The finder is removed with the last one."""
        self._is_over = True
        with _lock:
            waiting = _watches.get(self.module, [])
            if self in waiting:
                waiting.remove(self)
            if not waiting:
                _watches.pop(self.module, None)
            if not _watches and _finder in sys.meta_path:
                sys.meta_path.remove(_finder)


class _Finder:
    """Finds watched modules by asking the finders behind it, and puts its loader in front of theirs."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a watched module, ``None`` for any other."""
        if fullname not in _watches:
            return None
        finders = list(sys.meta_path)
        behind = finders[finders.index(self) + 1 :] if self in finders else finders
        for finder in behind:
            spec = finder.find_spec(fullname, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """Loads a module by its own loader, and then calls what waits for it. It leaves no trace on the module."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as its own loader does."""
        spec.loader = self._loader
        created: ModuleType | None = self._loader.create_module(spec)
        spec.loader = self  # type: ignore[assignment]  # by which the import system executes the module
        return created

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, and call what waits for it."""
        spec = module.__spec__
        for holder, name in ((spec, "loader"), (module, "__loader__")):
            with contextlib.suppress(AttributeError):
                setattr(holder, name, self._loader)
        self._loader.exec_module(module)
        name = module.__name__
        for watch in list(_watches.get(name, ())):
            watch.call(sys.modules.get(name, module))  # some modules replace themselves

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_finder: Final[Any] = _Finder()
