"""The target that a run records into: the journal's writer, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tracelet.journal.writing.values import as_number, as_step, flatten


class Recorder(Protocol):
    """Records points, rows and events. :class:`~tracelet.journal.Writer` does, and :class:`NullRecorder`."""

    #: Set while the interpreter exits: a daemon thread that records after the end then ends without a traceback.
    is_exiting: bool

    @property
    def id(self) -> str:
        """The writer's id."""

    @property
    def recorded(self) -> int:
        """The number of points that this process has recorded."""

    @property
    def dropped(self) -> dict[str, int]:
        """The number of points that could not be recorded, by reason."""

    def point(
        self, name: str, value: Any, step: Any = None, *, type: str = "scalar", source: str | None = None
    ) -> None:
        """Record one value of one metric."""

    def point_at(self, name: str, value: Any, step: Any, timestamp: float) -> None:
        """Record one value of one metric with the time that the caller gives."""

    def row(
        self,
        metrics: Mapping[str, Any],
        step: Any = None,
        *,
        type: str = "scalar",
        source: str | None = None,
    ) -> None:
        """Record values of several metrics at one step."""

    def event(self, type: str, payload: Mapping[str, Any]) -> None:
        """Record something that is not a number."""

    def check_open(self) -> None:
        """Raise NoActiveRunError if nothing can be recorded any more."""

    def drop(self, reason: str, count: int = 1) -> None:
        """Count values that could not be made into a record."""

    def sync(self) -> None:
        """Wait until the disk has everything that was recorded so far."""

    def close(self, outcome: str | None = None, error: str | None = None) -> None:
        """Record the outcome and stop."""


class NullRecorder:
    """Records nothing: for runs that are disabled and for ranks that do not record.

    It still checks values, so that a mistake shows in every mode.
    """

    id = "none"
    recorded = 0
    is_exiting = False

    @property
    def dropped(self) -> dict[str, int]:
        """Always empty: nothing was supposed to be kept."""
        return {}

    def point(
        self, name: str, value: Any, step: Any = None, *, type: str = "scalar", source: str | None = None
    ) -> None:
        """Check a value."""
        as_number(value, name)
        if step is not None:
            as_step(step, name)

    def point_at(self, name: str, value: Any, step: Any, timestamp: float) -> None:
        """Check a value."""
        self.point(name, value, step)

    def row(
        self,
        metrics: Mapping[str, Any],
        step: Any = None,
        *,
        type: str = "scalar",
        source: str | None = None,
    ) -> None:
        """Check the values."""
        for name, value in flatten(metrics).items():
            self.point(name, value, step)

    def event(self, type: str, payload: Mapping[str, Any]) -> None:
        """Ignore it."""

    def check_open(self) -> None:
        """Do nothing: it is always open."""

    def drop(self, reason: str, count: int = 1) -> None:
        """Count nothing: nothing was supposed to be kept."""

    def sync(self) -> None:
        """Nothing to wait for."""

    def close(self, outcome: str | None = None, error: str | None = None) -> None:
        """Nothing to close."""
