"""The run that the functions of the module record into."""

from __future__ import annotations

from typing import Any

from tracelet.compat.wandb.errors import Error

Run = Any  # the class itself imports this module
_current: list[Run] = []


def current_run() -> Run | None:
    """Return the run that ``wandb.init`` has started and that has not ended."""
    return _current[-1] if _current else None


def require_run(call: str) -> Run:
    """Return the current run.

    Raises:
        Error: there is none.
    """
    if not _current:
        raise Error(f"You must call wandb.init() before wandb.{call}")
    return _current[-1]


def add_run(run: Run) -> None:
    """Make a run the current one."""
    _current.append(run)


def remove_run(run: Run) -> None:
    """Forget a run that has ended."""
    if run in _current:
        _current.remove(run)
