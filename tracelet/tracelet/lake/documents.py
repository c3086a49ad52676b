"""Run documents: what the writer of a lake keeps of each run, so that a list of runs reads one small object per run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tracelet.journal import EventRecord
from tracelet.journal.events import InvalidEventError, decode_event
from tracelet_hookspecs.lake_layout import FORMAT, Place, read_place
from tracelet_hookspecs.statistics import MetricAccumulator, exact_sum

SILENT: Final = (
    900.0  # seconds without a sign of life after which a run counts as killed, unless it says otherwise
)
_LONGEST: Final = 7 * 86400.0  # seconds that a run may claim
_LARGEST: Final = 1 << 28  # bytes
_STATES: Final = ("running", "ended", "killed")
_ABOUT: Final = ("id", "name", "project", "group", "parent", "job_type", "notes")


class WriterSummary(NamedTuple):
    """What a document says of one process of a run."""

    state: str  # running, ended or killed
    seen_at: float  # seconds since the epoch
    reached: Place  # the last record that the summary contains
    events: list[EventRecord]  # without facts, artifacts and costs
    metrics: list[tuple[str, MetricAccumulator]]  # with the name of each


class Document(NamedTuple):
    """A run document; ``problem`` says why it cannot be read."""

    writers: dict[str, WriterSummary]
    problem: str | None = None
    alive_at: float = 0.0  # the run's latest heartbeat, in seconds since the epoch
    alive_for: float = SILENT  # seconds after its last sign of life for which a run counts as alive


def parse_document(data: bytes) -> Document:
    """Return what a document says. One that cannot be read has a ``problem``."""
    try:
        return _parse(data)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        IndexError,
        RecursionError,
        OverflowError,
    ) as error:
        return Document({}, f"the run document cannot be read: {error!r}"[:500])


def _parse(data: bytes) -> Document:
    if len(data) > _LARGEST:
        return Document({}, f"the run document has {len(data)} bytes, more than {_LARGEST}")
    found = json.loads(data)
    version = found["format"]
    if not isinstance(version, int) or version > FORMAT:
        return Document({}, f"the run was written with format {version} of the lake, expected at most {FORMAT};"
                        " upgrade tracelet")  # fmt: skip
    writers = {
        str(writer): _parse_writer(one)
        for writer, one in sorted(found.get("writers", {}).items())
        if "events" in one
    }
    alive_for = _time(found.get("alive_for"))
    return Document(
        writers or {"": _describe_as_writer(found)},
        alive_at=_time(found.get("alive_at")),
        alive_for=alive_for if 0 < alive_for <= _LONGEST else SILENT,
    )


def _parse_writer(one: Mapping[str, Any]) -> WriterSummary:
    state = one.get("state")
    return WriterSummary(
        state=state if state in _STATES else "ended",
        seen_at=_time(one.get("seen_at")),
        reached=read_place(one["at"]) if "at" in one else Place(int(one.get("through") or 0), -1),
        events=[event for row in one["events"] if (event := make_event(*row)) is not None],
        metrics=[(str(name), _load_accumulator(values)) for name, values in one.get("metrics") or ()],
    )


def make_event(seq: int, type: str, payload: Any, time: float) -> EventRecord | None:
    """Return an event of a journal, checked like one that is read from a file; ``None`` if it is invalid."""
    try:
        event = decode_event(json.dumps({**payload, "type": type}).encode())
    except (InvalidEventError, TypeError, ValueError):
        return None
    return EventRecord(int(seq), event.type, event.payload, float(time))


def _load_accumulator(values: list[Any]) -> MetricAccumulator:
    accumulator = MetricAccumulator.from_json(values)
    for name in ("min", "max", "first_time", "last_time", "last", "top", "top_time"):
        setattr(accumulator, name, float(getattr(accumulator, name)))
    return accumulator


# --- documents that only say what people read ------------------------------------------------------------


def _describe_as_writer(found: Mapping[str, Any]) -> WriterSummary:
    """Return a summary of a document that says nothing of processes, as if one process had recorded the run."""
    outcome, ended = found.get("outcome"), _time(found.get("ended_at"))
    state = outcome if outcome in ("running", "killed") else "ended"
    events = [event for row in _events_of(found, ended) if (event := make_event(*row)) is not None]
    metrics = [
        (str(one.get("name") or key), _accumulate(one)) for key, one in (found.get("metrics") or {}).items()
    ]
    return WriterSummary(state, ended or _time(found.get("updated_at")), Place(-1), events, metrics)


def _events_of(found: Mapping[str, Any], ended: float) -> Iterator[tuple[int, str, dict[str, Any], float]]:
    began = _time(found.get("started_at"))
    run = {key: found[key] for key in _ABOUT if isinstance(found.get(key), str)}
    yield 0, "writer", {"run": run, "started_at": began}, began
    yield 1, "params", {"params": found.get("params") or {}}, began
    yield 2, "tags", {"tags": found.get("tags") or {}}, began
    if found.get("archived"):
        yield 3, "run", {"archived": True}, began
    if found.get("outcome") not in ("running", "killed"):
        yield 4, "outcome", {"outcome": found.get("outcome"), "error": found.get("error")}, ended


def _accumulate(one: Mapping[str, Any]) -> MetricAccumulator:
    count = int(one.get("count") or 0)
    last, step, time = _number(one.get("last")), int(one.get("last_step") or 0), _number(one.get("last_time"))
    mean = _number(one.get("mean"))
    return MetricAccumulator(
        type=str(one.get("type") or "scalar"),
        source=one.get("source"),
        count=count,
        nans=0 if math.isfinite(mean) else count,
        sum=exact_sum([mean]) * count if math.isfinite(mean) else 0,
        min=_number(one.get("min")),
        max=_number(one.get("max")),
        first_time=time,
        last_time=time,
        last=last,
        last_step=step,
        top=last,
        top_step=step,
        top_time=time,
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _time(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
