"""What the events of a run add up to: its name, parameters, tags, processes and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tracelet.journal import EventRecord
from tracelet.store.event_values import (
    check_time,
    complete_artifact,
    complete_costs,
    complete_files,
    complete_overhead,
)
from tracelet.store.latest_values import LatestValues, Stamp, Stamped

_COSTS: Final = ("calls", "errors", "wall_s", "cpu_s")


@dataclass
class Process:
    """One process of a run, by what it wrote. ``facts`` is everything that it recorded about itself."""

    id: str
    facts: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    last_event: float = 0.0  # the latest time of an event so far: it never runs backwards
    closed: bool = False
    outcome: str | None = None
    error: str | None = None
    ended_at: float | None = None
    drops: dict[str, int] = field(default_factory=dict)

    @property
    def rank(self) -> int | None:
        """The rank within its job, if there is one."""
        rank: int | None = self.facts.get("rank")
        return rank

    @property
    def attempt(self) -> int:
        """How often the run had been resumed when this process began."""
        attempt: int | None = self.facts.get("attempt")
        return attempt if attempt is not None else int(bool(self.facts.get("resumed")))

    @property
    def host(self) -> str | None:
        """The machine that it ran on."""
        return self.facts.get("host")

    @property
    def pid(self) -> int | None:
        """Its process id on that machine."""
        return self.facts.get("pid")

    @property
    def is_child(self) -> bool:
        """Whether it was forked from a process of the run. Such a process does not decide how the run went."""
        return self.facts.get("owner") is not None

    @property
    def is_edit(self) -> bool:
        """Whether it only changed the run's name, tags or the like, and took no part in the run itself."""
        return self.facts.get("edit") is True

    @property
    def age(self) -> tuple[int, float, str]:
        """A key that sorts processes by when they began."""
        return (self.attempt, self.started_at or 0.0, self.id)


@dataclass
class History:
    """Everything that the events of a run say; a brief one leaves out facts, artifacts and costs."""

    brief: bool = False
    opened: dict[str, Stamped] = field(
        default_factory=dict
    )  # what processes said of the run: the first counts
    changed: LatestValues = field(
        default_factory=LatestValues
    )  # later changes of the run's name and the like
    params: LatestValues = field(default_factory=LatestValues)
    tags: LatestValues = field(default_factory=LatestValues)
    goals: LatestValues = field(default_factory=LatestValues)  # by name or pattern of metrics
    edits: list[Stamped] = field(default_factory=list)
    facts: dict[str, LatestValues] = field(default_factory=dict)
    artifacts: list[Stamped] = field(default_factory=list)
    costs: dict[str, dict[str, Any]] = field(default_factory=dict)  # of plugins and overhead, by process
    processes: dict[str, Process] = field(default_factory=dict)

    def add_event(self, writer: str, event: EventRecord) -> None:
        """Take in one event of one writer. An event of an unknown type changes nothing."""
        process = self.processes.setdefault(writer, Process(writer))
        process.last_event = max(process.last_event, check_time(event.time) or 0.0)
        handler = _HANDLERS.get(event.type)
        if handler is None or (self.brief and event.type in _LEFT_OUT_IF_BRIEF):
            return
        stamp = (process.attempt, process.last_event, writer, event.seq)
        handler(self, process, event.payload, stamp)
        if process.is_edit and event.type in _EDITS and not self.brief:
            edit = {"at": event.time, "host": process.host, "changes": _changes(event)}
            self.edits.append(Stamped(edit, stamp, stamp))
        if event.type == "outcome":
            process.ended_at = check_time(event.time) or process.last_event

    def _add_writer(self, process: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        process.facts = payload
        process.started_at = check_time(payload.get("started_at")) or stamp[1]
        if process.is_edit:  # it replaces what it has seen, whatever its clock says
            process.last_event = max(process.last_event, check_time(payload.get("after")) or 0.0)
            return
        stamp = (process.attempt, *stamp[1:])
        for key, value in _without_none(payload.get("run")).items():
            known = self.opened.get(key)
            if known is None or stamp < known.stamp:
                self.opened[key] = Stamped(value, stamp, stamp)

    def _add_run(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.changed.record(_without_none(payload), stamp)

    def _add_params(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.params.record(payload["params"], stamp)

    def _add_tags(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.tags.record(payload["tags"], stamp)

    def _remove_tags(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.tags.remove(payload["tags"], stamp)

    def _add_goal(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.goals.record({payload["name"]: payload["goal"]}, stamp)

    def _add_fact(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        source = payload.get("source") or ""
        self.facts.setdefault(source, LatestValues()).record(payload["facts"], stamp)

    def _add_artifact(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.artifacts.append(Stamped(complete_artifact(payload), stamp, stamp))

    def _add_artifact_files(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        """Add to the list of files of an artifact that has too many for one event."""
        for artifact in reversed(self.artifacts):
            if artifact.value["path"] == payload["path"] and artifact.stamp[2] == stamp[2]:
                artifact.value["files"] += complete_files(payload["files"])
                return

    def _add_costs(self, process: Process, payload: dict[str, Any], _: Stamp) -> None:
        self.costs[process.id] = {
            "plugins": complete_costs(payload.get("plugins")),
            "overhead": complete_overhead(payload.get("overhead")),
        }

    def _add_drops(self, process: Process, payload: dict[str, Any], _: Stamp) -> None:
        for reason, count in payload["drops"].items():  # each event counts all drops so far
            process.drops[reason] = max(process.drops.get(reason, 0), count)

    def _add_outcome(self, process: Process, payload: dict[str, Any], _: Stamp) -> None:
        process.closed = True
        process.outcome = payload.get("outcome")
        process.error = payload.get("error")

    def to_json(self) -> dict[str, Any]:
        """Return a brief history as values that ``json`` can write."""
        return {
            "opened": self.opened,
            "changed": self.changed,
            "params": self.params,
            "tags": self.tags,
            "goals": self.goals,
            "processes": [asdict(process) for process in self.processes.values()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> History:
        """Return the brief history that :meth:`to_json` described."""
        opened, changed, params, tags, goals = (
            LatestValues.from_json(data[key]) for key in ("opened", "changed", "params", "tags", "goals")
        )
        processes = {one["id"]: Process(**one) for one in data["processes"]}
        return cls(True, opened, changed, params, tags, goals, processes=processes)

    @property
    def run(self) -> dict[str, Any]:
        """What is known of the run itself: name, project, ..."""
        return {key: stamped.value for key, stamped in {**self.opened, **self.changed}.items()}

    @property
    def recording(self) -> list[Process]:
        """The processes that took part in the run, without those that only edited it."""
        return [process for process in self.processes.values() if not process.is_edit]

    @property
    def started_at(self) -> float | None:
        """When the first process began."""
        return min((p.started_at for p in self.recording if p.started_at is not None), default=None)

    @property
    def dropped(self) -> dict[str, int]:
        """The number of points that could not be recorded, by reason, over all processes."""
        total: dict[str, int] = {}
        for process in self.processes.values():
            for reason, count in process.drops.items():
                total[reason] = total.get(reason, 0) + count
        return total

    @property
    def plugin_costs(self) -> dict[str, dict[str, Any]]:
        """What each plugin cost over all processes. Counts are added up; an error outweighs any other state."""
        total: dict[str, dict[str, Any]] = {}
        for costs in self.costs.values():
            for name, plugin in costs["plugins"].items():
                known = total.get(name, {})
                kept = known if known.get("state") == "error" else plugin
                total[name] = {**kept, **{key: known.get(key, 0) + plugin[key] for key in _COSTS}}
        return total

    @property
    def overhead(self) -> dict[str, Any]:
        """What tracelet took of the program's time in the process where its share was largest."""
        several = [costs["overhead"] for costs in self.costs.values() if costs["overhead"]]
        return max(several, key=lambda one: float(one["share"]), default={})


def _changes(event: EventRecord) -> dict[str, Any]:
    """Return what an edit changed: the run's own fields, tags, or the names of removed tags."""
    if event.type == "run":
        return dict(event.payload)
    key = "untag" if event.type == "untag" else "tags"
    return {key: event.payload["tags"]}


def _without_none(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (values or {}).items() if value is not None}


_EDITS: Final = ("run", "tags", "untag")
_LEFT_OUT_IF_BRIEF: Final = ("fact", "artifact", "artifact_files", "plugins")
_HANDLERS: Final[dict[str, Callable[[History, Process, dict[str, Any], Stamp], None]]] = {
    "writer": History._add_writer,
    "run": History._add_run,
    "params": History._add_params,
    "tags": History._add_tags,
    "untag": History._remove_tags,
    "metric": History._add_goal,
    "fact": History._add_fact,
    "artifact": History._add_artifact,
    "artifact_files": History._add_artifact_files,
    "plugins": History._add_costs,
    "drops": History._add_drops,
    "outcome": History._add_outcome,
}
