"""The decorators of the contract, both of pluggy's project ``tracelet``, and the hooks that make a backend."""

from __future__ import annotations

from typing import Final

import pluggy

PROJECT_NAME: Final = "tracelet"

hookspec: Final = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl: Final = pluggy.HookimplMarker(PROJECT_NAME)

#: A plugin that implements at least one of these hooks receives what a run records.
BACKEND_HOOKS: Final = (
    "log_metric",
    "log_metrics",
    "log_columns",
    "log_params",
    "log_artifact",
    "log_media",
    "set_tags",
    "run_changed",
    "log_event",
)
