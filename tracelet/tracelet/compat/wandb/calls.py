"""The functions of the module that call a method of the current run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracelet.compat.wandb.config_values import Config
from tracelet.compat.wandb.current import current_run, require_run
from tracelet.compat.wandb.summary_values import Summary
from tracelet.logs import get_logger

console = get_logger("tracelet.compat")


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """Record a row of values. See :meth:`~tracelet.compat.wandb.wandb_run.Run.log`."""
    require_run("log()").log(data, step, commit)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the current run, if there is one."""
    run = current_run()
    if run is not None:
        run.finish(exit_code, quiet)


join = finish


def _of_run(name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return getattr(require_run(f"{name}()"), name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Call ``{name}`` of the current run."
    return function


alert = _of_run("alert")
define_metric = _of_run("define_metric")
link_artifact = _of_run("link_artifact")
link_model = _of_run("link_model")
log_artifact = _of_run("log_artifact")
log_code = _of_run("log_code")
log_model = _of_run("log_model")
mark_preempting = _of_run("mark_preempting")
pin_config_keys = _of_run("pin_config_keys")
restore = _of_run("restore")
save = _of_run("save")
unwatch = _of_run("unwatch")
use_artifact = _of_run("use_artifact")
use_model = _of_run("use_model")
watch = _of_run("watch")


def termlog(string: str = "", newline: bool = True, repeat: bool = True) -> None:
    """Log a message."""
    console.info("%s", string)


def termwarn(string: str, **_: Any) -> None:
    """Log a warning."""
    console.warning("%s", string)


def termerror(string: str, **_: Any) -> None:
    """Log an error."""
    console.error("%s", string)


class _OfCurrentRun:
    """Stands for a part of the current run, whichever that is when it is used."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _target(self) -> Any:
        name = object.__getattribute__(self, "_name")
        return getattr(require_run(f"{name} is used"), name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target(), name, value)

    def __getitem__(self, name: str) -> Any:
        return self._target()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._target()[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._target()

    def __iter__(self) -> Any:
        return iter(self._target())

    def __len__(self) -> int:
        return len(self._target())

    def __repr__(self) -> str:
        return f"<wandb.{object.__getattribute__(self, '_name')} of the current run>"


config: Config = _OfCurrentRun("config")  # type: ignore[assignment]
summary: Summary = _OfCurrentRun("summary")  # type: ignore[assignment]
