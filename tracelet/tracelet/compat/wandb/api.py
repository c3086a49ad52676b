"""``wandb.Api``: runs and artifacts of the data folder, as W&B's reading calls show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tracelet.compat.starting import store_of
from tracelet.compat.wandb.errors import CommError

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord

_STATES = {"running": "running", "finished": "finished", "failed": "failed", "killed": "killed"}


class Run:
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

    def logged_artifacts(self) -> list[Any]:
        """Return the artifacts that the run has logged."""
        from tracelet.compat.wandb.artifact_records import _all, _load

        return [_load(one) for one in _all(None) if one.run_id == self.id]

    def __repr__(self) -> str:
        return f"<Run {self.project}/{self.id} ({self.state})>"


class Api:
    """Reads what runs have recorded."""

    def __init__(
        self, overrides: Mapping[str, Any] | None = None, timeout: int | None = None, api_key: Any = None
    ) -> None:
        self._overrides = dict(overrides or {})
        self.default_entity = self._overrides.get("entity", "")

    def run(self, path: str = "") -> Run:
        """Return one run, by ``ENTITY/PROJECT/ID``, its id or its name.

        Raises:
            CommError: there is none.
        """
        from tracelet.errors import StoreError

        store = store_of()
        try:
            if store is None:
                raise StoreError("nothing has been recorded here")
            return Run(store.run(path.strip("/").rpartition("/")[2] or "latest"))
        except StoreError as error:
            raise CommError(f"wandb.Api: run {path!r}: {error}") from None

    def runs(
        self, path: str | None = None, filters: Any = None, order: str = "+created_at", **_: Any
    ) -> list[Run]:
        """Return the runs of a project, the oldest first (``order="-created_at"``: the newest).

        Raises:
            CommError: ``filters`` is given: ``tracelet.open_store().runs(where=...)`` filters.
        """
        if filters:
            raise CommError(
                "wandb.Api.runs: filters are not offered; use tracelet.open_store().runs(where=...)"
            )
        store = store_of()
        project = (path or "").strip("/").rpartition("/")[2] or None
        found = store.runs(project) if store is not None else []
        return [Run(record) for record in (found if order.startswith("-") else reversed(found))]

    def artifact(self, name: str, type: str | None = None) -> Any:
        """Return an artifact that a run has logged."""
        from tracelet.compat.wandb.artifact_records import find_artifact

        return find_artifact(name, None, None, type)

    def flush(self) -> None:
        """Do nothing: nothing is kept between calls."""
