"""Experiments, which are projects of tracelet, and the address of the tracking server, which makes no difference."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.compat.mlflow.entities import Experiment, PagedList
from tracelet.compat.mlflow.exceptions import MlflowException, missing
from tracelet.compat.offered import note_once
from tracelet.compat.starting import store_of

DEFAULT: Final = "Default"  # the experiment of a program that names none: the configured project
DEFAULT_ID: Final = "0"


class _Chosen:
    """What the program has set."""

    def __init__(self) -> None:
        self.experiment: str | None = None
        self.known: dict[str, dict[str, str]] = {}  # experiments that the program has made, with their tags
        self.tracking_uri: str | None = None
        self.registry_uri: str | None = None


_chosen = _Chosen()


def configured_project() -> str:
    """Return the project that runs belong to if the program names none."""
    from tracelet.config import program_config, program_file

    return program_config(program_file(), {}).project


def experiment_id_of(project: str) -> str:
    """Return the id of an experiment, which its name determines."""
    if project in (DEFAULT, configured_project()):
        return DEFAULT_ID
    return str(int(hashlib.sha256(project.encode()).hexdigest()[:15], 16))


def current_project() -> str | None:
    """Return the project of the next run, None for the configured one."""
    if _chosen.experiment is not None:
        return _project_of(_chosen.experiment)
    if name := os.environ.get("MLFLOW_EXPERIMENT_NAME"):
        return _project_of(name)
    if experiment_id := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return project_of_id(experiment_id)
    return None


def _project_of(name: str) -> str | None:
    return None if name == DEFAULT else name


def project_of_id(experiment_id: str | int) -> str | None:
    """Return the project of an experiment's id, None for the configured one.

    Raises:
        MlflowException: there is no such experiment.
    """
    experiment_id = str(experiment_id)
    if experiment_id == DEFAULT_ID:
        return None
    for name in _all_projects():
        if experiment_id_of(name) == experiment_id:
            return name
    raise missing(f"No Experiment with id={experiment_id} exists")


def _all_projects() -> list[str]:
    store = store_of()
    recorded = [record.project for record in (store.runs() if store is not None else [])]
    return list(dict.fromkeys([*_chosen.known, *reversed(recorded)]))


def _experiment(project: str | None) -> Experiment:
    name = project if project is not None else configured_project()
    experiment_id = experiment_id_of(name)
    shown = DEFAULT if experiment_id == DEFAULT_ID and name not in _chosen.known else name
    return Experiment(experiment_id, shown, _location(), _chosen.known.get(name))


def _location() -> str:
    from tracelet.config import program_config, program_file

    return Path(program_config(program_file(), {}).dir, "runs").absolute().as_uri()


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | int | None = None, trace_location: Any = None
) -> Experiment:
    """Choose the experiment of the runs that follow.

    Raises:
        MlflowException: neither a name nor an id is given, or both.
    """
    if (experiment_name is None) == (experiment_id is None):
        raise MlflowException.invalid_parameter_value(
            "Must specify either an experiment name or an experiment id."
        )
    if experiment_name is None:
        assert experiment_id is not None
        project = project_of_id(experiment_id)
        experiment_name = project if project is not None else DEFAULT
    _check_name(experiment_name)
    _chosen.experiment = experiment_name
    if experiment_name != DEFAULT:
        _chosen.known.setdefault(experiment_name, {})
    return _experiment(_project_of(experiment_name))


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.strip():
        raise MlflowException.invalid_parameter_value(f"Invalid experiment name: {name!r}")


def create_experiment(
    name: str,
    artifact_location: str | None = None,
    tags: Mapping[str, Any] | None = None,
    trace_location: Any = None,
) -> str:
    """Make an experiment known and return its id.

    Raises:
        MlflowException: there is one of this name.
    """
    _check_name(name)
    if name in (DEFAULT, *_all_projects()):
        raise MlflowException(f"Experiment(name={name}) already exists.", "RESOURCE_ALREADY_EXISTS")
    if artifact_location is not None:
        note_once("mlflow.create_experiment: artifact_location: artifacts are kept with their runs")
    _chosen.known[name] = {str(key): str(value) for key, value in (tags or {}).items()}
    return experiment_id_of(name)


def get_experiment(experiment_id: str | int) -> Experiment:
    """Return an experiment.

    Raises:
        MlflowException: there is none with this id.
    """
    return _experiment(project_of_id(experiment_id))


def get_experiment_by_name(name: str) -> Experiment | None:
    """Return an experiment, None if there is none of this name."""
    if name == DEFAULT:
        return _experiment(None)
    return _experiment(name) if name in _all_projects() else None


def search_experiments(
    view_type: int = 1,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: list[str] | None = None,
    page_token: Any = None,
) -> PagedList:
    """Return the experiments, the newest first.

    Raises:
        MlflowException: a filter other than one of names is given.
    """
    found = [_experiment(None), *(_experiment(name) for name in _all_projects())]
    found = list({one.experiment_id: one for one in found}.values())[::-1]
    if filter_string:
        from tracelet.compat.mlflow.filters import matches_name

        found = [one for one in found if matches_name(one.name, filter_string)]
    return PagedList(found[:max_results])


def set_experiment_tag(key: str, value: Any) -> None:
    """Keep a tag of the current experiment as long as the program runs."""
    set_experiment_tags({key: value})


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Keep tags of the current experiment as long as the program runs."""
    note_once(
        "mlflow.set_experiment_tag: a project of tracelet has no tags; they last as long as the program"
    )
    name = _chosen.experiment or DEFAULT
    _chosen.known.setdefault(name, {}).update({str(key): str(value) for key, value in tags.items()})


def set_tracking_uri(uri: Any) -> None:
    """Keep the address: recording goes to tracelet; a table ``[plugins.mlflow]`` delivers to a server."""
    _chosen.tracking_uri = str(uri) if uri is not None else None
    note_once(
        "mlflow.set_tracking_uri: tracelet records here; [plugins.mlflow] tracking_uri delivers to a server"
    )


def get_tracking_uri() -> str:
    """Return the address that was set, else that of the data folder."""
    return _chosen.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or _location()


def is_tracking_uri_set() -> bool:
    """Return whether an address was set."""
    return bool(_chosen.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"))


def set_registry_uri(uri: Any) -> None:
    """Keep the address of a registry, which makes no difference."""
    _chosen.registry_uri = str(uri)


def get_registry_uri() -> str:
    """Return the address of the registry."""
    return _chosen.registry_uri or get_tracking_uri()
