"""The run of ``TRACELET_MODE=disabled``: takes every call, records nothing, touches no file, starts no plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.config import Config
from tracelet.run.folder import new_run_id, runs_folder
from tracelet.run.null_writer import NullWriter
from tracelet.run.plugins import RunPlugins
from tracelet.run.run import Run


class DisabledRun(Run):
    """A run that records nothing."""

    def __init__(self, config: Config, name: str | None, started_at: float) -> None:
        run_id = new_run_id()
        super().__init__(
            run_id=run_id,
            name=name or run_id,
            run_dir=runs_folder(config.dir) / run_id,
            config=config,
            writer=NullWriter(),
            started_at=started_at,
        )
        self._records = False  # media and artifacts are left alone too
        self.host = _NoPlugins(self, config)

    def add_plugin(self, plugin: Any, config: Mapping[str, Any] | None = None) -> bool:
        """Start nothing."""
        return False


class _NoPlugins(RunPlugins):
    """A host without plugins, which is ready at once."""

    def __init__(self, run: Run, config: Config) -> None:
        super().__init__(run, config, (), None)
        self.asked.set()
        self.ready.set()

    def start(self) -> None:
        """Start nothing."""
