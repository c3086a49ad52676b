"""A logger for PyTorch-Ignite: ``with TraceletLogger() as logger: logger.attach_output_handler(trainer, ...)``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.integrations.run_slot import RecordsIntoRun, missing_package

try:
    from ignite.handlers.base_logger import BaseLogger, BaseOptimizerParamsHandler, BaseOutputHandler
except ImportError as error:
    raise missing_package("ignite", ["pytorch-ignite"], error) from None

__all__ = ["OptimizerParamsHandler", "OutputHandler", "TraceletLogger"]


class TraceletLogger(RecordsIntoRun, BaseLogger):  # type: ignore[misc]
    """Records into the active run what engines report; without one, into a run that it starts.

    Steps are those of the event that a handler is attached to, unless ``global_step_transform`` says otherwise:
    Ignite's ``global_step_from_engine(trainer)`` puts validation beside training. Attach it on rank zero, as Ignite's
    own loggers. ``close()``, or leaving the ``with`` block, ends a run that was started here. Any other method of a run
    (``log_params``, ``log_image``, ...) may be called on the logger.

    Args:
        run: the run to record into, instead of the active one; or the name of the one to start.
        name, project, tags: of the run, if one is started.
        options: further arguments of :func:`tracelet.start_run`.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.run, name)

    def log_row(self, metrics: Mapping[str, Any], step: int | None) -> None:
        """Record numbers at a step, and texts."""
        numbers = {key: value for key, value in metrics.items() if not isinstance(value, str)}
        if numbers:
            self._slot.try_log(numbers, step)
        for key in metrics.keys() - numbers.keys():
            self.run.log_text(key, metrics[key], step)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None:
            self.close()
        else:
            self._slot.finish("failed", error=f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the run if it was started here. May be called several times."""
        self._slot.finish()

    def _create_output_handler(self, *args: Any, **kwargs: Any) -> OutputHandler:
        return OutputHandler(*args, **kwargs)

    def _create_opt_params_handler(self, *args: Any, **kwargs: Any) -> OptimizerParamsHandler:
        return OptimizerParamsHandler(*args, **kwargs)


class OutputHandler(BaseOutputHandler):  # type: ignore[misc]
    """Records an engine's metrics, output and attributes as ``tag/name``. Its arguments are those of Ignite's own."""

    def __call__(self, engine: Any, logger: TraceletLogger, event_name: Any) -> None:
        """Record one row."""
        _check(logger, "OutputHandler")
        step = self.global_step_transform(engine, event_name)
        metrics = self._setup_output_metrics_state_attrs(engine, log_text=True, key_tuple=False)
        logger.log_row(metrics, int(step))


class OptimizerParamsHandler(BaseOptimizerParamsHandler):  # type: ignore[misc]
    """Records a parameter of an optimizer, by default its learning rate, as ``tag/lr/group_0``, ..."""

    def __call__(self, engine: Any, logger: TraceletLogger, event_name: Any) -> None:
        """Record one row."""
        _check(logger, "OptimizerParamsHandler")
        step = engine.state.get_event_attrib_value(event_name)
        start = f"{self.tag}/" if self.tag else ""
        groups = enumerate(self.optimizer.param_groups)
        logger.log_row(
            {f"{start}{self.param_name}/group_{at}": float(group[self.param_name]) for at, group in groups},
            int(step),
        )


def _check(logger: Any, handler: str) -> None:
    if not isinstance(logger, TraceletLogger):
        raise TypeError(
            f"{handler} of tracelet.integrations.ignite: expected a TraceletLogger, found {type(logger).__name__}"
        )
