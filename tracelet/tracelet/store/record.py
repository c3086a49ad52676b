"""One recorded run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet import safe_files
from tracelet.errors import StoreError, UsageError
from tracelet.messages import did_you_mean
from tracelet.store import point_columns
from tracelet.store.accumulator import Summary
from tracelet.store.artifact import Artifact, find_artifact
from tracelet.store.console import Console, read_console
from tracelet.store.described_record import DescribedRecord
from tracelet.store.details import Details
from tracelet.store.frames import make_frame
from tracelet.store.goals import best_value, find_goal
from tracelet.store.history import History, Process
from tracelet.store.metric_keys import ALL, select_metrics
from tracelet.store.run_points import RunPoints
from tracelet.store.run_source import JournalSource, RunSource
from tracelet.store.series import Point, Series
from tracelet.store.series_tables import long_table, wide_table

_INTERNAL: Final = ("active", "running_since")  # of the details
_MAX_STATUS: Final = 1 << 20  # bytes


class Summaries:
    """The summaries of all runs of a list, fetched together at the first access."""

    def __init__(self, fetch: Callable[[list[str]], dict[str, dict[str, Summary]]], ids: list[str]) -> None:
        self._fetch = fetch
        self._ids = ids

    @cached_property
    def by_run(self) -> dict[str, dict[str, Summary]]:
        """The summaries by run id and metric."""
        return self._fetch(self._ids)


class Surroundings(NamedTuple):
    """What a record knows from its store: the project's rules about metrics, and how to find the run's children."""

    goals: Mapping[str, str] = {}  # by name or pattern of metrics
    find_children: Callable[[str], list[str]] | None = None


class RunRecord(DescribedRecord):
    """A run as of when it was read; :meth:`refresh` reads it again.

    Reading never writes into the run's folder and never disturbs a run that is still recording.
    """

    def __init__(
        self,
        run_dir: Path,
        details: Details,
        *,
        summaries: Summaries | None = None,
        surroundings: Surroundings | None = None,
        source: RunSource | None = None,
    ) -> None:
        super().__init__(run_dir, details)
        self._source = source or JournalSource(run_dir)
        self._surroundings = surroundings or Surroundings()
        self._summaries = summaries  # from the index, for the runs of a list

    @classmethod
    def read(
        cls,
        run_dir: Path,
        *,
        summaries: Summaries | None = None,
        last_time: Callable[[str], float] | None = None,
        surroundings: Surroundings | None = None,
        source: RunSource | None = None,
        history: History | None = None,
    ) -> RunRecord:
        """Read a run from its folder; the index provides what would otherwise take reading all of its points.

        ``source`` is where the data comes from, by default the journal in the folder. ``history`` is what the events of
        its journal add up to, if that is known.
        """
        source = source or JournalSource(run_dir)
        points: RunPoints | None = None
        if last_time is None:
            points = RunPoints(source, lambda: record._attempts())
            last_time = points.last_time
        details, history = source.read(last_time, history)
        record = cls(run_dir, details, summaries=summaries, surroundings=surroundings, source=source)
        if history is not None:
            record._history = history
        if points is not None:
            record._points = points
        return record

    def refresh(self) -> RunRecord:
        """Read the run again and return its current state."""
        source = self._source.renew()
        return RunRecord.read(self.dir, surroundings=self._surroundings, source=source)

    def without_points(self) -> RunRecord:
        """Return the same record without the points that it has read and holds."""
        other = copy.copy(self)
        other.__dict__.pop("_points", None)
        return other

    # --- the run itself --------------------------------------------------------------------------------------

    @property
    def location(self) -> str:
        """Where the run is: the path of its folder, or its URL in a lake."""
        return self._source.location

    @property
    def source(self) -> RunSource:
        """Where the record's data comes from: the journal in a folder, or a lake."""
        return self._source

    @property
    def children(self) -> list[str]:
        """The ids of the runs of the same store whose parent this run is, the oldest first."""
        find = self._surroundings.find_children
        return find(self.id) if find is not None else []

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """What collectors recorded besides metrics, by collector: ``run.facts["environment"]``."""
        return {source: facts.plain() for source, facts in self._history.facts.items()}

    @cached_property
    def artifacts(self) -> list[dict[str, Any]]:
        """The files and folders kept with the run, media included, in the order of recording.

        One whose paths lead out of the run's folder is left out and counted in ``damage``, as ``invalid``.
        """
        return [one.value for one in sorted(self._history.artifacts, key=lambda one: one.stamp)]

    def artifact(self, name: str) -> Artifact:
        """Return a file or folder by its name or its path, the one recorded last; ``open()`` reads it.

        Raises :class:`StoreError` if the run has none of this name.
        """
        return find_artifact(self._source, self.artifacts, name, self.id)

    def open_file(self, path: str) -> safe_files.Descriptor:
        """Open a file that the run lists, by its path in the run; from a lake, it is copied here first.

        Raises OSError.
        """
        self._source.fetch(path, self._digest(path))
        return safe_files.open_file(self.dir, path)

    def read_file(self, path: str, *, limit: int) -> bytes:
        """Return the contents of a file that the run lists, of at most ``limit`` bytes. Raises OSError."""
        self._source.fetch(path, self._digest(path))
        return safe_files.read_file(self.dir, path, limit=limit)

    def _digest(self, path: str) -> str | None:
        files = (file for one in self.artifacts for file in one["files"])
        return next((file["sha256"] for file in files if file["path"] == path), None)

    @cached_property
    def plugins(self) -> dict[str, dict[str, Any]]:
        """What each plugin cost, over all processes, until the run's end; before it, until a minute ago at most.

        By name: ``type``, ``version``, ``state``, ``error``, ``calls``, ``errors``, ``wall_s`` and ``cpu_s`` (seconds).
        """
        return self._history.plugin_costs

    @cached_property
    def overhead(self) -> dict[str, Any]:
        """What tracelet took of the program's time, in the process where its share was largest."""
        return self._history.overhead

    @property
    def writers(self) -> list[Process]:
        """The processes that recorded, in the order in which they began."""
        return sorted(self._history.recording, key=lambda one: one.age)

    @property
    def processes(self) -> list[Process]:
        """All processes that wrote to the run's journal, those that only edited it included."""
        return list(self._history.processes.values())

    @property
    def edits(self) -> list[dict[str, Any]]:
        """What was changed with ``tracelet edit``, ``store.edit`` or the page, oldest first.

        Each has ``at`` (seconds since the epoch), ``host`` and ``changes``: the new value of each field, ``tags``, or
        the names of removed tags as ``untag``.
        """
        return [one.value for one in sorted(self._history.edits, key=lambda one: one.stamp)]

    @property
    def dropped(self) -> dict[str, int]:
        """The number of points that could not be recorded, by reason."""
        return self._history.dropped

    @property
    def damage(self) -> dict[str, int]:
        """The number of records that could not be read, by kind; empty if there are none."""
        return self._points.damage

    @property
    def status(self) -> dict[str, Any]:
        """The state of delivery, by backend."""
        try:
            names = sorted(safe_files.list_folder(self.dir, "delivery"))
        except OSError:
            return {}
        return {
            Path(name).stem: self._read_status(f"delivery/{name}") for name in names if name.endswith(".json")
        }

    # --- metrics --------------------------------------------------------------------------------

    def metrics(self) -> list[str]:
        """Return the names of the metrics, sorted."""
        known = self._known_summaries()
        return sorted(self._points.all if known is None else known)

    def metric(self, name: str) -> Series:
        """Return the points of one metric. Raises :class:`StoreError` if the run has no metric of this name.

        If a collector recorded a metric under the same name as the program, its points are in ``NAME@COLLECTOR``.
        """
        points = self._points.of(name)
        if points is None:
            meant = did_you_mean(name, self.metrics())
            raise StoreError(f"run {self.name} ({self.id}) has no metric {name!r}{meant}", metric=name)
        return Series.of(name, points, self.id)

    def series(self, names: str | Iterable[str] = ALL, *, missing_ok: bool = False) -> list[Series]:
        """Return several metrics, by names and patterns (``"train/*"``, ``"!train/debug/*"``).

        A text that is exactly the name of a metric selects that metric, even if it looks like a pattern. Raises
        :class:`StoreError` for a name that the run does not have, unless it may be missing.
        """
        if names == ALL:
            return [Series.of(name, points, self.id) for name, points in sorted(self._points.all.items())]
        selected = select_metrics(names, self.metrics(), missing_ok=missing_ok)
        return [Series.of(name, points, self.id) for name, points in self._points.some(selected).items()]

    def summary(self) -> dict[str, Summary]:
        """Return the statistics of each metric: last, min, max, mean, count, last step, first and last time."""
        known = self._known_summaries()
        return {series.name: series.summary for series in self.series()} if known is None else known

    def _known_summaries(self) -> dict[str, Summary] | None:
        """Return the statistics as far as they are known without reading all points."""
        if self._summaries is not None:
            return self._summaries.by_run.get(self.id, {})
        return self._source.summaries()

    def goal(self, metric: str) -> str | None:
        """Return which value of a metric counts: ``min``, ``max`` or ``last``; ``None`` if nothing says so.

        The run's own rule (:meth:`Run.define_metric`) decides, then ``[goals]`` of the project's configuration, then
        the words of the metric's name.
        """
        return find_goal(metric, self._details.goals, self._surroundings.goals)

    def best(self, metric: str) -> Point | None:
        """Return the point of a metric with the best value, the first of several, ``None`` if there is no rule.

        Raises :class:`StoreError` if the run has no such metric.
        """
        series = self.metric(metric)
        value = best_value(series.summary, goal := self.goal(metric))
        if value is None:
            return None
        return series[-1] if goal == "last" else series[point_columns.find_value(series.points.values, value)]

    def dataframe(
        self, names: str | Iterable[str] | None = None, *, layout: str = "wide", library: str | None = None
    ) -> Any:
        """Return metrics as one DataFrame.

        Args:
            names: names and patterns. Without any, all metrics except those of type ``system``, whose iterations
                are ticks and not steps.
            layout: ``wide`` has a row per step, with the column ``iteration`` and one column per metric (the last of
                several values at a step); ``long`` has a row per point: ``metric``, ``iteration``, ``value``,
                ``timestamp``.
            library: ``pandas``, ``polars`` or ``arrow``, by default the first that is installed.
        """
        if layout not in ("wide", "long"):
            raise UsageError(f"dataframe: expected layout 'wide' or 'long', found {layout!r}")
        several = self.series(ALL if names is None else names)
        if names is None:
            several = [series for series in several if series.type != "system"]
        return make_frame(wide_table(several) if layout == "wide" else long_table(several), library)

    def plot(
        self,
        *metrics: str,
        x: str = "step",
        smoothing: float = 0.0,
        log: bool = False,
        points: int = 2000,
        library: str | None = None,
    ) -> Any:
        """Return curves as a figure: a ``plotly.graph_objects.Figure`` or a ``matplotlib.figure.Figure``.

        Args:
            metrics: names and patterns; by default the program's own metrics. Each has a panel.
            x: ``step``, ``time`` (seconds since the first point) or ``wall`` (the date and time).
            smoothing: from 0 (none) to below 1: the weight of the past in an average over about one mean step. The
                recorded values stay visible behind it.
            log: whether the vertical axis is logarithmic.
            points: the approximate maximum number of points of a line. Longer ones are downsampled, keeping peaks.
            library: ``plotly`` or ``matplotlib``, by default the first that is installed.

        Raises :class:`StoreError` for a name that the run does not have, and :class:`MissingExtraError` (an
        ``ImportError``) if neither library is installed.
        """
        from tracelet.store.plotting import MOST_PANELS, plot
        from tracelet.store.plotting_panels import Style

        several = self.series(list(metrics) or ALL)
        if not metrics:
            several = [series for series in several if series.type != "system"][:MOST_PANELS]
        return plot(several, Style(x, smoothing, log, points), {self.id: self.name}, library)

    def console(self) -> Console:
        """Return what the program printed: a sequence of lines with their times, empty if none was recorded."""
        return read_console(self.dir)

    def to_dict(self, names: str | Iterable[str] | None = ALL) -> dict[str, Any]:
        """Return the whole run as plain values. ``names=None`` leaves the points out."""
        return {
            **{key: value for key, value in self._details._asdict().items() if key not in _INTERNAL},
            "dir": self.location,
            "duration": self.duration,
            "facts": self.facts,
            "artifacts": self.artifacts,
            "edits": self.edits,
            "dropped": self.dropped,
            "plugins": self.plugins,
            "overhead": self.overhead,
            "summary": self.summary(),
            "metrics": [series.to_dict() for series in (self.series(names) if names is not None else [])],
        }

    @cached_property
    def _points(self) -> RunPoints:
        return RunPoints(self._source, lambda: self._attempts())

    def _attempts(self) -> Mapping[str, int]:
        return {process.id: process.attempt for process in self._history.processes.values()}

    @cached_property
    def _history(self) -> History:
        return self._source.history()

    def _read_status(self, path: str) -> Any:
        try:
            return json.loads(safe_files.read_file(self.dir, path, limit=_MAX_STATUS))
        except (OSError, ValueError, RecursionError) as error:
            return {"problem": f"cannot be read: {error}"}

    def _repr_html_(self) -> str:
        from tracelet.store.html import record_html

        return record_html(self)

    def _ipython_display_(self) -> None:
        from tracelet.store.notebook import in_notebook, show_live

        if self.outcome != "running" or not in_notebook():
            raise NotImplementedError  # IPython then shows what the other methods return
        show_live(self.id, self._render)

    def _render(self) -> tuple[str, bool]:
        """Return the run as it is now, and whether it goes on."""
        record = self.refresh()
        return record._repr_html_(), record.outcome == "running"

    def __repr__(self) -> str:
        return f"<RunRecord {self.name} ({self.id}), {self.outcome}>"
