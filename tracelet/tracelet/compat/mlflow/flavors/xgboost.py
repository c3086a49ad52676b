"""Models of XGBoost, logged as artifacts."""

from __future__ import annotations

from typing import Any

from tracelet.compat.mlflow import autologging
from tracelet.compat.mlflow.flavors.logging import Flavor, calls


def _save(model: Any, path: str) -> None:
    model.save_model(path)


def _load(path: str) -> Any:
    import xgboost

    return xgboost.Booster(model_file=path)


log_model, save_model, load_model = calls(Flavor("xgboost", "model.json", _save, _load), "xgb_model")
autolog = autologging.autolog_of("xgboost")
