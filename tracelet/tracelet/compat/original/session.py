"""The functions of the first API: one experiment for the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracelet.compat.original import capture
from tracelet.compat.original.experiment import Experiment, experiment_of, run_for
from tracelet.compat.original.settings import ExperimentConfig
from tracelet.compat.original.typed_artifacts import Artifact, ArtifactType, create_artifact
from tracelet.run import active_run

__all__ = [
    "Artifact",
    "ArtifactType",
    "Experiment",
    "ExperimentConfig",
    "capture_dataset",
    "capture_hyperparams",
    "capture_model",
    "create_artifact",
    "get_active_experiment",
    "start_logging",
    "stop_logging",
]

_session: list[Experiment] = []


def start_logging(
    exp_name: str | None = None,
    project: str | None = None,
    backend: str | Sequence[str] | None = None,
    api_key: str | None = None,
    backend_url: str | None = None,
    config: ExperimentConfig | Mapping[str, Any] | None = None,
    *,
    tags: Sequence[str] | Mapping[str, Any] | None = None,
    automagic: bool | None = None,
) -> Experiment:
    """Start an experiment for the program and return it. An earlier one that is still going on ends.

    Args:
        exp_name: its name. project: what it belongs to. backend: one backend or several that receive what is recorded.
        api_key: the key of the backend's server. backend_url: its address. config: what is recorded by itself.
        tags: names. automagic: whether to capture what the training frameworks report.
    """
    stop_logging()
    experiment = Experiment(
        exp_name or "",
        config,
        backend,
        tags,
        automagic,
        project=project,
        api_key=api_key,
        backend_url=backend_url,
    )
    _session[:] = [experiment.start()]
    return experiment


def get_active_experiment() -> Experiment | None:
    """Return the experiment that is going on, or None; a run that was started otherwise counts, too."""
    if _session and _session[0].is_active:
        return _session[0]
    run = active_run()
    return experiment_of(run) if run is not None else None


def stop_logging() -> None:
    """End the program's experiment, if there is one."""
    for experiment in _session:
        experiment.stop()
    _session.clear()


def capture_hyperparams(*objects: Any, **more: Any) -> dict[str, Any]:
    """Record hyperparameters and return them.

    Without arguments, they are the caller's variables whose names say that they are hyperparameters
    (``learning_rate``, ``batch_size``, ``num_layers``, ...) and whose values are numbers, texts or booleans. Given are
    mappings or objects of settings, such as ``argparse``'s namespace, and names with values.
    """
    return capture.record_hyperparams(run_for("capture_hyperparams"), capture.caller(), objects, more)


def capture_model(model: Any, name: str = "model", **more: Any) -> dict[str, Any]:
    """Record a model's class, numbers of parameters and layers as parameters, its architecture as a text.

    Takes models of PyTorch, Keras and scikit-learn; of others, the class. Returns what was recorded.
    """
    return capture.record_model(run_for("capture_model"), model, name, more)


def capture_dataset(dataset: Any, name: str = "dataset", **more: Any) -> dict[str, Any]:
    """Record a data set's size, shapes, types and columns as parameters, and return them.

    Takes arrays, data frames, data sets and loaders of PyTorch, and whatever has a length.
    """
    return capture.record_dataset(run_for("capture_dataset"), dataset, name, more)
