"""Models of PyTorch, logged as artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracelet.compat.mlflow import autologging
from tracelet.compat.mlflow.flavors.logging import Flavor, calls


def _save(model: Any, path: str) -> None:
    import torch

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    torch.save(model, path)


def _load(path: str) -> Any:
    import torch

    return torch.load(path, weights_only=False)


log_model, save_model, load_model = calls(Flavor("pytorch", "data/model.pth", _save, _load), "pytorch_model")
autolog = autologging.autolog_of("lightning")
