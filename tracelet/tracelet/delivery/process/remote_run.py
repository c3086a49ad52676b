"""The run as a plugin in a separate process sees it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracelet.journal import as_number
from tracelet.journal.reading.lifetime import writer_states


class RemoteRun:
    """The run's identity. What the plugin records is sent to the run's process, which writes the journal."""

    def __init__(self, about: Mapping[str, Any], record: Callable[[str, list[Any]], None]) -> None:
        self.id: str = about["id"]
        self.dir: Path = about["dir"]
        self.started_at: float = about["started_at"]
        self.ended_at: float | None = about.get("ended_at")
        self._knows_states = bool(about.get("knows_states"))
        self.is_part = bool(about.get("is_part"))
        self.name: str = about["name"]
        self.project: str = about["project"]
        self._record = record
        self.group: str | None = about.get("group")
        self.parent: str | None = about.get("parent")
        self.job_type: str | None = about.get("job_type")
        self.notes: str | None = about.get("notes")

    @property
    def writer_states(self) -> dict[str, tuple[str, float]] | None:
        """The states of the run's processes, where the run's own process knows them; as they are now."""
        return writer_states(self.dir) if self._knows_states else None

    def learn_changes(self, changes: Mapping[str, Any]) -> None:
        """Take over a new name or project: from the run's process, or from the journal."""
        name, project = changes.get("name"), changes.get("project")
        self.name = name if isinstance(name, str) else self.name
        self.project = project if isinstance(project, str) else self.project
        for key in ("group", "parent", "job_type", "notes"):
            if isinstance(changes.get(key), str):
                setattr(self, key, changes[key] or None)

    def log_metric(self, name: str, value: Any, iteration: int | None = None) -> None:
        """Record one number."""
        self._record("log_metric", [name, as_number(value, name), iteration])

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record many numbers at one step."""
        self._record("log", [dict(metrics), step])

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters."""
        self._record("log_params", [dict(params)])

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Record tags."""
        self._record("set_tags", [dict(tags)])

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        """Copy a file or folder into the run."""
        self._record("log_artifact", [os.path.abspath(local_path), artifact_path])
