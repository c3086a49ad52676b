"""Remote write: every point with its own time, in order per series; what the server refuses for ever is left out."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from tracelet_builtin_plugins.backends.prometheus.mapping import (
    INFO,
    SeriesKey,
    clean_value,
    info_key,
    key_of,
    milliseconds,
)
from tracelet_builtin_plugins.backends.prometheus.sent_times import Place, SentTimes
from tracelet_builtin_plugins.backends.prometheus.wire import encode_request
from tracelet_builtin_plugins.http_client import HttpClient, HttpStatusError
from tracelet_hookspecs import MetricData, RecordId

__all__ = ["REMEMBERED", "SHIFT", "RemoteWrite", "Sample"]

_HEADERS: Final = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
#: What servers say about samples that they will never accept. "Too old" comes as 500 from Prometheus before 2.46.
_NEVER: Final = re.compile(
    "out of order|out-of-order|duplicate sample|out of bounds|too old|too far|err-mimir-sample", re.IGNORECASE
)
_TOO_OLD: Final = re.compile("out of bounds|too old|too-old", re.IGNORECASE)
_SECONDS: Final = 18.0  # of looking for refused samples in one call; the host's limit is 30
#: As many samples of a series are looked through one by one, so that none is lost. A batch that is delivered again
#: after a crash is smaller; larger ones are either wholly there or not at all.
_EXACT: Final = 64
#: A point that is not after the last one of its series is put a millisecond after it, up to a minute off.
SHIFT: Final = 60_000
REMEMBERED: Final = 32_768  # ids of points, to recognize repeats; a batch is far smaller
_INFO_EVERY: Final = 15_000  # milliseconds: Prometheus forgets a series after five minutes

OLDER, TOO_OLD, REFUSED, NO_TIME = ("older_than_last", "too_old", "out_of_order_or_repeated", "no_time")


class Sample(NamedTuple):
    """One value of one series."""

    when: int
    value: float
    id: Any


Batch = list[tuple[SeriesKey, list[Sample]]]


class RemoteWrite:
    """Sends batches. Keeps, for each series, the time of the last sample that the server has."""

    def __init__(
        self,
        client: HttpClient,
        compress: Callable[[bytes], Any],
        labels_of: Callable[[SeriesKey], bytes],
        times: SentTimes,
    ) -> None:
        self._times = times
        self._planned: dict[str, tuple[Place, dict[SeriesKey, int]]] = {}  # by writer
        self._client = client
        self._compress = compress
        self._labels_of = labels_of
        self._last: dict[SeriesKey, int] = {}
        self._floor: int | None = None  # everything up to this time is too old
        self._done: set[tuple[Any, bool]] = set()  # what the current batch no longer has to send
        self._is_refused = False  # whether anything in the current batch was refused
        self._recent: set[Any] = set()
        self._older: set[Any] = set()
        self.sent = 0
        self.left_out: Counter[str] = Counter()

    def store(self, points: Sequence[MetricData]) -> None:
        """Send points. Raises the server's refusal or an outage; what was accepted before it is not sent again."""
        end = time.monotonic() + _SECONDS
        self._recall(points[0].id if points else None)
        for part in self._parts(points):
            self._is_refused = False
            batch = self._choose(part)
            self._plan(part, batch)
            self._send(batch, end)
            self._done.clear()

    def _parts(self, points: Sequence[MetricData]) -> list[Sequence[MetricData]]:
        """Split points where a process before this one stopped: what it has sent is there as a whole, or not at all."""
        stop = self._times.ends.get(points[0].id[0]) if points and points[0].id else None
        if stop is None or not points[0].id or points[0].id[1:] > stop:
            return [points]
        at = next((at for at, point in enumerate(points) if point.id and point.id[1:] > stop), 0)
        return [points[:at], points[at:]] if at else [points]

    def end(self) -> None:
        """Close the connection."""
        self._client.close()

    # -- remembering -------------------------------------------------------------------------------

    def _recall(self, first: RecordId | None) -> None:
        """Before the first points of a writer, find out what a process before this one has sent of it."""
        if first is not None and first[0] not in self._planned:
            self._last.update(self._times.recall(first[0], first[1:]))

    def _plan(self, points: Sequence[MetricData], batch: Batch) -> None:
        """Note the last times that a batch leads to, before it is sent."""
        if batch and points[0].id is not None and points[-1].id is not None:
            self._note(points[0].id, points[-1].id, {key: samples[-1].when for key, samples in batch})

    def _note(self, first: RecordId, last: RecordId, after: dict[SeriesKey, int]) -> None:
        writer, place = first[0], first[1:]
        planned = self._planned.get(writer)
        if (
            planned is not None and planned[0] == place
        ):  # it is tried again, and some of it may have been sent
            after = planned[1] | after
        self._planned[writer] = (place, after)
        self._times.note(writer, place, last[1:], after)

    # -- choosing ----------------------------------------------------------------------------------

    def _choose(self, points: Sequence[MetricData]) -> Batch:
        """Return the samples of each series, in the order of recording, each at a time of its own."""
        found: dict[SeriesKey, list[Sample]] = {}
        known: dict[tuple[Any, ...], tuple[SeriesKey, SeriesKey]] = {}
        newest = None
        for point in points:  # this runs for each point, so it has to be quick
            id = point.id
            if id in self._recent or id in self._older or (self._done and (id, False) in self._done):
                continue
            what = (point.name, point.type._value_, point.source, id and id[0])
            if (keys := known.get(what)) is None:
                keys = known[what] = (key_of(point), key_of(point, is_step=True))
            value = point.value if type(point.value) is float else clean_value(point.value)
            samples = found.get(keys[0])
            when = self._time_for(point, samples, self._last.get(keys[0]))
            if when is None:
                continue
            if samples is None:
                samples = found[keys[0]] = []
            samples.append(Sample(when, value, id))
            if point.iteration is not None:
                steps = found.get(keys[1])
                if steps is None:
                    steps = found[keys[1]] = []
                steps.append(Sample(when, float(point.iteration), id))
            newest = when if newest is None or when > newest else newest
        if newest is not None and points[0].id:
            self._add_info(found, points[0].id[0], newest)
        return list(found.items())

    def _time_for(self, point: MetricData, before: list[Sample] | None, last: int | None) -> int | None:
        """Return a time for a point that is after the last one of its series; ``None`` if it is left out."""
        when, floor = milliseconds(point.timestamp), self._floor
        if before:
            last = before[-1].when
        if when is not None and (floor is None or when > floor):
            if last is None or when > last:
                return when
            if last - when < SHIFT:
                return last + 1
        reason = NO_TIME if when is None else TOO_OLD if floor is not None and when <= floor else OLDER
        self._leave_out(reason, [(point.id, False), (point.id, True)])
        return None

    def _add_info(self, found: dict[SeriesKey, list[Sample]], writer: str, when: int) -> None:
        key = info_key(writer)
        last = self._last.get(key)
        if (last is None or when >= last + _INFO_EVERY) and (self._floor is None or when > self._floor):
            found[key] = [Sample(when, 1.0, (INFO, when))]

    def _leave_out(self, reason: str, marks: list[tuple[Any, bool]]) -> None:
        """Count points, not the samples of their steps."""
        if points := sum(1 for id, is_step in marks if not is_step and id and id[0] != INFO):
            self.left_out[reason] += points
        self._done.update(marks)

    # -- sending -----------------------------------------------------------------------------------

    def _send(self, batch: Batch, end: float) -> None:
        """Send a batch; if some of it is refused for ever, find out what.

        The server undoes a request in which one sample is refused, or keeps the others (newer versions): either way,
        sending the halves again, in order, leads to the refused ones.
        """
        batch = self._above_floor(batch)
        if not batch:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{self._client.url}: it refuses many samples; looking for them continues")
        refusal = self._post(batch)
        self._is_refused = self._is_refused or refusal is not None
        if refusal is None:
            self._accepted(batch)
        elif sum(len(samples) for _, samples in batch) == 1:
            self._refused(batch, refusal)
        elif len(batch) == 1 and len(batch[0][1]) > _EXACT and not _TOO_OLD.search(refusal):
            self._probe(*batch[0])
        else:
            if _TOO_OLD.search(refusal):
                self._send([newest_of(batch)], end)
                batch = self._not_done(batch)
            for half in halves(batch):
                self._send(self._not_done(half), end)

    def _probe(self, key: SeriesKey, samples: list[Sample]) -> None:
        """Deal with many samples of one series at once: if the newest is refused, so are all before it."""
        newest: Batch = [(key, samples[-1:])]
        if self._post(newest) is None:
            self._accepted(newest)
            self._not_done([(key, samples)])  # these are older now
        else:
            self._last[key] = max(samples[-1].when, self._last.get(key, samples[-1].when))
            self._leave_out(REFUSED, [(sample.id, key.is_step) for sample in samples])

    def _post(self, batch: Batch) -> str | None:
        """Send a request. Returns why samples in it will never be accepted; ``None`` if all were."""
        body = encode_request(
            (self._labels_of(key), [(when, value) for when, value, _ in samples]) for key, samples in batch
        )
        return self._post_body(body)

    def _post_body(self, body: bytes) -> str | None:
        try:
            self._client.request("POST", bytes(self._compress(body)), _HEADERS)
        except HttpStatusError as error:
            if error.status_code in (400, 409, 422, 500) and _NEVER.search(error.text):
                return error.text
            if error.status_code == 404:
                raise ConnectionError(f"{error}; is --web.enable-remote-write-receiver set?") from error
            raise
        return None

    def _accepted(self, batch: Batch) -> None:
        for key, samples in batch:
            self._last[key] = max(samples[-1].when, self._last.get(key, samples[-1].when))
            if self._is_refused:  # a batch that is accepted as a whole is not looked at again
                self._done.update((sample.id, key.is_step) for sample in samples)
            if not key.is_step and key.kind != INFO:
                self.sent += len(samples)
                self._remember(sample.id for sample in samples)

    def _remember(self, ids: Iterable[Any]) -> None:
        # Two generations: between REMEMBERED and twice as many ids are known, at no cost per id.
        self._recent.update(id for id in ids if id is not None)
        if len(self._recent) >= REMEMBERED:
            self._older, self._recent = self._recent, set()

    def _refused(self, batch: Batch, refusal: str) -> None:
        [(key, [sample])] = batch
        if _TOO_OLD.search(refusal):
            self._floor = max(sample.when, self._floor if self._floor is not None else sample.when)
            self._leave_out(TOO_OLD, [(sample.id, key.is_step)])
        else:  # the server has this time, or a later one
            self._last[key] = max(sample.when, self._last.get(key, sample.when))
            self._leave_out(REFUSED, [(sample.id, key.is_step)])

    def _above_floor(self, batch: Batch) -> Batch:
        if self._floor is None:
            return batch
        kept: Batch = []
        for key, samples in batch:
            old = [sample for sample in samples if sample.when <= self._floor]
            self._leave_out(TOO_OLD, [(sample.id, key.is_step) for sample in old])
            if len(old) < len(samples):
                kept.append((key, samples[len(old) :]))
        return kept

    def _not_done(self, batch: Batch) -> Batch:
        """Return what has neither been sent nor left out, nor become older than what was sent."""
        kept: Batch = []
        for key, samples in batch:
            rest = [sample for sample in samples if (sample.id, key.is_step) not in self._done]
            last = self._last.get(key)
            older = [sample for sample in rest if last is not None and sample.when <= last]
            self._leave_out(OLDER, [(sample.id, key.is_step) for sample in older])
            if len(older) < len(rest):
                kept.append((key, rest[len(older) :]))
        return kept


def newest_of(batch: Batch) -> tuple[SeriesKey, list[Sample]]:
    """Return the newest sample: if that is too old, all are."""
    key, samples = max(batch, key=lambda each: each[1][-1].when)
    return key, samples[-1:]


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Return half of the series, or, of a single one, half of its samples; then the rest."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return batch[:middle], batch[middle:]
    if not batch:
        return [], []
    [(key, samples)] = batch
    middle = (len(samples) + 1) // 2
    return [(key, samples[:middle])], [(key, samples[middle:])] if samples[middle:] else []
