"""The run as backends and processors receive it: it records nothing while one of their data hooks runs.

Whatever a data hook recorded would pass through the same hook, which would record again, in an endless loop. A thread
that is started in a data hook counts as part of it; one that was started earlier does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracelet.host.leftovers import current_owner, current_step
from tracelet.logs import get_logger
from tracelet_hookspecs import BACKEND_HOOKS, RunView

log = get_logger("tracelet.delivery")

#: Hooks in which nothing may be recorded.
DATA_HOOKS = (*BACKEND_HOOKS, "process_metric")
_warned: set[tuple[str, str, str]] = set()  # run, plugin, method


class GuardedRun:
    """A view of a run that refuses to record from within a data hook, and otherwise behaves like the run."""

    def __init__(self, run: RunView) -> None:
        self._run = run

    @property
    def id(self) -> str:
        """The run's identifier."""
        return self._run.id

    @property
    def name(self) -> str:
        """The run's display name."""
        return self._run.name

    @property
    def project(self) -> str:
        """The project that the run belongs to."""
        return self._run.project

    @property
    def dir(self) -> Path:
        """The run's folder."""
        return self._run.dir

    @property
    def started_at(self) -> float:
        """When the run started, in seconds since the epoch."""
        return self._run.started_at

    @property
    def script(self) -> Path | None:
        """The file that the program was started with, if this is the program's process."""
        return getattr(self._run, "script", None)

    @property
    def ended_at(self) -> float | None:
        """When the run ended, as far as its journal says; ``None`` while its own process delivers."""
        return getattr(self._run, "ended_at", None)

    def log_metric(self, name: str, value: Any, iteration: int | None = None, **more: Any) -> None:
        """Record one number."""
        if self._may_record("log_metric"):
            self._run.log_metric(name, value, iteration, **more)

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record many numbers at one step."""
        if self._may_record("log"):
            self._run.log(metrics, step)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters."""
        if self._may_record("log_params"):
            self._run.log_params(params)

    def set_tags(self, tags: Any) -> None:
        """Record tags."""
        if self._may_record("set_tags"):
            self._run.set_tags(tags)

    def log_artifact(self, local_path: Any, artifact_path: str | None = None) -> None:
        """Copy a file or folder into the run."""
        if self._may_record("log_artifact"):
            self._run.log_artifact(local_path, artifact_path)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._run, name)
        if name.startswith("log_") or name == "rename":
            return value if self._may_record(name) else _record_nothing
        return value

    def __repr__(self) -> str:
        return repr(self._run)

    def _may_record(self, method: str) -> bool:
        step = current_step()
        if step not in DATA_HOOKS:
            return True
        plugin = current_owner()
        if (self._run.id, plugin, method) not in _warned:
            _warned.add((self._run.id, plugin, method))
            log.warning(
                "plugin %r: %s was called in the hook %s and records nothing, because the record would pass through"
                " that hook again, in an endless loop; record from run_started, or from a thread that start() has"
                " started",
                *(plugin, method, step),
            )
        return False


def _record_nothing(*arguments: Any, **more: Any) -> None:
    """Stand in for a recording method within a data hook."""
