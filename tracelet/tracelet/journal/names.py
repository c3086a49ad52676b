"""What ids stand for: filled by a reader from the ``name`` and ``columns`` events that it meets."""

from __future__ import annotations

from typing import Any, NamedTuple


class Metric(NamedTuple):
    """What is written once per metric and writer."""

    name: str
    type: str
    source: str | None


class Names:
    """The metrics and columns of one writer by id."""

    def __init__(self) -> None:
        self.metrics: dict[int, Metric] = {}
        self.columns: dict[int, tuple[Metric, ...]] = {}
        self._columns: dict[int, list[int]] = {}

    def learn(self, type_: str, payload: dict[str, Any]) -> bool:
        """Take in an event, and say whether it was about names."""
        if type_ == "name":
            self.metrics[payload["id"]] = Metric(payload["name"], payload["metric"], payload["source"])
        elif type_ == "columns":
            self._columns[payload["id"]] = payload["names"]
        elif type_ == "dictionary":
            for entry in payload["names"]:
                self.learn("name", entry)
            for entry in payload["columns"]:
                self.learn("columns", entry)
        else:
            return False
        return True

    def metric(self, identity: int) -> Metric:
        """Return what an id stands for; one whose name is lost gets a name made up of its id."""
        return self.metrics.get(identity) or Metric(f"unnamed-{identity}", "scalar", None)

    def row(self, identity: int, count: int) -> tuple[Metric, ...]:
        """Return what the columns of a row stand for."""
        known = self.columns.get(identity)
        if known is None or len(known) != count:
            ids = self._columns.get(identity)
            if ids is None or len(ids) != count:
                return tuple(Metric(f"unnamed-row-{identity}/{i}", "scalar", None) for i in range(count))
            known = tuple(self.metric(i) for i in ids)
            if all(i in self.metrics for i in ids):
                self.columns[identity] = known
        return known
