"""The part of a run document that other tools read, computed from what its writers have recorded.

The backend ``lake`` and ``tracelet lake optimize`` both write documents, by this rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tracelet_hookspecs.lake_layout import FORMAT
from tracelet_hookspecs.statistics import MetricAccumulator, greatest, least
from tracelet_hookspecs.strict_json import float_to_json, to_json

__all__ = ["describe_run"]

_ABOUT: Final = ("group", "parent", "job_type", "notes")
_RUNNING: Final = "running"
Writers = Mapping[str, Mapping[str, Any]]


def describe_run(about: Mapping[str, Any], outcome: str, writers: Writers) -> dict[str, Any]:
    """Return a run document.

    Args:
        about: has ``id``, ``name``, ``project`` and ``started_at``, as known otherwise; perhaps ``alive_at``, the time
            of the latest heartbeat, and ``alive_for``, how many seconds that holds.
        outcome: how the run ended, or ``running``.
        writers: an entry for each, with ``events``, ``metrics`` and ``seen_at``.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        **about,
        "outcome": outcome,
        "ended_at": None,
        "updated_at": max(float(one or 0) for one in (about.get("alive_at"), *_seen(writers))),
        **dict.fromkeys(_ABOUT),
        "archived": False,
        "params": {},
        "tags": {},
    }
    for type, payload, time in sorted(_events(writers), key=lambda event: event[2]):
        _apply(document, type, payload, time)
    if outcome != _RUNNING:
        document["ended_at"] = document["updated_at"]
    document["metrics"] = _metrics(writers)
    document["writers"] = dict(writers)
    return document


def _seen(writers: Writers) -> Iterator[Any]:
    return (entry.get("seen_at") for entry in writers.values())


def _events(writers: Writers) -> Iterator[tuple[str, Mapping[str, Any], float]]:
    for entry in writers.values():
        for _, type, payload, time in entry.get("events") or ():
            yield type, payload, time


def _apply(document: dict[str, Any], type: str, payload: Mapping[str, Any], time: float) -> None:
    if type == "writer":
        run = payload.get("run")
        document.update({key: run[key] for key in _ABOUT if isinstance(run, Mapping) and run.get(key)})
        if not payload.get("edit"):
            document["started_at"] = min(document["started_at"] or time, time)
    elif type == "run":
        known = ("name", "archived", *_ABOUT)
        document.update({key: payload[key] for key in known if key in payload})
    elif type == "params" and isinstance(values := payload.get("params"), Mapping):
        document["params"].update(to_json(values))
    elif type == "tags" and isinstance(values := payload.get("tags"), Mapping):
        document["tags"].update(to_json(values))
    elif type == "untag":
        for name in payload.get("tags") or ():
            document["tags"].pop(str(name), None)


def _metrics(writers: Writers) -> dict[str, dict[str, Any]]:
    """Return the statistics of each metric over all writers.

    The metric of a collector whose name the program uses as well is ``NAME@SOURCE``.
    """
    found: dict[tuple[str, str | None], list[MetricAccumulator]] = {}
    for entry in writers.values():
        for name, values in entry.get("metrics") or ():
            one = MetricAccumulator.from_json(values)
            found.setdefault((name, one.source), []).append(one)
    own = {name for name, source in found if source is None}
    return {
        name if source is None or name not in own else f"{name}@{source}": _statistics(name, ones)
        for (name, source), ones in sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    }


def _statistics(name: str, ones: list[MetricAccumulator]) -> dict[str, Any]:
    latest = max(ones, key=lambda one: (one.attempt, one.last_time))
    low = high = float("nan")
    for one in ones:
        low, high = least(low, one.min), greatest(high, one.max)
    return {
        "name": name,
        "type": latest.type,
        "source": latest.source,
        "count": sum(one.count for one in ones),
        "last": float_to_json(latest.last),
        "last_step": None if latest.last_step == -(1 << 63) else latest.last_step,
        "last_time": float_to_json(latest.last_time),
        "min": float_to_json(low),
        "max": float_to_json(high),
    }
