"""``define_metric``: the steps of metrics that have another metric as their x-axis, and what summaries keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tracelet.compat.wandb.errors import Error
from tracelet.compat.wandb.summary_values import KINDS, Summary


class MetricDefinition(NamedTuple):
    """What ``define_metric`` returns."""

    name: str
    step_metric: str | None = None
    summary: str | None = None
    goal: str | None = None


class Axes:
    """Knows which step each metric of a row has."""

    def __init__(self, summary: Summary) -> None:
        self.definitions: dict[str, MetricDefinition] = {}
        self._summary = summary
        self._steps: dict[str, int] = {}  # the latest value of each metric that is an x-axis
        self._found: dict[str, MetricDefinition | None] = {}

    def define(self, name: str, step_metric: Any, summary: str | None, goal: str | None) -> MetricDefinition:
        """Add a definition.

        Raises:
            Error: the name is empty, a pattern has its star elsewhere, or the summary is unknown.
        """
        if not name or not isinstance(name, str):
            raise Error("define_metric() requires non-empty name argument")
        if "*" in name[:-1]:
            raise Error("Unhandled define_metric() arg: name (glob suffixes only)")
        kinds = [kind.strip().lower() for kind in (summary or "").split(",") if kind.strip()]
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise Error(f"Unhandled define_metric() arg: summary op: {unknown[0]}; known: {', '.join(KINDS)}")
        axis = getattr(step_metric, "name", step_metric)
        definition = MetricDefinition(name, axis, summary, goal)
        self.definitions[name] = definition
        self._found.clear()
        if kinds and not name.endswith("*"):
            self._summary.define(name, kinds)
        return definition

    def _definition_of(self, name: str) -> MetricDefinition | None:
        if name not in self._found:
            patterns = [key for key in self.definitions if key.endswith("*") and name.startswith(key[:-1])]
            best = name if name in self.definitions else max(patterns, key=len, default=None)
            found = self._found[name] = self.definitions[best] if best is not None else None
            if found is not None and found.summary and best != name:
                self._summary.define(name, [kind.strip().lower() for kind in found.summary.split(",")])
        return self._found[name]

    def place(self, numbers: Mapping[str, Any], step: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the parts of a row, each with its step: the x-axis's value, if that is a whole number."""
        rows: dict[int, dict[str, Any]] = {}
        for name, value in numbers.items():
            rows.setdefault(self.step_of(name, numbers, step), {})[name] = value
        yield from rows.items()

    def step_of(self, name: str, numbers: Mapping[str, Any], step: int) -> int:
        """Return the step of one metric of a row."""
        definition = self._definition_of(name) if self.definitions else None
        axis = definition.step_metric if definition is not None else None
        if axis is None or axis == name:
            return step
        if axis in numbers:
            value = float(numbers[axis])
            if not value.is_integer():
                return step
            self._steps[axis] = int(value)
        return self._steps.get(axis, step)
