"""Objects for frameworks' own slots, found by name as plugins are."""

from __future__ import annotations

import functools
from typing import Any, Final

__all__ = ["load_integration"]

_GROUP: Final = "tracelet.integrations"


@functools.cache
def load_integration(framework: str) -> Any:
    """Return the object that the entry point of this framework names.

    A capture that puts such an object into the framework's slot records the same as the program that does it itself.

    Raises:
        LookupError: no distribution has one.
    """
    from importlib.metadata import entry_points

    for point in entry_points(group=_GROUP, name=framework):
        return point.load()
    raise LookupError(f"no entry point {framework!r} in the group {_GROUP!r}; install tracelet again")
