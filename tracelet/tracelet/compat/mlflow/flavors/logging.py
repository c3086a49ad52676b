"""What all flavors share: a model is a folder with its file and a description, kept among the artifacts."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.compat.mlflow.artifacts import local_path
from tracelet.compat.mlflow.exceptions import MlflowException, missing
from tracelet.compat.mlflow.models import ModelInfo, ModelSignature

DESCRIPTION: Final = "MLmodel"


class Flavor(NamedTuple):
    """How the models of a library are written and read."""

    name: str
    file: str
    save: Callable[[Any, str], Any]
    load: Callable[[str], Any]


def save(
    flavor: Flavor, model: Any, path: Any, about: Mapping[str, Any], files: Mapping[str, str] | None = None
) -> None:
    """Write a model, its description and files that go with it into a new folder.

    Raises:
        MlflowException: there is something in the folder.
    """
    folder = Path(path)
    if folder.exists() and any(folder.iterdir()):
        raise MlflowException(f"Path '{folder}' already exists and is not empty", "RESOURCE_ALREADY_EXISTS")
    folder.mkdir(parents=True, exist_ok=True)
    flavor.save(model, str(folder / flavor.file))
    for inner, source in (files or {}).items():
        copy_to(source, folder / inner)
    described = {
        "flavors": {
            flavor.name: {
                "model": flavor.file,
                "class": f"{type(model).__module__}.{type(model).__qualname__}",
            }
        },
        "utc_time_created": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        **{key: value for key, value in about.items() if value is not None},
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2, default=str), encoding="utf-8")


def log(
    flavor: Flavor, model: Any, artifact_path: str | None, name: str | None, about: Mapping[str, Any],
    registered_name: str | None = None, files: Mapping[str, str] | None = None,
) -> ModelInfo:  # fmt: skip
    """Keep a model in the active run, or in a new one."""
    from tracelet.compat.mlflow.fluent import _handle

    handle = _handle()
    place = artifact_path or name or "model"
    signature = about.get("signature")
    plain = {
        **about,
        "signature": signature.to_dict() if isinstance(signature, ModelSignature) else signature,
    }
    with tempfile.TemporaryDirectory(prefix="mlflow-model-") as folder:
        target = Path(folder, os.path.basename(place))
        save(flavor, model, target, {**plain, "artifact_path": place, "run_id": handle.run.id}, files)
        handle.run.log_artifact(target, os.path.dirname(place) or None)
    uri = f"runs:/{handle.run.id}/{place}"
    version = None
    if registered_name is not None:
        from tracelet.compat.mlflow.registry import register_model

        version = register_model(uri, registered_name).version
    return ModelInfo(place, {flavor.name: {}}, uri, handle.run.id, signature, uri, place, version)


def load(flavor: Flavor, model_uri: str, dst_path: str | None = None) -> Any:
    """Read a model.

    Raises:
        MlflowException: there is none of this flavor.
    """
    folder = Path(local_path(model_uri, dst_path))
    file = folder / flavor.file
    if not file.exists():
        found = ", ".join(description(folder).get("flavors", {})) or "nothing"
        raise missing(f"expected a model of flavor {flavor.name!r} at {model_uri}, found {found}")
    return flavor.load(str(file))


def description(folder: Path) -> dict[str, Any]:
    """Return the description of a model, empty if there is none."""
    try:
        read: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read


def copy_to(source: str, target: Path) -> None:
    """Copy a file or folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if Path(source).is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def calls(
    flavor: Flavor, argument: str
) -> tuple[Callable[..., ModelInfo], Callable[..., None], Callable[..., Any]]:
    """Return ``log_model``, ``save_model`` and ``load_model`` of a flavor; ``argument`` names the model."""

    def log_model(*args: Any, **kwargs: Any) -> ModelInfo:
        """Keep a model in the active run."""
        model, rest = _first(argument, args, kwargs)
        path = rest[0] if rest else kwargs.get("artifact_path")
        about = {key: kwargs.get(key) for key in ("signature", "metadata", "params", "model_type")}
        registered = kwargs.get("registered_model_name")
        return log(flavor, model, path, kwargs.get("name"), about, registered, kwargs.get("files"))

    def save_model(*args: Any, **kwargs: Any) -> None:
        """Write a model into a new folder."""
        model, rest = _first(argument, args, kwargs)
        save(flavor, model, rest[0] if rest else kwargs["path"], {}, kwargs.get("files"))

    def load_model(model_uri: str, dst_path: str | None = None, **_: Any) -> Any:
        """Read a model from an address such as ``runs:/RUN/model``."""
        return load(flavor, model_uri, dst_path)

    return log_model, save_model, load_model


def _first(argument: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    if args:
        return args[0], args[1:]
    for key in (argument, "model"):
        if key in kwargs:
            return kwargs[key], ()
    raise TypeError(f"log_model: expected a model as {argument}")
