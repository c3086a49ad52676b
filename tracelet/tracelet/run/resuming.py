"""Which run a process records into: a new one, one to be resumed, or the one that its job shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from tracelet.config import Config
from tracelet.errors import UsageError
from tracelet.run.folder import check_run_id, new_run_id, runs_folder


class Place(NamedTuple):
    """Where a process records, and what is known of the run so far."""

    run_id: str
    name: str | None = None
    resumed: bool = False
    last_steps: dict[str, int] | None = None
    job: dict[str, Any] = {}

    @property
    def last_step(self) -> int | None:
        """The largest step recorded so far, or ``None`` in a new run."""
        return max(self.last_steps.values(), default=None) if self.last_steps else None


def place(config: Config, name: str | None) -> Place:
    """Find the run to record into.

    Raises :class:`UsageError` for an id whose run has ended, unless it is to be resumed.
    """
    runs = runs_folder(config.dir)
    if config.run_id is not None:
        run_id = check_run_id(config.run_id)
        if not (runs / run_id).exists():
            return Place(run_id)
        if config.resume:
            return _resumed(runs / run_id)
        if _is_running(runs / run_id):
            return Place(run_id, name=_recorded(runs / run_id).get("name"))
        raise UsageError(
            f"run_id: run {run_id!r} exists and has ended; pass resume=True (TRACELET_RESUME=1) to continue it,"
            " or another id"
        )
    if config.resume and (latest := _latest(runs, config.project, name)) is not None:
        return _resumed(latest)
    return Place(new_run_id())


def _latest(runs: Path, project: str, name: str | None) -> Path | None:
    """Return the newest run of a project (of a name), or ``None``."""
    folders = sorted(runs.iterdir(), reverse=True) if runs.is_dir() else []
    for folder in folders:
        recorded = _recorded(folder)
        if recorded.get("project") == project and name in (None, recorded.get("name")):
            return folder
    return None


def _resumed(run_dir: Path) -> Place:
    from tracelet.journal import read_columns

    steps = {
        name: max(columns.steps) for name, columns in read_columns(run_dir).items() if len(columns.steps)
    }
    recorded = _recorded(run_dir)
    return Place(run_dir.name, recorded.get("name"), True, {name: int(step) for name, step in steps.items()})


def _recorded(run_dir: Path) -> dict[str, Any]:
    """Return what a run's journal says of the run itself; the latest word counts."""
    from tracelet.journal import read_events

    recorded: dict[str, Any] = {}
    for event in read_events(run_dir):
        if event.type == "writer":
            recorded = {**(event.payload.get("run") or {}), **recorded}
        elif event.type == "run":
            recorded.update(event.payload)
    return recorded


def _is_running(run_dir: Path) -> bool:
    from tracelet.journal import liveness, writers

    states = [liveness(run_dir, writer) for writer in writers(run_dir)]
    return not states or "running" in states
