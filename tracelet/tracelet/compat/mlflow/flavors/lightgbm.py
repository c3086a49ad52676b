"""Models of LightGBM, logged as artifacts."""

from __future__ import annotations

from typing import Any

from tracelet.compat.mlflow import autologging
from tracelet.compat.mlflow.flavors.logging import Flavor, calls


def _save(model: Any, path: str) -> None:
    getattr(model, "booster_", model).save_model(path)


def _load(path: str) -> Any:
    import lightgbm

    return lightgbm.Booster(model_file=path)


log_model, save_model, load_model = calls(Flavor("lightgbm", "model.txt", _save, _load), "lgb_model")
autolog = autologging.autolog_of("lightgbm")
