"""A callback for XGBoost."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from tracelet.compat.wandb.calls import log
from tracelet.compat.wandb.current import require_run

_OFFERED: Final = ("WandbCallback", "wandb_callback")


def __getattr__(name: str) -> Any:
    if name == "WandbCallback":
        return _callback()
    raise AttributeError(f"wandb.integration.xgboost has no {name!r}; it offers {', '.join(_OFFERED)}")


@cache
def _callback() -> Any:
    import xgboost

    class WandbCallback(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        """Logs each round as ``DATA-METRIC``, and at the end the importance of the features and the model."""

        def __init__(
            self,
            log_model: bool = False,
            log_feature_importance: bool = True,
            importance_type: str = "gain",
            define_metric: bool = True,
        ) -> None:
            super().__init__()
            self._log_model = log_model
            self._importance = importance_type if log_feature_importance else None

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Log a round."""
            row = {
                f"{data}-{name}": values[-1]
                for data, metrics in evals_log.items()
                for name, values in metrics.items()
            }
            log({**row, "epoch": epoch})
            return False

        def after_training(self, model: Any) -> Any:
            """Log what is known at the end."""
            from tracelet.compat.wandb.tables import Table

            run = require_run("WandbCallback()")
            if self._importance:
                scores = model.get_score(importance_type=self._importance)
                log(
                    {
                        "Feature Importance": Table(
                            ["Feature", "Importance"], [[*one] for one in scores.items()]
                        )
                    }
                )
            if self._log_model:
                with run_file(run, "model.json") as path:
                    model.save_model(path)
            return model

    return WandbCallback


def run_file(run: Any, name: str) -> Any:
    """Return a context with the path of a file in the run's folder for files; the run keeps it."""
    import contextlib
    import os

    return contextlib.nullcontext(os.path.join(run.dir, name))


def wandb_callback() -> Any:
    """Return a callback."""
    return _callback()()
