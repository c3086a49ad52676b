"""A callback for Transformers: ``Trainer(..., callbacks=[TraceletCallback()])``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.integrations.run_slot import RecordsIntoRun, missing_package
from tracelet.run import Run

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise missing_package("transformers", ["transformers"], error) from None

__all__ = ["TraceletCallback"]

_PREFIXES: Final = {"eval_": "eval/", "test_": "test/"}


class TraceletCallback(RecordsIntoRun, TrainerCallback):  # type: ignore[misc]
    """Records into the active run what a ``Trainer`` logs; without one, into a run that it starts.

    Names are those of the other reporters of Transformers: ``train/loss``, ``eval/loss``. The step is
    ``state.global_step``. Only the process of world rank zero records.

    Args:
        run: the run to record into, instead of the active one; or the name of the one to start.
        name, project, tags: of the run, if one is started.
        log_model: keep each checkpoint that is saved as an artifact.
        options: further arguments of :func:`tracelet.start_run`.
    """

    def __init__(self, run: Run | str | None = None, *, log_model: bool = False, **options: Any) -> None:
        super().__init__(run, **options)
        self._log_model = log_model

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the training's arguments and the model's configuration."""
        if state.is_world_process_zero:
            if args.run_name and "name" not in self._slot.options:
                self._slot.options["name"] = args.run_name
            self._slot.log_params(parameters_of(args, kwargs.get("model")))

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Record what the trainer logs: losses, learning rate, evaluations, and the summary at the end."""
        if state.is_world_process_zero and logs:
            self._slot.try_log(renamed(logs), state.global_step)

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **kwargs: Any) -> None:
        """Record the result of a prediction, which the trainer does not log itself."""
        if state.is_world_process_zero and metrics:
            self._slot.try_log(renamed(metrics), state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the checkpoint that was saved, if that is wanted."""
        if self._log_model and state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            self._slot.log_artifact(folder, "checkpoints")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record what the training has found; the run stays open, since an evaluation may follow."""
        if state.is_world_process_zero and state.best_metric is not None:
            self._slot.try_log({"train/best_metric": state.best_metric}, state.global_step)


def renamed(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a log by the names that the reporters of Transformers use."""
    names = {key: _renamed(key) for key in logs}
    return {names[key]: value for key, value in logs.items() if isinstance(value, (int, float))}


def _renamed(key: str) -> str:
    for start, folder in _PREFIXES.items():
        if key.startswith(start):
            return folder + key.removeprefix(start)
    return f"train/{key}"


def parameters_of(args: Any, model: Any) -> dict[str, Any]:
    """Return the arguments of a training, and the configuration of its model under ``model``."""
    config = getattr(model, "config", None)
    to_dict = getattr(config, "to_dict", None)
    described = to_dict() if callable(to_dict) else {}
    return {**args.to_dict(), **({"model": described} if described else {})}
