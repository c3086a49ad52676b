"""``Experiment``: a run as an object that is started and stopped, and has a current iteration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from tracelet.compat.offered import note_once
from tracelet.compat.original import capture
from tracelet.compat.original.settings import (
    ExperimentConfig,
    backend_names,
    merge,
    read_config,
    server_settings,
)
from tracelet.compat.original.typed_artifacts import Artifact, ArtifactCalls, ArtifactType
from tracelet.errors import NoActiveRunError
from tracelet.run import Run, active_run, start_run
from tracelet.run.run import outcome_of

__all__ = ["ArtifactType", "Experiment", "ExperimentConfig"]


class Experiment(ArtifactCalls):
    """A run that begins with ``start()`` and ends with ``stop()`` or ``end()``, or with a ``with`` block.

    ``backend`` names one backend or several, ``tags`` are names, ``automagic`` switches all framework plugins on.
    """

    def __init__(
        self,
        name: str,
        config: ExperimentConfig | Mapping[str, Any] | None = None,
        backend: str | Sequence[str] | None = None,
        tags: Sequence[str] | Mapping[str, Any] | None = None,
        automagic: bool | None = None,
        automagic_config: Any = None,
        artifacts: bool | None = None,
        automagic_artifacts: bool | None = None,
        *,
        project: str | None = None,
        api_key: str | None = None,
        backend_url: str | None = None,
    ) -> None:
        if automagic_artifacts:
            note_once(
                "Experiment: automagic_artifacts makes no difference; framework plugins keep checkpoints"
            )
        self.name = name
        self.config = read_config(config)
        self.backends = backend_names(backend)
        self._tags = tags
        self._project = project
        self._automagic = bool(automagic) or self.config.enable_automagic
        self._server = server_settings(self.backends, backend_url, api_key)
        self._run: Run | None = None
        self._iteration = 0

    # -- the run ----------------------------------------------------------------------------------------

    @property
    def run(self) -> Run:
        """The run.

        Raises:
            NoActiveRunError: the experiment was not started.
        """
        if self._run is None:
            raise NoActiveRunError(f"experiment {self.name!r} is not started; call experiment.start() first")
        return self._run

    @property
    def id(self) -> str:
        """The id of the run."""
        return self.run.id

    @property
    def is_active(self) -> bool:
        """Whether it is started and not stopped."""
        return self._run is not None and self._run.outcome is None

    def start(self) -> Experiment:
        """Start the run. A second call does nothing."""
        if not self.is_active:
            settings = merge(
                self.config.settings(), self._server, {"automagic": True} if self._automagic else {}
            )
            self._run = start_run(
                self.name,
                project=self._project,
                tags=self._tags,
                plugins=[*self.backends, *self.config.plugins()],
                config=settings or None,
            )
        return self

    def stop(self) -> None:
        """End the run. A second call does nothing."""
        if self._run is not None:
            self._run.finish()

    end = stop

    def __enter__(self) -> Experiment:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome, text = outcome_of(error)
        self.run.finish(outcome, error=text)

    # -- recording --------------------------------------------------------------------------------------

    @property
    def iteration(self) -> int:
        """The iteration of metrics that are logged without one."""
        return self._iteration

    def set_iteration(self, iteration: int) -> None:
        """Set the iteration of metrics that are logged without one."""
        self._iteration = int(iteration)

    def log_metric(self, name: str, value: Any, iteration: int | None = None) -> None:
        """Record a number, at the current iteration if none is given."""
        if iteration is not None and iteration > self._iteration:
            self._iteration = int(iteration)
        self.run.log_metric(name, value, self._iteration if iteration is None else iteration)

    def log_metrics(self, metrics: Mapping[str, Any], iteration: int | None = None) -> None:
        """Record several numbers, at the current iteration if none is given."""
        self.run.log(metrics, self._iteration if iteration is None else iteration)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters."""
        self.run.log_params(params)

    def log_hyperparameter(self, name: str, value: Any) -> None:
        """Record one parameter."""
        self.run.log_params({name: value})

    def set_tags(self, tags: Mapping[str, Any] | Sequence[str]) -> None:
        """Record tags."""
        self.run.set_tags(tags)

    def log_artifact(self, local_path: Any, artifact_path: str | None = None) -> Any:
        """Record a typed artifact, or a file or folder."""
        if isinstance(local_path, Artifact):
            return self.log_typed(local_path)
        self.run.log_artifact(local_path, artifact_path)
        return None

    def capture_hyperparams(self, *objects: Any, **more: Any) -> dict[str, Any]:
        """Record the caller's hyperparameters. See :func:`tracelet.capture_hyperparams`."""
        return capture.record_hyperparams(self.run, capture.caller(), objects, more)

    def capture_model(self, model: Any, name: str = "model", **more: Any) -> dict[str, Any]:
        """Record what a model is made of. See :func:`tracelet.capture_model`."""
        return capture.record_model(self.run, model, name, more)

    def capture_dataset(self, dataset: Any, name: str = "dataset", **more: Any) -> dict[str, Any]:
        """Record the size and shapes of a data set. See :func:`tracelet.capture_dataset`."""
        return capture.record_dataset(self.run, dataset, name, more)

    def __repr__(self) -> str:
        return f"<Experiment {self.name}, {'active' if self.is_active else 'not active'}>"


def experiment_of(run: Run) -> Experiment:
    """Return a run that was started in another way as an experiment."""
    experiment = Experiment(run.name)
    experiment._run = run
    return experiment


def run_for(call: str) -> Run:
    """Return the active run.

    Raises:
        NoActiveRunError: there is none.
    """
    run = active_run()
    if run is None:
        raise NoActiveRunError(
            f"tracelet.{call}: no run is active; call tracelet.start_logging() or start_run() first"
        )
    return run
