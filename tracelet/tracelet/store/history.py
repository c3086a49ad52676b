"""What the events of a run add up to: its name, parameters, tags, processes, files.

Several processes may record into one run, and a reader sees their events in any order. So whatever can be
said twice carries a stamp (time, writer, sequence), and the later word counts, in whatever order it is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from tracelet.journal import EventRecord

Stamp = tuple[float, str, int]  # time, writer, sequence


class Stamped(NamedTuple):
    """A value, when it was said, and when anything was said about its key for the first time."""

    value: Any
    stamp: Stamp
    first: Stamp


class LatestValues(dict[str, Stamped]):
    """Values by key; the latest word about a key counts."""

    def hear(self, values: Mapping[str, Any], stamp: Stamp) -> None:
        """Take in what was said at a time."""
        for key, value in values.items():
            known = self.get(str(key))
            if known is None:
                self[str(key)] = Stamped(value, stamp, stamp)
            else:
                latest = (value, stamp) if known.stamp <= stamp else known[:2]
                self[str(key)] = Stamped(*latest, min(known.first, stamp))

    def plain(self) -> dict[str, Any]:
        """Return the values alone, in the order in which their keys were first heard of."""
        return {key: self[key].value for key in sorted(self, key=lambda key: self[key].first)}


@dataclass
class Process:
    """One process of a run, by what it wrote. ``facts`` is all that it said of itself."""

    id: str
    facts: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    last_event: float = 0.0
    closed: bool = False
    outcome: str | None = None
    error: str | None = None
    ended_at: float | None = None
    drops: dict[str, int] = field(default_factory=dict)

    @property
    def rank(self) -> int | None:
        """The rank within its job, if there is one."""
        rank = self.facts.get("rank")
        return rank if isinstance(rank, int) else None

    @property
    def host(self) -> str | None:
        """The machine that it ran on."""
        return self.facts.get("host")

    @property
    def pid(self) -> int | None:
        """Its process id there."""
        return self.facts.get("pid")

    @property
    def is_child(self) -> bool:
        """Whether it was forked from a process of the run, which alone says how the run went."""
        return self.facts.get("owner") is not None


@dataclass
class History:
    """Everything that events have told of a run so far; a brief one leaves out facts, artifacts and accounts."""

    brief: bool = False
    opened: dict[str, Stamped] = field(
        default_factory=dict
    )  # what processes said on opening: the first word counts
    changed: LatestValues = field(default_factory=LatestValues)  # what was said of the run later
    params: LatestValues = field(default_factory=LatestValues)
    tags: LatestValues = field(default_factory=LatestValues)
    facts: dict[str, LatestValues] = field(default_factory=dict)
    artifacts: list[Stamped] = field(default_factory=list)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)  # what plugins cost, by process
    processes: dict[str, Process] = field(default_factory=dict)

    def hear(self, writer: str, event: EventRecord) -> None:
        """Take in one event of one writer. Those of a kind not known here change nothing."""
        process = self.processes.setdefault(writer, Process(writer))
        process.last_event = max(process.last_event, event.time)
        take = _TAKING.get(event.type)
        if take is not None and not (self.brief and event.type in _LONG):
            take(self, process, event.payload, (event.time, writer, event.seq))

    def _take_writer(self, process: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        process.facts = payload
        process.started_at = float(payload.get("started_at") or stamp[0])
        for key, value in _mapping(payload.get("run")).items():
            known = self.opened.get(key)
            if value is not None and (known is None or stamp < known.stamp):
                self.opened[key] = Stamped(value, stamp, stamp)

    def _take_run(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.changed.hear({key: value for key, value in payload.items() if value is not None}, stamp)

    def _take_params(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.params.hear(_mapping(payload.get("params")), stamp)

    def _take_tags(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.tags.hear(_mapping(payload.get("tags")), stamp)

    def _take_fact(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        source = str(payload.get("source") or "")
        self.facts.setdefault(source, LatestValues()).hear(_mapping(payload.get("facts")), stamp)

    def _take_artifact(self, _: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        self.artifacts.append(Stamped(payload, stamp, stamp))

    def _take_plugins(self, process: Process, payload: dict[str, Any], _: Stamp) -> None:
        self.accounts[process.id] = payload

    def _take_drops(self, process: Process, payload: dict[str, Any], _: Stamp) -> None:
        drops = _mapping(payload.get("drops", payload))
        counted = {str(reason): count for reason, count in drops.items() if isinstance(count, int)}
        process.drops = {
            reason: max(process.drops.get(reason, 0), count)  # each account holds all drops so far
            for reason, count in {**process.drops, **counted}.items()
        }

    def _take_outcome(self, process: Process, payload: dict[str, Any], stamp: Stamp) -> None:
        process.closed = True
        process.outcome = payload.get("outcome")
        process.error = payload.get("error")
        process.ended_at = stamp[0]

    def to_json(self) -> dict[str, Any]:
        """Return a brief history as what ``json`` can write."""
        return {
            "opened": self.opened,
            "changed": self.changed,
            "params": self.params,
            "tags": self.tags,
            "processes": [asdict(process) for process in self.processes.values()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> History:
        """Return the brief history that :meth:`to_json` described."""
        opened, changed, params, tags = (
            LatestValues(_words(data[key])) for key in ("opened", "changed", "params", "tags")
        )
        processes = {one["id"]: Process(**one) for one in data["processes"]}
        return cls(True, opened, changed, params, tags, processes=processes)

    @property
    def run(self) -> dict[str, Any]:
        """Return what is known of the run itself: name, project, ..."""
        return {key: word.value for key, word in {**self.opened, **self.changed}.items()}

    @property
    def started_at(self) -> float | None:
        """When the first process began."""
        return min((p.started_at for p in self.processes.values() if p.started_at is not None), default=None)

    @property
    def dropped(self) -> dict[str, int]:
        """Points that could not be recorded, by reason, of all processes."""
        total: dict[str, int] = {}
        for process in self.processes.values():
            for reason, count in process.drops.items():
                total[reason] = total.get(reason, 0) + count
        return total


_TAKING: Final[dict[str, Callable[[History, Process, dict[str, Any], Stamp], None]]] = {
    "writer": History._take_writer,
    "run": History._take_run,
    "params": History._take_params,
    "tags": History._take_tags,
    "fact": History._take_fact,
    "artifact": History._take_artifact,
    "plugins": History._take_plugins,
    "drops": History._take_drops,
    "outcome": History._take_outcome,
}


def _words(data: Mapping[str, Any]) -> dict[str, Stamped]:
    return {key: Stamped(value, _stamp(stamp), _stamp(first)) for key, (value, stamp, first) in data.items()}


def _stamp(items: Sequence[Any]) -> Stamp:
    return (items[0], items[1], items[2])


_LONG: Final = ("fact", "artifact", "plugins")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
