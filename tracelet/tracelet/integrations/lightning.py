"""A logger for Lightning: ``Trainer(logger=TraceletLogger())``.

It works with both import roots, ``lightning`` and ``pytorch_lightning``: it derives from the base class of each one
that the program has imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import Any, Final

from tracelet.integrations.run_slot import RunSlot, missing_package
from tracelet.run import Run

__all__ = ["TraceletLogger"]

_ROOTS: Final = ("lightning.pytorch", "pytorch_lightning")


def _base_classes() -> tuple[type[Any], ...]:
    roots = [root for root in _ROOTS if sys.modules.get(root) is not None]
    if not roots:
        try:
            importlib.import_module(_ROOTS[0])
            roots = [_ROOTS[0]]
        except ImportError as error:
            try:
                importlib.import_module(_ROOTS[1])
                roots = [_ROOTS[1]]
            except ImportError:
                raise missing_package("lightning", ["lightning", "pytorch-lightning"], error) from None
    return tuple(importlib.import_module(f"{root}.loggers.logger").Logger for root in roots)


def _rank() -> int:
    """Return the rank that Lightning has given to this process."""
    utilities = importlib.import_module("lightning_utilities.core.rank_zero")
    return int(getattr(utilities.rank_zero_only, "rank", 0) or 0)


def _dummy() -> Any:
    """Return Lightning's stand-in for an experiment on ranks other than zero."""
    root = "lightning.fabric" if "lightning.fabric" in sys.modules else "lightning_fabric"
    return importlib.import_module(f"{root}.loggers.logger")._DummyExperiment()


class TraceletLogger(*_base_classes()):  # type: ignore[misc]
    """Records into the active run what a ``LightningModule`` logs; without one, into a run that it starts.

    Steps are Lightning's own: ``trainer.global_step`` for what is logged in training, and the same count for
    validation. Only rank zero records. ``log_model`` keeps checkpoints as artifacts: ``True`` the best and the last
    ones when a loop ends, ``"all"`` each as soon as it is saved.

    Args:
        run: the run to record into, instead of the active one; or the name of the one to start.
        name, project, tags: of the run, if one is started.
        prefix: comes before the name of each metric, with ``/``.
        log_model: ``False``, ``True`` or ``"all"``.
        options: further arguments of :func:`tracelet.start_run`.
    """

    records_into_tracelet = True

    def __init__(
        self,
        run: Run | str | None = None,
        *,
        name: str | None = None,
        project: str | None = None,
        tags: Mapping[str, Any] | None = None,
        prefix: str = "",
        log_model: bool | str = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self._slot = RunSlot(run, name=name, project=project, tags=tags, **options)
        self._prefix = prefix
        self._log_model = log_model
        self._checkpoints: Any = None  # the callback that has saved one
        self._logged: dict[str, float] = {}  # the time of each file that was logged

    @property
    def experiment(self) -> Run:
        """The run, on rank zero; elsewhere Lightning's stand-in, which takes every call and does nothing."""
        run: Run = self._slot.run if _rank() == 0 else _dummy()
        return run

    @property
    def name(self) -> str | None:
        """The project, which names the folder of checkpoints."""
        return self.experiment.project if _rank() == 0 else None

    @property
    def version(self) -> str | None:
        """The run's id, which names the folder of checkpoints in that of the project."""
        return self.experiment.id if _rank() == 0 else None

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record numbers at a step."""
        if _rank() == 0:
            named = {f"{self._prefix}/{key}": value for key, value in metrics.items()}
            self._slot.try_log(named if self._prefix else metrics, step)

    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Record hyperparameters; what Lightning passes beside them is left out."""
        if _rank() == 0:
            self._slot.log_params(vars(params) if isinstance(params, Namespace) else params)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Keep the checkpoint that was just saved, if that is wanted."""
        if self._log_model == "all" or (self._log_model and checkpoint_callback.save_top_k == -1):
            self._log_checkpoints(checkpoint_callback)
        elif self._log_model:
            self._checkpoints = checkpoint_callback

    def _log_checkpoints(self, callback: Any) -> None:
        saved = [callback.best_model_path, callback.last_model_path, *callback.best_k_models]
        for path in dict.fromkeys(path for path in saved if path and os.path.exists(path)):
            changed = os.path.getmtime(path)
            if self._logged.get(path) != changed:
                self._logged[path] = changed
                self._slot.log_artifact(path, "checkpoints")

    def finalize(self, status: str) -> None:
        """Keep the checkpoints of the loop that has ended. Called at the end of each loop, so the run stays open.

        A loop that failed ends the run, if it was started here.
        """
        if _rank() != 0:
            return
        if self._checkpoints is not None:
            self._log_checkpoints(self._checkpoints)
            self._checkpoints = None
        if status not in ("success", "finished"):
            self._slot.finish("failed", error=f"Lightning ended with status {status!r}")

    def __getstate__(self) -> dict[str, Any]:
        if _rank() == 0:
            _ = (
                self._slot.run
            )  # Lightning pickles it for the processes that it spawns; they continue this run
        return {**self.__dict__, "_checkpoints": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> TraceletLogger:
        copy: TraceletLogger = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy
