"""Calls that make no difference here: what they switch on is on anyway, or has nothing to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tracelet.compat.offered import note_once


def enable_system_metrics_logging() -> None:
    """Do nothing: the collectors ``system`` and ``gpu`` are on by default."""


def disable_system_metrics_logging() -> None:
    """Note how the collectors are switched off."""
    note_once(
        "mlflow.disable_system_metrics_logging: use tracelet run -p no:system, or [plugins] system = false"
    )


def set_system_metrics_sampling_interval(interval: float | None) -> None:
    """Note how the interval is set."""
    note_once("mlflow.set_system_metrics_sampling_interval: use [plugins.system] interval = SECONDS")


def set_system_metrics_samples_before_logging(samples: int | None) -> None:
    """Do nothing: each sample is recorded."""


def set_system_metrics_node_id(node_id: str | None) -> None:
    """Do nothing: each process records its host."""


def flush_async_logging() -> None:
    """Do nothing: what is logged is recorded."""


def flush_artifact_async_logging() -> None:
    """Do nothing: what is logged is recorded."""


def flush_trace_async_logging(terminate: bool = False) -> None:
    """Do nothing: there are no traces."""


def login(backend: str = "databricks", interactive: bool = True) -> None:
    """Do nothing: recording needs no login."""


def doctor(mask_envs: bool = False) -> None:
    """Note which command looks for problems."""
    note_once("mlflow.doctor: use tracelet doctor")


def update_current_trace(*_: Any, **__: Any) -> None:
    """Do nothing: there are no traces."""


def trace(func: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """Return the function as it is: traces are not recorded."""
    note_once("mlflow.trace: traces are not recorded; the function runs as it is")
    return func if func is not None else lambda function: function


class _Span:
    """Takes every call of a span."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


@contextlib.contextmanager
def start_span(name: str = "span", *_: Any, **__: Any) -> Iterator[_Span]:
    """Yield something that takes the calls of a span: traces are not recorded."""
    note_once("mlflow.start_span: traces are not recorded")
    yield _Span()
