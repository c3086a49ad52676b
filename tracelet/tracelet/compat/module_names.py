"""The modules of the packages that have drop-ins, and where the drop-ins have what programs import from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: The packages that have a drop-in, with the versions whose calls these offer.
PACKAGES: Final[Mapping[str, str]] = {"wandb": "0.31.0", "mlflow": "3.18.0"}

_WANDB: Final = "tracelet.compat.wandb"
_MLFLOW: Final = "tracelet.compat.mlflow"
_INTEGRATIONS: Final = ("keras", "lightgbm", "sb3", "xgboost")
_FLAVORS: Final = (
    *("catboost", "keras", "lightgbm", "pyfunc", "pytorch", "sklearn", "statsmodels"),
    *("tensorflow", "transformers", "xgboost"),
)

#: By package: each module that can be imported, and the module that it is here.
MODULES: Final[Mapping[str, Mapping[str, str]]] = {
    "wandb": {
        "wandb": _WANDB,
        "wandb.sdk": _WANDB,
        "wandb.sdk.wandb_run": f"{_WANDB}.wandb_run",
        "wandb.sdk.wandb_config": f"{_WANDB}.config_values",
        "wandb.sdk.wandb_settings": f"{_WANDB}.settings",
        "wandb.sdk.data_types": f"{_WANDB}.data_types",
        "wandb.sdk.artifacts": f"{_WANDB}.artifacts",
        "wandb.sdk.artifacts.artifact": f"{_WANDB}.artifacts",
        "wandb.sdk.lib": f"{_WANDB}.wandb_run",
        "wandb.sdk.lib.config_util": f"{_WANDB}.errors",
        "wandb.sdk.lib.runid": f"{_WANDB}.util",
        "wandb.wandb_run": f"{_WANDB}.wandb_run",
        "wandb.env": f"{_WANDB}.settings",
        "wandb.data_types": f"{_WANDB}.data_types",
        "wandb.plot": f"{_WANDB}.plot",
        "wandb.errors": f"{_WANDB}.errors",
        "wandb.util": f"{_WANDB}.util",
        "wandb.apis": f"{_WANDB}.api",
        "wandb.apis.public": f"{_WANDB}.api",
        "wandb.integration": f"{_WANDB}.integration",
        **{f"wandb.integration.{name}": f"{_WANDB}.integration.{name}" for name in _INTEGRATIONS},
        **{f"wandb.{name}": f"{_WANDB}.integration.{name}" for name in _INTEGRATIONS if name != "sb3"},
    },
    "mlflow": {
        "mlflow": _MLFLOW,
        "mlflow.client": f"{_MLFLOW}.client",
        "mlflow.tracking": f"{_MLFLOW}.tracking",
        "mlflow.tracking.client": f"{_MLFLOW}.client",
        "mlflow.tracking.context": f"{_MLFLOW}.utils",
        "mlflow.tracking.context.registry": f"{_MLFLOW}.utils",
        "mlflow.tracking.fluent": f"{_MLFLOW}.fluent",
        "mlflow.utils": f"{_MLFLOW}.utils",
        "mlflow.utils.mlflow_tags": f"{_MLFLOW}.utils",
        "mlflow.utils.validation": f"{_MLFLOW}.utils",
        "mlflow.entities": f"{_MLFLOW}.entities",
        "mlflow.exceptions": f"{_MLFLOW}.exceptions",
        "mlflow.models": f"{_MLFLOW}.models",
        "mlflow.models.signature": f"{_MLFLOW}.models",
        "mlflow.data": f"{_MLFLOW}.data",
        "mlflow.artifacts": f"{_MLFLOW}.artifacts",
        **{f"mlflow.{name}": f"{_MLFLOW}.flavors.{name}" for name in _FLAVORS},
    },
}
