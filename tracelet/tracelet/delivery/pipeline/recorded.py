"""A run of which only the journal is left, as the hooks of a backend see it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.errors import UsageError
from tracelet.journal import liveness, read_events, writers

log = logging.getLogger("tracelet.delivery")

RUNNING: Final = "running"
KILLED: Final = "killed"


class RecordedRun:
    """Who a run is, read from its journal. What a plugin records into it is not kept: the run is over."""

    def __init__(self, run_dir: Path) -> None:
        """Read it. Raises :class:`~tracelet.errors.UsageError` where there is no journal."""
        self.dir = run_dir
        self.id, self.name, self.project = run_dir.name, run_dir.name, ""
        self.started_at = 0.0
        self._ended: str | None = None
        events = read_events(run_dir)
        if not events:
            raise UsageError(f"{run_dir}: expected the folder of a run, found no journal in it")
        for event in events:
            self._learn(event.type, event.payload, event.time)

    def _learn(self, type: str, payload: Mapping[str, Any], time: float) -> None:
        about = payload.get("run", {}) if type == "writer" else payload if type == "run" else {}
        self.id = about.get("id", self.id)
        self.name = about.get("name", self.name)
        self.project = about.get("project", self.project)
        if type == "writer":
            self.started_at = min(self.started_at or time, time)
        elif type == "outcome" and payload.get("outcome"):
            self._ended = str(payload["outcome"])

    @property
    def outcome(self) -> str:
        """``running``, what the run ended as, or ``killed`` where it did not come to say."""
        alive = any(liveness(self.dir, writer) == RUNNING for writer in writers(self.dir))
        return RUNNING if alive else self._ended or KILLED

    def log_metric(self, name: str, value: Any, iteration: int | None = None) -> None:
        """Record nothing."""
        self._refuse("log_metric")

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record nothing."""
        self._refuse("log")

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record nothing."""
        self._refuse("log_params")

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Record nothing."""
        self._refuse("set_tags")

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        """Record nothing."""
        self._refuse("log_artifact")

    def _refuse(self, what: str) -> None:
        log.info("run %s: %s left out, since what was recorded earlier is being delivered", self.id, what)
