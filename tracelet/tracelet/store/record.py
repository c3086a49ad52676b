"""One run, read back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from tracelet.errors import StoreError, UsageError
from tracelet.messages import did_you_mean
from tracelet.store.accounts import summed
from tracelet.store.details import Details, read_details
from tracelet.store.frames import frame
from tracelet.store.history import History, Process
from tracelet.store.naming import chosen
from tracelet.store.outcome import RUNNING
from tracelet.store.points import PointsOfRun
from tracelet.store.series import Series
from tracelet.store.tally import Summary
from tracelet.store.wide import long_table, wide_table


class Summaries:
    """The summaries of the runs of one list, fetched together when the first of them is asked for."""

    def __init__(self, fetch: Callable[[list[str]], dict[str, dict[str, Summary]]], ids: list[str]) -> None:
        self._fetch = fetch
        self._ids = ids

    @cached_property
    def by_run(self) -> dict[str, dict[str, Summary]]:
        """The summaries by run id and metric."""
        return self._fetch(self._ids)


class RunRecord:
    """A run as it was when it was looked at; :meth:`refresh` looks again.

    Reading never writes into the run's folder, and never disturbs a run that is still going.
    """

    def __init__(self, run_dir: Path, details: Details, *, summaries: Summaries | None = None) -> None:
        self.dir = run_dir
        self._details = details
        self._summaries = summaries  # from the index, for the runs of a list

    @classmethod
    def read(
        cls,
        run_dir: Path,
        *,
        summaries: Summaries | None = None,
        last_time: Callable[[str], float] | None = None,
    ) -> RunRecord:
        """Read a run from its folder, and from the index what would take reading all of its points."""
        points = PointsOfRun(run_dir)
        details, history = read_details(run_dir, points.last_time if last_time is None else last_time)
        record = cls(run_dir, details, summaries=summaries)
        record._history, record._points = history, points
        return record

    def refresh(self) -> RunRecord:
        """Return the same run as it is now."""
        return RunRecord.read(self.dir)

    # --- what it is --------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run's id, which no other run has."""
        return self._details.id

    @property
    def name(self) -> str:
        """The run's name, which others may have too."""
        return self._details.name

    @property
    def project(self) -> str:
        """What the run belongs to."""
        return self._details.project

    @property
    def started_at(self) -> float:
        """When the run began, in seconds since the epoch."""
        return self._details.started_at

    @property
    def ended_at(self) -> float | None:
        """When the run ended, or gave its last sign of life; ``None`` while it is running."""
        return self._details.ended_at

    @property
    def duration(self) -> float:
        """How long the run took, or has taken so far, in seconds."""
        end = time.time() if self.outcome == RUNNING else self.ended_at
        return max(0.0, (end if end is not None else self.started_at) - self.started_at)

    @property
    def outcome(self) -> str:
        """``running``, ``finished``, ``failed``, ``killed``, what the program said, or ``unreadable``."""
        return self._details.outcome

    @property
    def error(self) -> str | None:
        """The text of the exception that ended the run."""
        return self._details.error

    @property
    def host(self) -> str | None:
        """The machine that the run began on."""
        return self._details.host

    @property
    def params(self) -> dict[str, Any]:
        """The parameters; a later value has replaced an earlier one."""
        return self._details.params

    @property
    def tags(self) -> dict[str, Any]:
        """The tags."""
        return self._details.tags

    @property
    def problem(self) -> str | None:
        """Why the run cannot be read, ``None`` where it can."""
        return self._details.problem

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """What collectors found out that is no number, by collector: ``run.facts["environment"]``."""
        return {source: said.plain() for source, said in self._history.facts.items()}

    @cached_property
    def artifacts(self) -> list[dict[str, Any]]:
        """Files and folders that were kept, media included, in the order of recording."""
        return [word.value for word in sorted(self._history.artifacts, key=lambda word: word.stamp)]

    @cached_property
    def plugins(self) -> dict[str, dict[str, Any]]:
        """What each plugin was and has cost, as of the run's end, all processes together; none of a killed run.

        By name: ``type``, ``version``, ``state``, ``error``, ``calls``, ``errors``, ``wall_s`` and ``cpu_s`` (seconds).
        """
        return summed(account.get("plugins") for account in self._history.accounts.values())

    @cached_property
    def overhead(self) -> dict[str, Any]:
        """What tracelet took of the program's time, as in ``run.status()``; of several processes, where it was most."""
        several = [account.get("overhead") or {} for account in self._history.accounts.values()]
        return max(several, key=lambda one: one.get("share", 0.0), default={})

    @property
    def writers(self) -> list[Process]:
        """The processes that recorded, in the order in which they began."""
        return sorted(self._history.processes.values(), key=lambda one: (one.started_at or 0.0, one.id))

    @property
    def dropped(self) -> dict[str, int]:
        """How many points could not be recorded, by reason."""
        return self._history.dropped

    @property
    def damage(self) -> dict[str, int]:
        """What of the journal could not be read, by kind; empty where all of it could."""
        return self._points.damage

    @property
    def status(self) -> dict[str, Any]:
        """How far delivery had come, by backend."""
        return {file.stem: _read_json(file) for file in sorted((self.dir / "delivery").glob("*.json"))}

    # --- what it measured --------------------------------------------------------------------------------

    def metrics(self) -> list[str]:
        """Return the names of the metrics, sorted."""
        return sorted(self.summary() if self._summaries is not None else self._points.all)

    def metric(self, name: str) -> Series:
        """Return the points of one metric. Raises :class:`StoreError` for a name that the run does not have."""
        columns = self._points.of(name)
        if columns is None:
            meant = did_you_mean(name, self._points.all)
            raise StoreError(f"run {self.name} ({self.id}) has no metric {name!r}{meant}", metric=name)
        return Series.of(name, columns, self.id)

    def series(self, names: str | Iterable[str] = "*", *, missing_ok: bool = False) -> list[Series]:
        """Return several metrics: names and patterns (``"train/*"``, ``"!train/debug/*"``).

        Raises :class:`StoreError` for a name that the run does not have, unless it may be missing.
        """
        columns = self._points.some(chosen(names, self.metrics(), missing_ok))
        return [Series.of(name, several, self.id) for name, several in columns.items()]

    def summary(self) -> dict[str, Summary]:
        """Return each metric in a few numbers: last, min, max, mean, count, last step, first and last time."""
        if self._summaries is not None:
            return self._summaries.by_run.get(self.id, {})
        return {series.name: series.summary for series in self.series()}

    def dataframe(
        self, names: str | Iterable[str] | None = None, *, layout: str = "wide", library: str | None = None
    ) -> Any:
        """Return metrics as one DataFrame.

        Args:
            names: names and patterns; without any, all but those of type ``system``, which count ticks, not steps.
            layout: ``wide`` has the column ``iteration`` and one per metric, a row per step (of several points at a
                step the last); ``long`` has ``metric``, ``iteration``, ``value`` and ``timestamp``, a row per point.
            library: ``pandas``, ``polars`` or ``arrow``; by default the first that is installed.
        """
        if layout not in ("wide", "long"):
            raise UsageError(f"dataframe: expected layout 'wide' or 'long', found {layout!r}")
        several = self.series("*" if names is None else names)
        if names is None:
            several = [series for series in several if series.type != "system"]
        return frame(wide_table(several) if layout == "wide" else long_table(several), library)

    def to_dict(self, names: str | Iterable[str] | None = "*") -> dict[str, Any]:
        """Return all there is to know as plain values. ``names=None`` leaves the points out."""
        return {
            **self._details._asdict(),
            "dir": str(self.dir),
            "duration": self.duration,
            "facts": self.facts,
            "artifacts": self.artifacts,
            "dropped": self.dropped,
            "plugins": self.plugins,
            "overhead": self.overhead,
            "summary": self.summary(),
            "metrics": [series.to_dict() for series in (self.series(names) if names is not None else [])],
        }

    @cached_property
    def _points(self) -> PointsOfRun:
        return PointsOfRun(self.dir)

    @cached_property
    def _history(self) -> History:
        return read_details(self.dir, self._points.last_time)[1]

    def __repr__(self) -> str:
        return f"<RunRecord {self.name} ({self.id}), {self.outcome}>"


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        return {"problem": f"cannot be read: {error}"}
