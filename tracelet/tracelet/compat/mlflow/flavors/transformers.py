"""Models of Transformers, logged as artifacts."""

from __future__ import annotations

from typing import Any

from tracelet.compat.mlflow import autologging
from tracelet.compat.mlflow.flavors.logging import Flavor, calls


def _save(model: Any, path: str) -> None:
    for part in model.values() if isinstance(model, dict) else (model,):
        part.save_pretrained(path)


def _load(path: str) -> Any:
    import transformers

    return transformers.AutoModel.from_pretrained(path)


log_model, save_model, load_model = calls(Flavor("transformers", "model", _save, _load), "transformers_model")
autolog = autologging.autolog_of("transformers")
