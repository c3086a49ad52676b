"""Models of statsmodels, logged as artifacts."""

from __future__ import annotations

from tracelet.compat.mlflow.flavors.logging import calls
from tracelet.compat.mlflow.flavors.pickled import STATSMODELS

log_model, save_model, load_model = calls(STATSMODELS, "statsmodels_model")
