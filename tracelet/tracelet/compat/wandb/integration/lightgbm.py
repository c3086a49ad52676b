"""A callback for LightGBM."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tracelet.compat.wandb.calls import log
from tracelet.compat.wandb.current import require_run


def wandb_callback(log_params: bool = True, define_metric: bool = True) -> Callable[[Any], None]:
    """Return a callback that logs the parameters, and each round as ``DATA_METRIC``."""
    known = False

    def callback(env: Any) -> None:
        nonlocal known
        if log_params and not known:
            require_run("wandb_callback()").config.update(env.params, allow_val_change=True)
            known = True
        log(
            {f"{data}_{name}": value for data, name, value, *_ in env.evaluation_result_list or ()},
            commit=True,
        )

    return callback


def log_summary(model: Any, feature_importance: bool = True, save_model_checkpoint: bool = False) -> None:
    """Log the best round, the importance of the features, and the model."""
    from tracelet.compat.wandb.tables import Table

    run = require_run("log_summary()")
    run.summary["best_iteration"] = model.best_iteration
    for data, metrics in (model.best_score or {}).items():
        for name, value in metrics.items():
            run.summary[f"best_score/{data}/{name}"] = value
    if feature_importance:
        rows = [
            [name, int(value)]
            for name, value in zip(model.feature_name(), model.feature_importance(), strict=True)
        ]
        log({"Feature Importance": Table(["Feature", "Importance"], rows)})
    if save_model_checkpoint:
        model.save_model(os.path.join(run.dir, f"model_{run.id}.txt"))
