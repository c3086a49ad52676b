"""Models of CatBoost, logged as artifacts."""

from __future__ import annotations

from typing import Any

from tracelet.compat.mlflow.flavors.logging import Flavor, calls


def _save(model: Any, path: str) -> None:
    model.save_model(path)


def _load(path: str) -> Any:
    import catboost

    return catboost.CatBoost().load_model(path)


log_model, save_model, load_model = calls(Flavor("catboost", "model.cb", _save, _load), "cb_model")
