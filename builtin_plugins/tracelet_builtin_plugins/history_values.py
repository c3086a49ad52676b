"""What a run of another tracker has recorded, collected while it is read: numbers, texts, and what was lost."""

from __future__ import annotations

import json
from typing import Any, Final

from tracelet_builtin_plugins.numbers import ROUNDED, is_rounded
from tracelet_hookspecs import ImportedFile, ImportedPoints, MetricType

__all__ = ["HistoryValues"]

_LARGEST_TEXTS: Final = 64 << 20  # characters in all
_TEXTS: Final = 10_000  # texts of one metric that are kept


class HistoryValues:
    """The values of one run. Points and damage are taken away part by part; texts are kept until the end."""

    def __init__(self, source: str) -> None:
        """``source`` is the source of metrics that the tracker itself has measured."""
        self._source = source
        self._columns: dict[tuple[str, bool], tuple[list[int], list[float], list[float]]] = {}
        self._texts: dict[str, list[list[Any]]] = {}
        self._room = _LARGEST_TEXTS
        self.damage: dict[str, int] = {}

    def count(self, reason: str, count: int = 1) -> None:
        """Count what could not be read as it is."""
        self.damage[reason] = self.damage.get(reason, 0) + count

    def add(self, name: str, step: int, value: float, when: float, *, is_system: bool = False) -> None:
        """Add a number. Raises ``OverflowError`` for one that no float64 can hold."""
        number = float(value)
        if is_rounded(value):
            self.count(ROUNDED)
        steps, values, times = self._columns.setdefault((name, is_system), ([], [], []))
        steps.append(step)
        values.append(number)
        times.append(when)

    def add_text(self, name: str, step: int, value: Any) -> None:
        """Add a text, or anything else that JSON can hold, as its JSON."""
        texts = self._texts.setdefault(name, [])
        text = value if isinstance(value, str) else json.dumps(value)
        self._room -= len(text)
        if len(texts) < _TEXTS and self._room > 0:
            texts.append([step, text])
        else:
            self.count("texts beyond the first 10000")

    def take_points(self) -> list[ImportedPoints]:
        """Return the points since the last call."""
        columns, self._columns = self._columns, {}
        return [
            ImportedPoints(name, *three, MetricType.SYSTEM, self._source)
            if is_system
            else ImportedPoints(name, *three)
            for (name, is_system), three in columns.items()
        ]

    def take_damage(self) -> dict[str, int]:
        """Return the counts since the last call."""
        damage, self.damage = self.damage, {}
        return damage

    def tables(self) -> list[ImportedFile]:
        """Return the texts, a table for each name."""
        about: dict[str, Any] = {"kind": "table", "suffix": ".table.json"}
        return [
            ImportedFile(name, data=json.dumps({"columns": ["step", "text"], "rows": rows}).encode(), **about)
            for name, rows in self._texts.items()
        ]
