"""A mapping that also has its values as attributes, as ``run.config`` and ``run.summary`` are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class AttributeValues:
    """Values by name. What sets one is up to the subclass, in ``__setitem__``."""

    def __init__(self, record: Callable[..., None]) -> None:
        # Every other attribute is a value.
        object.__setattr__(self, "_record", record)
        object.__setattr__(self, "_values", {})

    def as_dict(self) -> dict[str, Any]:
        """Return the values as a dict."""
        return dict(self._values)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or ``default``."""
        return self._values.get(key, default)

    def keys(self) -> Any:
        """Return the names."""
        return self._values.keys()

    def values(self) -> Any:
        """Return the values."""
        return self._values.values()

    def items(self) -> Any:
        """Return names and values."""
        return self._values.items()

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        raise NotImplementedError

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__") or key not in self._values:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")
        return self._values[key]

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)
