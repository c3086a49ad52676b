"""What drawing needs of a series, a run and a store.

The classes themselves draw themselves, so the modules that draw import none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from tracelet.journal import Part
from tracelet.store.accumulator import Summary
from tracelet.store.point_columns import Points


class Origin(Protocol):
    """What each process recorded of a metric; see :class:`tracelet.store.series.MetricColumns`."""

    @property
    def parts(self) -> Sequence[Part]:
        """The stretches of the columns that belong to the metric."""

    @property
    def attempts(self) -> Callable[[], Mapping[str, int]]:
        """A function that returns each writer's attempt."""

    def merge(self, parts: Sequence[Part]) -> tuple[Points, Any | None]:
        """Return the points of some parts in one order."""


class DrawableSeries(Protocol):
    """One metric of one run; see :class:`tracelet.store.Series`."""

    name: str
    run: str
    points: Points

    @property
    def iterations(self) -> list[int]:
        """The steps."""

    @property
    def last(self) -> float:
        """The value recorded last."""

    @property
    def origin(self) -> Origin | None:
        """What each process of the run recorded; ``None`` for a selection of points."""

    def downsample(self, points: int) -> DrawableSeries:
        """Return at most so many points, the peaks among them."""

    def replaced_by(self, points: Points) -> DrawableSeries:
        """Return the same metric with other points."""

    def __len__(self) -> int: ...


class DrawableRun(Protocol):
    """A run; see :class:`tracelet.store.RunRecord`."""

    @property
    def id(self) -> str:
        """The run's id."""

    @property
    def name(self) -> str:
        """The run's name."""

    @property
    def project(self) -> str:
        """The run's project."""

    @property
    def group(self) -> str | None:
        """The run's group."""

    @property
    def notes(self) -> str | None:
        """Notes."""

    @property
    def started_at(self) -> float:
        """When the run began, in seconds since the epoch."""

    @property
    def duration(self) -> float:
        """How long it was active, in seconds."""

    @property
    def outcome(self) -> str:
        """How it ended."""

    @property
    def problem(self) -> str | None:
        """Why it cannot be read."""

    @property
    def error(self) -> str | None:
        """The exception that ended it."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters."""

    @property
    def tags(self) -> Mapping[str, Any]:
        """The tags."""

    def summary(self) -> dict[str, Summary]:
        """Return the statistics of each metric."""

    def goal(self, metric: str) -> str | None:
        """Return which value of a metric counts."""

    def series(self, names: Iterable[str], *, missing_ok: bool) -> Sequence[DrawableSeries]:
        """Return several metrics."""


class DrawableStore(Protocol):
    """A store; see :class:`tracelet.store.Store`."""

    @property
    def location(self) -> str:
        """Where the runs are."""

    def runs(self, *, limit: int) -> Sequence[DrawableRun]:
        """Return the newest runs."""
