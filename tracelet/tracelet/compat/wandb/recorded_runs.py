"""Recorded runs as ``wandb.Api`` shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tracelet.compat.starting import store_of
from tracelet.compat.wandb.errors import CommError
from tracelet.errors import StoreError

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord

_STATES = {"running": "running", "finished": "finished", "failed": "failed", "killed": "killed"}


class RecordedRun:
    """A recorded run."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.id = record.id
        self.name = record.name
        self.project = record.project
        self.state = _STATES.get(record.outcome, record.outcome)
        self.config = dict(record.params)
        self.tags = [name for name, value in record.tags.items() if value == ""]
        self.metadata = record.facts.get("environment", {})

    @property
    def summary(self) -> dict[str, Any]:
        """The last value of each metric that the program has recorded."""
        own = [series for series in self.record.series() if series.type != "system"]
        return {series.name: series.summary["last"] for series in own}

    @property
    def summary_metrics(self) -> dict[str, Any]:
        """The same as ``summary``."""
        return self.summary

    def scan_history(
        self, keys: list[str] | None = None, page_size: int = 1000, **_: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield a row for each step; with ``keys``, only the rows that have all of them."""
        rows: dict[int, dict[str, Any]] = {}
        for series in self.record.series():
            if series.type != "system" and (keys is None or series.name in keys):
                for step, value, time in zip(
                    series.iterations, series.values, series.timestamps, strict=True
                ):
                    row = rows.setdefault(int(step), {"_step": int(step)})
                    row[series.name] = float(value)
                    row.setdefault("_timestamp", float(time))
        for _step, row in sorted(rows.items()):
            if keys is None or all(key in row or key.startswith("_") for key in keys):
                yield row

    def history(self, samples: int = 500, keys: list[str] | None = None, x_axis: str = "_step", pandas: bool = True,
                stream: str = "default") -> Any:  # fmt: skip
        """Return the rows, as a DataFrame or a list."""
        rows = list(self.scan_history(keys))
        if not pandas:
            return rows
        import pandas as pd

        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return f"<Run {self.project}/{self.id} ({self.state})>"


def find_record(path: str) -> RunRecord:
    """Return one run, by ``ENTITY/PROJECT/ID``, its id or its name.

    Raises:
        CommError: there is none.
    """
    store = store_of()
    try:
        if store is None:
            raise StoreError("nothing has been recorded here")
        return store.run(path.strip("/").rpartition("/")[2] or "latest")
    except StoreError as error:
        raise CommError(f"wandb.Api: run {path!r}: {error}") from None


def find_recorded_run(path: str) -> RecordedRun:
    """Return one run. Raises as :func:`find_record`."""
    return RecordedRun(find_record(path))
