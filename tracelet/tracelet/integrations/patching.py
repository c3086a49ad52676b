"""Replaces attributes for a while, and restores them."""

from __future__ import annotations

import sys
from typing import Any, Final

_NOTHING: Final = object()


class Patches:
    """What was replaced, and by what."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []  # owner, name, original, replacement

    def replace(self, owner: Any, name: str, new: Any) -> None:
        """Replace an attribute of a class or module. A class that inherits it gets one of its own."""
        original = vars(owner).get(name, _NOTHING)
        setattr(owner, name, new)
        self._replaced.append((owner, name, original, new))

    def replace_function(self, function: Any, new: Any) -> None:
        """Replace a function in all modules that have it under its name, those included that imported it by name."""
        name = function.__name__
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get(name) is function:
                self.replace(module, name, new)

    def undo(self) -> None:
        """Restore everything, except what was replaced again by others since."""
        while self._replaced:
            owner, name, original, new = self._replaced.pop()
            if vars(owner).get(name) is not new:
                continue
            if original is _NOTHING:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
