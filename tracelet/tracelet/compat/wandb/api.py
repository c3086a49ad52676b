"""``wandb.Api``: runs and artifacts of the data folder, as W&B's reading calls show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.compat.starting import store_of
from tracelet.compat.wandb.artifact_records import artifacts_of, find_artifact
from tracelet.compat.wandb.errors import CommError
from tracelet.compat.wandb.recorded_runs import RecordedRun, find_record

__all__ = ["Api", "Run"]


class Run(RecordedRun):
    """A recorded run, with its artifacts."""

    def logged_artifacts(self) -> list[Any]:
        """Return the artifacts that the run has logged."""
        return artifacts_of(self.id)


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
        return Run(find_record(path))

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
        return find_artifact(name, None, None, type)

    def flush(self) -> None:
        """Do nothing: nothing is kept between calls."""
