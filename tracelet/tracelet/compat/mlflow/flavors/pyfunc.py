"""Models of any kind behind one call, ``predict``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.compat.mlflow.artifacts import local_path
from tracelet.compat.mlflow.exceptions import missing
from tracelet.compat.mlflow.flavors import pickled
from tracelet.compat.mlflow.flavors.logging import Flavor, calls, description
from tracelet.compat.mlflow.models import ModelInfo

_FLAVORS: Final = (
    "sklearn",
    "pytorch",
    "keras",
    "tensorflow",
    "xgboost",
    "lightgbm",
    "catboost",
    "statsmodels",
)
_OWN: Final = "python_function"


class PythonModelContext:
    """What a model of the program's own gets: the paths of its artifacts."""

    def __init__(self, artifacts: dict[str, str] | None = None, model_config: Any = None) -> None:
        self.artifacts = artifacts or {}
        self.model_config = model_config


class PythonModel:
    """Base of models that a program writes itself."""

    def load_context(self, context: PythonModelContext) -> None:
        """Prepare the model."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return predictions."""
        raise NotImplementedError


class PyFuncModel:
    """A model that was loaded."""

    def __init__(
        self, model: Any, described: dict[str, Any], context: PythonModelContext | None = None
    ) -> None:
        self._model = model
        self._context = context or PythonModelContext()
        self.metadata = described

    def predict(self, data: Any, params: Any = None) -> Any:
        """Return predictions."""
        if isinstance(self._model, PythonModel):
            return self._model.predict(self._context, data, *([params] if params is not None else []))
        predict = getattr(self._model, "predict", self._model)
        return predict(data)

    def unwrap_python_model(self) -> Any:
        """Return the model itself."""
        return self._model


_FILES: Final = "artifacts"  # the folder of the files that go with a model
_flavor = Flavor(_OWN, "python_model.pkl", pickled.save, pickled.load)
_log_model, _save_model, _ = calls(_flavor, "python_model")


def log_model(*args: Any, artifacts: Mapping[str, str] | None = None, **kwargs: Any) -> ModelInfo:
    """Keep a model of the program's own in the active run, with the files that it needs."""
    return _log_model(*args, files=_beside(artifacts), **kwargs)


def save_model(*args: Any, artifacts: Mapping[str, str] | None = None, **kwargs: Any) -> None:
    """Write a model of the program's own into a new folder, with the files that it needs."""
    _save_model(*args, files=_beside(artifacts), **kwargs)


def _beside(artifacts: Mapping[str, str] | None) -> dict[str, str]:
    """Return where the files of a model are, by their paths in its folder."""
    found = {key: local_path(uri) for key, uri in (artifacts or {}).items()}
    return {f"{_FILES}/{key}/{Path(path).name}": path for key, path in found.items()}


def load_model(model_uri: str, **_: Any) -> PyFuncModel:
    """Read a model of any flavor.

    Raises:
        MlflowException: there is none.
    """
    folder = Path(local_path(model_uri))
    described = description(folder)
    for name in described.get("flavors", {}):
        if name == _OWN:
            model = _flavor.load(str(folder / _flavor.file))
            files = sorted((folder / _FILES).glob("*/*"))
            context = PythonModelContext({file.parent.name: str(file) for file in files})
            if isinstance(model, PythonModel):
                model.load_context(context)
            return PyFuncModel(model, described, context)
        if name in _FLAVORS:
            module = importlib.import_module(f"tracelet.compat.mlflow.flavors.{name}")
            return PyFuncModel(module.load_model(str(folder)), described)
    raise missing(f"expected a model at {model_uri}, found no description of one")
