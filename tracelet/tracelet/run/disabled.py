"""The run of ``TRACELET_MODE=disabled``: takes every call, records nothing, touches no file, starts no plugin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tracelet.config import Config
from tracelet.journal import Writer, as_number, as_step, flatten
from tracelet.run.folder import new_run_id, runs_folder
from tracelet.run.host import Host
from tracelet.run.run import Run


class NoWriter(Writer):
    """A journal that nothing is written to. Values are still checked: a mistake shows in every mode."""

    def __init__(self) -> None:
        self.id = "none"

    @property
    def recorded(self) -> int:
        """Nothing is."""
        return 0

    @property
    def dropped(self) -> dict[str, int]:
        """Nothing is lost that was meant to be kept."""
        return {}

    def point(
        self, name: str, value: Any, step: Any = None, *, type: str = "scalar", source: str | None = None
    ) -> None:
        """Check a value and let it go."""
        as_number(value, name)
        if step is not None:
            as_step(step, name)

    def row(
        self,
        metrics: Mapping[str, Any],
        step: Any = None,
        *,
        type: str = "scalar",
        source: str | None = None,
    ) -> None:
        """Check values and let them go."""
        for name, value in flatten(metrics).items():
            self.point(name, value, step)

    def event(self, type: str, payload: Mapping[str, Any]) -> None:
        """Let it go."""

    def sync(self) -> None:
        """There is nothing to wait for."""

    def close(self, outcome: str | None = None, error: str | None = None) -> None:
        """There is nothing to close."""


class DisabledRun(Run):
    """A run that records nothing."""

    def __init__(self, config: Config, name: str | None, started_at: float) -> None:
        run_id = new_run_id()
        super().__init__(
            run_id=run_id,
            name=name or run_id,
            run_dir=runs_folder(config.dir) / run_id,
            config=config,
            writer=NoWriter(),
            started_at=started_at,
        )
        self.host = _NoHost(self, config)

    def log_artifact(self, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Copy nothing."""

    def _medium(self, kind: str, name: str, step: int | None, data: bytes, suffix: str) -> None:
        """Write nothing."""

    def add_plugin(self, plugin: Any, config: Mapping[str, Any] | None = None) -> bool:
        """Start nothing."""
        return False


class _NoHost(Host):
    """A host without plugins, which is ready at once."""

    def __init__(self, run: Run, config: Config) -> None:
        super().__init__(run, config, (), None)
        self.asked.set()
        self.ready.set()

    def start(self) -> None:
        """Start nothing."""
