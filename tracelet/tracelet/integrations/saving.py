"""Keeps the files that a model's own methods save during a training."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from tracelet_hookspecs import suspend_captures

if TYPE_CHECKING:
    from tracelet.integrations.joining import JoinedRun


class SavedFiles:
    """Records as artifacts what a model saves while it is watched: checkpoint callbacks save through the model.

    The model's methods are wrapped on this one object, and are its class's again afterwards.
    """

    def __init__(self, joined: JoinedRun, folder: str, framework: str) -> None:
        self._joined = joined
        self._folder = folder
        self._framework = framework  # whose capture would keep the same files
        self._watched: list[tuple[Any, str]] = []
        self._depth = 0

    def watch(self, model: Any, methods: Sequence[str]) -> None:
        """Wrap these methods, whose first argument is a path."""
        self.unwatch()
        for name in methods:
            original = getattr(model, name, None)
            if callable(original):
                object.__setattr__(model, name, _SavingMethod(self, model, name, original))
                self._watched.append((model, name))

    def unwatch(self) -> None:
        """Restore the methods."""
        while self._watched:
            model, name = self._watched.pop()
            with contextlib.suppress(AttributeError):
                object.__delattr__(model, name)

    def save(self, original: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a method that saves, and record the file unless it saves through another one."""
        self._depth += 1
        try:
            with suspend_captures(self._framework):
                result = original(*arguments, **named)
        finally:
            self._depth -= 1
        if not self._depth:
            path = arguments[0] if arguments else next(iter(named.values()), None)
            self._joined.log_artifact(path, self._folder)
        return result

    def __getstate__(self) -> dict[str, Any]:
        return {
            "_joined": self._joined,
            "_folder": self._folder,
            "_framework": self._framework,
            "_watched": [],
            "_depth": 0,
        }

    def __deepcopy__(self, memo: Any) -> SavedFiles:
        from copy import deepcopy

        return SavedFiles(deepcopy(self._joined, memo), self._folder, self._framework)


class _SavingMethod:
    """Stands in for a method of one object. A pickle of that object holds the method itself in its place."""

    def __init__(self, files: SavedFiles, model: Any, name: str, original: Any) -> None:
        self._files, self._model, self._name, self._original = files, model, name, original
        update_wrapper(self, original)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._files.save(self._original, arguments, named)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._model, self._name)
