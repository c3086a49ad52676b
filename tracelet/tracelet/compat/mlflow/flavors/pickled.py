"""Models of scikit-learn are pickled."""

from __future__ import annotations

import pickle
from typing import Any, Final

from tracelet.compat.mlflow.flavors.logging import Flavor


def save(model: Any, path: str) -> None:
    """Write a model."""
    with open(path, "wb") as file:
        pickle.dump(model, file, protocol=pickle.HIGHEST_PROTOCOL)


def load(path: str) -> Any:
    """Read a model."""
    with open(path, "rb") as file:
        return pickle.load(file)


SKLEARN: Final = Flavor("sklearn", "model.pkl", save, load)
STATSMODELS: Final = Flavor("statsmodels", "model.pkl", save, load)
