"""``run.summary``: the last value of each metric, and what the program sets itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tracelet.compat.wandb.attribute_values import AttributeValues

KINDS: Final = ("min", "max", "mean", "first", "last", "best", "copy", "none")


class Summary(AttributeValues):
    """A mapping that also has its values as attributes. What the program sets is recorded."""

    def __init__(self, record: Callable[[str, Any], None]) -> None:
        super().__init__(record)
        object.__setattr__(self, "_kinds", {})
        object.__setattr__(self, "_counts", {})
        object.__setattr__(self, "_own", set())  # names whose value the program has set
        object.__setattr__(self, "_replaced", set())  # names that were logged before the program set them

    def note(self, row: Mapping[str, Any]) -> None:
        """Take over the values of a row that was logged."""
        if not self._kinds and not self._own:
            self._values.update(row)
            return
        for name, value in row.items():
            if name in self._own:
                self._own.discard(name)
            kinds = self._kinds.get(name)
            if kinds is None:
                self._values[name] = value
            elif "none" not in kinds:
                self._values[name] = self._reduced(name, value, kinds)

    def was_logged(self, name: str) -> bool:
        """Return whether a metric of this name was logged."""
        return name in self._replaced or (name in self._values and name not in self._own)

    def define(self, name: str, kinds: list[str]) -> None:
        """Keep the least, greatest, ... value of a metric instead of the last one."""
        self._kinds[name] = kinds

    def _reduced(self, name: str, value: Any, kinds: list[str]) -> Any:
        old = self._values.get(name)
        known = old if isinstance(old, dict) else {}
        count = self._counts[name] = self._counts.get(name, 0) + 1
        new = {
            "min": min(known.get("min", value), value),
            "max": max(known.get("max", value), value),
            "mean": (known.get("mean", 0.0) * (count - 1) + value) / count,
            "first": known.get("first", value),
            "last": value,
        }
        new["best"] = new["min"]
        kept = {kind: new[kind] for kind in kinds if kind in new}
        return kept or value

    def update(self, d: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Set values."""
        for key, value in {**(d or {}), **more}.items():
            self[key] = value

    _as_dict = AttributeValues.as_dict

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self._values and key not in self._own:
            self._replaced.add(key)
        self._values[key] = value
        self._own.add(key)
        self._record(key, value)

    def __delitem__(self, key: str) -> None:
        del self._values[key]
