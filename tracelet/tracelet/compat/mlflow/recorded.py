"""Runs of tracelet as MLflow's objects."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any, Final

from tracelet.compat.mlflow.entities import Run, RunData, RunInfo
from tracelet.compat.mlflow.exceptions import missing
from tracelet.compat.mlflow.experiments import experiment_id_of
from tracelet.compat.starting import store_of
from tracelet.errors import StoreError

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord

PARENT: Final = "mlflow.parentRunId"
NOTE: Final = "mlflow.note.content"
STATUSES: Final = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
OUTCOMES: Final = {status: outcome for outcome, status in STATUSES.items()}


def record_of(run_id: str) -> RunRecord:
    """Return the record of a run.

    Raises:
        MlflowException: there is none with this id.
    """
    store = store_of()
    try:
        if store is not None:
            return store.run(run_id)
    except StoreError:
        pass
    raise missing(f"Run with id={run_id} not found")


def run_of(record: RunRecord) -> Run:
    """Return a record as MLflow's run."""
    return Run(info_of(record), data_of(record))


def info_of(record: RunRecord) -> RunInfo:
    """Return what is known of a run besides its data."""
    return RunInfo(
        run_id=record.id,
        experiment_id=experiment_id_of(record.project),
        status=STATUSES.get(record.outcome, "FINISHED"),
        start_time=int(record.started_at * 1000),
        end_time=int(record.ended_at * 1000) if record.ended_at is not None else None,
        artifact_uri=artifact_uri(record.dir),
        run_name=record.name,
        user_id=user(),
    )


def artifact_uri(run_dir: Any) -> str:
    """Return where a run's artifacts are."""
    return str((run_dir / "artifacts").absolute().as_uri())


def data_of(record: RunRecord) -> RunData:
    """Return the last values of the program's metrics, the parameters as texts, and the tags."""
    metrics = {name: float(one["last"]) for name, one in record.summary().items() if one["type"] != "system"}
    about = {PARENT: record.parent, NOTE: record.notes, "mlflow.runName": record.name, "mlflow.user": user()}
    return RunData(
        metrics=metrics,
        params={name: str(value) for name, value in record.params.items()},
        tags={name: str(value) for name, value in {**record.tags, **about}.items() if value is not None},
    )


def user() -> str:
    """Return the user's name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
