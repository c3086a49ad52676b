"""``mlflow.tracking``: the client, and the functions on the address of the server."""

from __future__ import annotations

from tracelet.compat.mlflow import fluent
from tracelet.compat.mlflow import utils as context
from tracelet.compat.mlflow.client import MlflowClient
from tracelet.compat.mlflow.experiments import (
    get_registry_uri,
    get_tracking_uri,
    is_tracking_uri_set,
    set_registry_uri,
    set_tracking_uri,
)

__all__ = [
    "MlflowClient",
    "context",
    "fluent",
    "get_registry_uri",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "set_registry_uri",
    "set_tracking_uri",
]
