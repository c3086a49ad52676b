"""What frameworks import of ``mlflow.utils`` and ``mlflow.tracking.context``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

MLFLOW_RUN_NAME: Final = "mlflow.runName"
MLFLOW_RUN_NOTE: Final = "mlflow.note.content"
MLFLOW_PARENT_RUN_ID: Final = "mlflow.parentRunId"
MLFLOW_USER: Final = "mlflow.user"
MLFLOW_SOURCE_NAME: Final = "mlflow.source.name"
MLFLOW_SOURCE_TYPE: Final = "mlflow.source.type"
MLFLOW_GIT_COMMIT: Final = "mlflow.source.git.commit"
#: MLflow's limits, which frameworks cut by: tracelet itself has none of this size.
MAX_PARAM_VAL_LENGTH: Final = 6000
MAX_PARAMS_TAGS_PER_BATCH: Final = 100
MAX_METRICS_PER_BATCH: Final = 1000
MAX_ENTITY_KEY_LENGTH: Final = 250
MAX_TAG_VAL_LENGTH: Final = 8000

#: ``mlflow.tracking.context.registry`` and the like are this module.
registry = mlflow_tags = validation = sys.modules[__name__]


def resolve_tags(tags: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the tags: what MLflow adds to them, tracelet records by itself."""
    return dict(tags or {})
