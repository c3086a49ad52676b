"""Models of TensorFlow's Keras, logged as artifacts."""

from __future__ import annotations

from typing import Any

from tracelet.compat.mlflow import autologging
from tracelet.compat.mlflow.flavors.logging import Flavor, calls


def _save(model: Any, path: str) -> None:
    model.save(path)


def _load(path: str) -> Any:
    import keras

    return keras.models.load_model(path)


log_model, save_model, load_model = calls(Flavor("tensorflow", "model.keras", _save, _load), "model")
autolog = autologging.autolog_of("keras")
