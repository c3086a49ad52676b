"""Models of scikit-learn, logged as artifacts."""

from __future__ import annotations

from tracelet.compat.mlflow import sklearn_autolog
from tracelet.compat.mlflow.flavors.logging import calls
from tracelet.compat.mlflow.flavors.pickled import SKLEARN

log_model, save_model, load_model = calls(SKLEARN, "sk_model")
autolog = sklearn_autolog.switch
