"""``mlflow.models``: what describes a logged model."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

__all__ = ["Model", "ModelInfo", "ModelSignature", "infer_signature"]


class ModelSignature(NamedTuple):
    """The columns and types of a model's input and output."""

    inputs: Any = None
    outputs: Any = None
    params: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, each part as JSON."""
        return {key: json.dumps(value) for key, value in self._asdict().items() if value is not None}


class ModelInfo(NamedTuple):
    """What ``log_model`` returns."""

    artifact_path: str
    flavors: dict[str, Any]
    model_uri: str
    run_id: str
    signature: ModelSignature | None = None
    model_id: str | None = None
    name: str | None = None
    registered_model_version: str | None = None
    metadata: Any = None

    @property
    def model_uuid(self) -> str:
        """What identifies it."""
        return self.model_uri


class Model:
    """The description of a model in a folder, the file ``MLmodel``."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def infer_signature(model_input: Any = None, model_output: Any = None, params: Any = None) -> ModelSignature:
    """Return the names and types of the columns of some data."""
    return ModelSignature(_schema(model_input), _schema(model_output), params)


def _schema(data: Any) -> Any:
    if data is None:
        return None
    types = getattr(data, "dtypes", None)
    if types is not None and hasattr(types, "items"):
        return [{"name": str(name), "type": str(kind)} for name, kind in types.items()]
    if hasattr(data, "dtype"):
        shape = [-1, *(int(each) for each in data.shape[1:])] if hasattr(data, "shape") else [-1]
        return [{"type": "tensor", "dtype": str(data.dtype), "shape": shape}]
    if isinstance(data, dict):
        return [{"name": str(name), "type": type(value).__name__} for name, value in data.items()]
    return [{"type": type(data[0]).__name__ if isinstance(data, list) and data else type(data).__name__}]
