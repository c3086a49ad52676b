"""Registered models: names for models, kept as tags of the runs that logged them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tracelet.compat.mlflow.exceptions import missing
from tracelet.compat.offered import note_once
from tracelet.compat.starting import store_of

_TAG: Final = "registered_model"


class ModelVersion(NamedTuple):
    """A version of a registered model."""

    name: str
    version: str
    source: str
    run_id: str
    status: str = "READY"
    current_stage: str = "None"
    tags: Any = None
    aliases: Any = ()


def _versions(name: str) -> list[ModelVersion]:
    found: dict[str, ModelVersion] = {}
    store = store_of()
    for record in store.runs() if store is not None else []:
        for tag, value in record.tags.items():
            head, _, rest = tag.partition("/")
            known, _, number = rest.rpartition("/")
            if head == _TAG and known == name and number.isdigit():
                found[number] = ModelVersion(name, number, str(value), record.id)
    return [found[number] for number in sorted(found, key=int)]


def register_model(
    model_uri: str, name: str, await_registration_for: int = 300, *, tags: Any = None, **_: Any
) -> ModelVersion:
    """Record a name for a model, as a tag of the run that has logged it, and return its version."""
    from tracelet.compat.mlflow.handles import handle_of

    note_once(
        "mlflow.register_model: tracelet has no registry of models; the name is a tag of the model's run"
    )
    run_id = model_uri.removeprefix("runs:/").lstrip("/").partition("/")[0]
    number = str(len(_versions(name)) + 1)
    handle_of(run_id).set_tags({f"{_TAG}/{name}/{number}": model_uri})
    return ModelVersion(name, number, model_uri, run_id, tags=tags)


def latest_version(name: str) -> ModelVersion:
    """Return the latest version.

    Raises:
        MlflowException: there is none.
    """
    versions = _versions(name)
    if not versions:
        raise missing(f"Registered Model with name={name} not found")
    return versions[-1]


def version(name: str, number: str) -> ModelVersion:
    """Return one version.

    Raises:
        MlflowException: there is none.
    """
    for one in _versions(name):
        if one.version == number:
            return one
    raise missing(f"Model Version (name={name}, version={number}) not found")


def uri_of_model(uri: str) -> str:
    """Return the address of the files of ``models:/NAME/VERSION``."""
    name, _, number = uri.removeprefix("models:/").partition("/")
    found = latest_version(name) if number in ("latest", "") else version(name, number)
    return found.source
