"""The run document: what a list of runs needs, of all processes of a run.

Each process that delivers replaces what it knows of its own writers and keeps the rest. Nothing here does I/O.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tracelet_builtin_plugins.backends.lake.mapping import NOT_IN_DOCUMENT
from tracelet_hookspecs import MetricData, RunView
from tracelet_hookspecs.lake_layout import FORMAT, Place, place_text, read_place
from tracelet_hookspecs.lake_summary import describe_run
from tracelet_hookspecs.statistics import MetricAccumulator, PointColumns

__all__ = ["RunDocument", "WriterState"]

NO_STEP: Final = -(1 << 63)  # as in the journal
BEFORE_ALL: Final = Place(-1)
RUNNING: Final = "running"
Key = tuple[str, str, str | None]


class _Columns:
    """Points as columns."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: list[float] = []
        self.times: list[float] = []


class WriterState:
    """What the document says of one writer."""

    def __init__(self, entry: Mapping[str, Any] | None = None) -> None:
        entry = entry or {}
        self.rank: int | None = entry.get("rank")
        self.at = (
            read_place(entry["at"]) if "at" in entry else BEFORE_ALL
        )  # the last record of which it has all
        self.state: str = entry.get("state", RUNNING)
        self.seen_at: float = entry.get("seen_at", 0.0)
        self.events: list[list[Any]] = list(entry.get("events", ()))
        found = ((name, MetricAccumulator.from_json(values)) for name, values in entry.get("metrics", ()))
        self.metrics: dict[Key, MetricAccumulator] = {
            (name, one.type, one.source): one for name, one in found
        }

    @property
    def attempt(self) -> int:
        """How often the run had been resumed when the writer began."""
        first: Mapping[str, Any] = self.events[0][2] if self.events and self.events[0][1] == "writer" else {}
        return int(first.get("attempt") or bool(first.get("resumed")))

    def add_event(self, place: Place, type: str, payload: Mapping[str, Any], time: float) -> None:
        """Take in an event, unless it is a repeat."""
        if place <= self.at:
            return
        if type == "writer":
            rank = payload.get("rank")
            self.rank = rank if isinstance(rank, int) else None
        if type not in NOT_IN_DOCUMENT:
            self.events.append([place.sequence, type, payload, time])
        if type == "outcome":
            self.state = "ended"
        self._move(place, time)

    def add_points(self, points: Sequence[MetricData]) -> None:
        """Take in points, in the order of recording, without repeats."""
        groups: dict[Key, _Columns] = {}
        at = self.at
        for point in points:
            if point.id[1:] <= at:  # type: ignore[index]
                continue
            key = (point.name, point.type._value_, point.source)
            columns = groups.get(key)
            if columns is None:
                columns = groups[key] = _Columns()
            columns.steps.append(NO_STEP if point.iteration is None else point.iteration)
            columns.values.append(float(point.value))
            columns.times.append(float(point.timestamp or 0.0))
        last = points[-1]
        place = Place(*last.id[1:])  # type: ignore[index]
        self.add_series(groups.items(), place, float(last.timestamp or 0.0))

    def add_series(self, groups: Iterable[tuple[Key, PointColumns]], place: Place, time: float) -> None:
        """Take in the points of each metric, none of which is a repeat; the last one was at this place and time."""
        for key, columns in groups:
            if key not in self.metrics:
                self.metrics[key] = MetricAccumulator(key[1], key[2], self.attempt)
            self.metrics[key].add(columns)
        self._move(place, time)

    def _move(self, place: Place, time: float) -> None:
        self.at = max(self.at, place)
        self.seen_at = max(self.seen_at, time)

    def entry(self) -> dict[str, Any]:
        """Return it as the document has it."""
        return {
            "rank": self.rank,
            "through": self.at.sequence + 1,
            "at": place_text(self.at),
            "state": self.state,
            "seen_at": self.seen_at,
            "events": self.events,
            "metrics": [[key[0], one.to_json()] for key, one in sorted(self.metrics.items(), key=_order)],
        }


def _order(item: tuple[Key, Any]) -> tuple[str, str, str]:
    name, type, source = item[0]
    return name, type, source or ""


def _is_entry(entry: Any) -> bool:
    """Say whether an entry can be read: a run's folder may come from somebody else."""
    try:
        return WriterState(entry).at != BEFORE_ALL
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError):
        return False


class RunDocument:
    """The document of one run, as one process that delivers knows it."""

    def __init__(self, run: RunView, kept: Mapping[str, Any] | None = None, alive_for: float = 900.0) -> None:
        """``kept`` are entries that an earlier process has left on this host, perhaps without storing them.

        ``alive_for`` is how long, in seconds, a live run may leave its document as it is.
        """
        self._run = run
        self._alive_for = alive_for
        self._kept = {name: entry for name, entry in (kept or {}).items() if _is_entry(entry)}
        self.base: dict[str, Any] = {}  # as it was read last
        self.own: dict[str, WriterState] = {}  # the writers that this process has delivered of
        self.outcome: str | None = None

    def learn(self, data: bytes | None) -> None:
        """Take in the document as others left it. Raises ``ValueError`` for one of a later version."""
        found = json.loads(data) if data else {}
        if found.get("format", FORMAT) > FORMAT:
            raise ValueError(
                f"run {self._run.id}: expected a run document of format {FORMAT} or older, found {found['format']};"
                " upgrade tracelet on this machine"
            )
        self.base = found
        for writer, entry in self._kept.items():
            self._add_kept(writer, entry)
        for writer, state in self.own.items():
            other = self._entry(writer)
            if other is not None and read_place(other["at"]) > state.at:
                self.own[writer] = WriterState(other)

    def _add_kept(self, writer: str, entry: Mapping[str, Any]) -> None:
        """Add what is on this host only."""
        known = self._entry(writer)
        if known is None or read_place(entry["at"]) > read_place(known["at"]):
            self.base["writers"] = {**self.base.get("writers", {}), writer: entry}

    def kept(self) -> dict[str, Any]:
        """Return the entries that the next process on this host needs, if this one is killed."""
        self._kept |= {name: one.entry() for name, one in self.own.items()}
        return self._kept

    def _entry(self, writer: str) -> Mapping[str, Any] | None:
        entry = self.base.get("writers", {}).get(writer)
        return entry if isinstance(entry, Mapping) and "at" in entry else None

    def writer(self, name: str) -> WriterState:
        """Return the state of a writer that this process delivers of."""
        if name not in self.own:
            self.own[name] = WriterState(self._entry(name))
        return self.own[name]

    @property
    def is_live(self) -> bool:
        """Whether the run's own process delivers, for the one that decides the outcome, and has not ended it."""
        is_part = getattr(self._run, "is_part", False)
        return self.outcome is None and not is_part and getattr(self._run, "ended_at", None) is None

    def is_primary(self) -> bool:
        """Say whether this process delivers for the one that decides the run's outcome: the only one, or rank 0."""
        return not getattr(self._run, "is_part", False) and any(not state.rank for state in self.own.values())

    def end(self, outcome: str, states: Mapping[str, Any] | None) -> None:
        """Take in how the run ended. ``states`` are those of its writers, if known."""
        self.outcome = outcome
        for writer, state in self.own.items():
            known = (states or {}).get(writer)
            if known:
                is_ending = known[0] == RUNNING and outcome != RUNNING  # its journal is closed a moment later
                state.state = "ended" if is_ending else str(known[0])
                state.seen_at = max(state.seen_at, float(known[1]))
            elif outcome != RUNNING:
                state.state = "ended"

    def end_part(self, states: Mapping[str, Any]) -> None:
        """Take in that this process leaves the others of its host, whose rank zero is elsewhere."""
        for writer in states:
            if self._entry(writer) is not None:  # of a process that delivered before this one
                self.writer(writer)
        for writer, state in self.own.items():
            known = states.get(writer, (state.state, state.seen_at))
            state.state = "ended" if known[0] == RUNNING else str(known[0])
            state.seen_at = max(state.seen_at, float(known[1]))

    def render(self) -> bytes:
        """Return the document with all that is known."""
        writers = {**self.base.get("writers", {}), **{name: one.entry() for name, one in self.own.items()}}
        outcome = self.base.get("outcome", RUNNING)
        if self.outcome is not None and (self.is_primary() or not self.own or self.outcome != "finished"):
            outcome = self.outcome
        elif self.own and self.is_primary():
            outcome = RUNNING
        run = self._run
        about: dict[str, Any] = {
            "id": run.id,
            "name": run.name,
            "project": run.project,
            "started_at": run.started_at,
        }
        about |= {key: self.base[key] for key in ("alive_at", "alive_for") if key in self.base}
        if self.is_live:
            about |= {"alive_at": time.time(), "alive_for": self._alive_for}
        document = describe_run(about, outcome, writers)
        return json.dumps(document, separators=(",", ":")).encode()
