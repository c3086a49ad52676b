"""One journal file of a writer (over all its segments), and the state needed to append to it."""

from __future__ import annotations

import contextlib
import errno
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

from tracelet.journal.events import encode_event
from tracelet.journal.format import (
    BLOB,
    KIND_SHIFT,
    MAX_ROW,
    MULTI_HEAD,
    NO_STEP,
    POINT_HEAD,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    WINDOW_SHIFT,
    payload_slots,
)
from tracelet.journal.identity import new_writer_id, process_facts
from tracelet.journal.writing.filesystem import mapping_is_safe
from tracelet.journal.writing.metric_table import (
    SCALAR,
    Identity,
    Key,
    LayoutKey,
    MetricState,
    MetricTable,
    RowLayout,
    metric_key,
)
from tracelet.journal.writing.name_dictionary import NameDictionary
from tracelet.journal.writing.segment_files import SegmentFiles
from tracelet.journal.writing.slot_writer import PAD_HEAD, SlotWriter, WindowTable
from tracelet.journal.writing.unavailable import UnavailableError
from tracelet.journal.writing.unfinished_slots import MOST, find_unfinished
from tracelet.journal.writing.values import as_step

State = tuple[Iterator[int], WindowTable, dict[Key, MetricState], dict[LayoutKey, RowLayout]]

_LAYOUTS = 1024  # sets of metrics that get their own layout; rows of further sets are written as points
_WORTH_SKIPPING = 1024  # slots to use before a limit on file sizes makes the writer leave a segment
_FEW = 1024  # slots
_BOUNDARIES = 2 * MOST >> WINDOW_SHIFT  # a window has one, and there are some besides
_ATTEMPTS, _PAUSE = 50, 0.002  # seconds
_SKIP_SLOTS = 4  # of the event about unfinished slots
_OLD = 1.0  # seconds after which no call is still in progress


class Stream:
    """Appends records to one journal file. Any number of threads may use it; none waits for another."""

    def __init__(
        self,
        run_dir: Path,
        facts: Mapping[str, Any],
        steps: Mapping[str, int],
        *,
        mapped: bool | None,
        process: object,
        on_window: Callable[[], None],
    ) -> None:
        self.id = new_writer_id()
        self._ask_file = mapped is None  # the file itself, once it exists, whether it may be mapped
        mapped = mapping_is_safe(run_dir) if mapped is None else mapped
        files = SegmentFiles(run_dir, self.id, preallocate=mapped)
        self._on_window = on_window
        self.slots = SlotWriter(files, mapped=mapped, process=process, on_window=self._note_window)
        self.metrics = MetricTable(self._write_name, steps)
        self.layouts: dict[LayoutKey, RowLayout] = {}
        self._column_ids = count(1)
        self._dictionary = NameDictionary()
        self._synced = -1
        self._end_tokens = [True]
        self._boundaries: deque[tuple[float, int]] = deque(
            maxlen=_BOUNDARIES
        )  # when each record began, and where
        # The first slots are taken before any other call can take one: the ``writer`` event always comes
        # first.
        mine = {"id": self.id, **process_facts(), "started_at": time.time()}
        self._introduction = encode_event("writer", {**facts, **mine})
        self.slots.reserve(_blob_slots(self._introduction))
        self.slots.overhead.add(_blob_slots(self._introduction))

    def open(self) -> None:
        """Create the file, or check that it can be appended to again. Doing it twice is harmless.

        Raises:
            UnavailableError: it cannot be done now.
        """
        if self._ask_file and self.slots.mapped:
            self.slots.check_mapping()
        self.slots.prepare()
        head = _blob_head(self._introduction, self.slots.files.created)
        self.slots.put(0, head, self._introduction)

    def _note_window(self) -> None:
        self._note_boundary()
        self._on_window()

    def _note_boundary(self) -> None:
        self._boundaries.append((time.monotonic(), self.slots.allocated))

    @property
    def state(self) -> State:
        """What the fast path uses; empty if the fast path must not be used."""
        if self.slots.mapped and not self.slots.is_short:
            return self.slots.counter, self.slots.windows, self.metrics, self.layouts
        return iter(()), self.slots.windows, {}, {}

    @property
    def recorded(self) -> int:
        """How many points have been recorded here."""
        rows = sum(plan.gained for plan in list(self.layouts.values()))
        return self.slots.allocated - self.slots.overhead.value + rows

    # --- records -----------------------------------------------------------------------------------------

    def write_point(
        self, metric: Identity, value: float, step: int | None, when: float | None = None
    ) -> None:
        """Record one value, by default with the time of now."""
        track = self.metrics[metric_key(*metric)]
        step = as_step(track.next(), metric[0]) if step is None else step
        self.slots.write(POINT_HEAD.pack(value, step, time.time() if when is None else when, track.tag))
        track.note(step)

    def write_row(self, values: Mapping[str, float], step: int | None, type: str, source: str | None) -> None:
        """Record several values at one step."""
        names = tuple(values)
        if len(names) == 1:
            return self.write_point((names[0], type, source), values[names[0]], step)
        if len(names) > MAX_ROW:
            return self._write_parts(values, step, type, source)
        plan = self._layout(names, type, source)
        if plan is None:
            return self._write_points(values, step, type, source)
        payload = plan.pack_values(*values.values())
        step = as_step(plan.next(), names[0]) if step is None else step
        head = MULTI_HEAD.pack(crc32(payload), plan.count, step, time.time(), plan.tag)
        self.slots.write(head, payload)
        next(plan.rows)
        plan.note(step)
        return None

    def _write_parts(
        self, values: Mapping[str, float], step: int | None, type: str, source: str | None
    ) -> None:
        step = self._step_after(values) if step is None else step
        items = list(values.items())
        for start in range(0, len(items), MAX_ROW):
            self.write_row(dict(items[start : start + MAX_ROW]), step, type, source)

    def _write_points(
        self, values: Mapping[str, float], step: int | None, type: str, source: str | None
    ) -> None:
        step = self._step_after(values) if step is None else step
        for name, value in values.items():
            self.write_point((name, type, source), value, step)

    def _step_after(self, values: Mapping[str, float]) -> int:
        return as_step(self.metrics.last(list(values)) + 1, next(iter(values)))

    def _layout(self, names: tuple[str, ...], type: str, source: str | None) -> RowLayout | None:
        key = layout_key(names, type, source)
        known = self.layouts.get(key)
        if known is not None or len(self.layouts) >= _LAYOUTS:
            return known
        columns = [self.metrics.identify((name, type, source)) for name in names]
        identity = next(self._column_ids)
        entry = {"id": identity, "names": columns}
        self.write_event(encode_event("columns", entry), time.time())
        self._dictionary.add("columns", entry)
        fresh = RowLayout(identity, len(names))
        plan = self.layouts.setdefault(key, fresh)
        if plan is fresh:
            self.metrics.relate(plan, names)
        return plan

    def _write_name(self, identity: int, metric: Identity) -> None:
        name, type_, source = metric
        entry = {"id": identity, "name": name, "metric": type_, "source": source}
        self.write_event(encode_event("name", entry), time.time())
        self._dictionary.add("names", entry)

    def write_event(self, data: bytes, when: float) -> None:
        """Record an event that has been encoded."""
        self.slots.write(_blob_head(data, when), data, is_event=True)

    # --- background work
    # --------------------------------------------------------------------------------------------

    def look_ahead(self) -> None:
        """Open the next window before a caller needs it, and close the segments that are no longer needed."""
        self._note_boundary()
        if self.slots.mapped:
            self.slots.prepare()
            if self.slots.allocated >= _FEW:  # many writers never need a second window
                self.slots.prepare(ahead=1)
        self.slots.files.release((self.slots.allocated >> SEGMENT_SHIFT) - 1)

    def sync(self) -> None:
        """Wait until the disk holds what was recorded."""
        self._synced = self.slots.allocated
        self.slots.files.sync()

    @property
    def is_synced(self) -> bool:
        """Whether nothing has been recorded since the last sync."""
        return self._synced == self.slots.allocated

    def is_deleted(self) -> bool:
        """Say whether the file being written to was deleted."""
        return self.slots.files.is_deleted(self.slots.allocated >> SEGMENT_SHIFT)

    def list_names(self) -> None:
        """Repeat the names recorded since the last call (all in a new segment), so that they survive damage."""
        for listed in self._dictionary.take_entries(
            self.slots.allocated >> SEGMENT_SHIFT, self.metrics, self.layouts
        ):
            try:
                self.write_event(encode_event("dictionary", listed), time.time())
            except UnavailableError:
                self._dictionary.put_back(listed)
                raise

    def skip_segment(self, fault: UnavailableError) -> bool:
        """Continue in a new segment if a limit on file sizes ends this one; return whether that may help."""
        if fault.errno != errno.EFBIG or fault.segment is None:
            return False
        drawn = self.slots.allocated
        if drawn >> SEGMENT_SHIFT == fault.segment and drawn & (SEGMENT_SLOTS - 1) < _WORTH_SKIPPING:
            return False
        self.slots.skip_segment(fault.segment)
        end = (fault.segment << SEGMENT_SHIFT) + self.slots.files.size(fault.segment)
        skipped = {"from": end, "to": fault.segment + 1 << SEGMENT_SHIFT}
        with contextlib.suppress(UnavailableError):  # the next record meets the same fault
            self.write_event(encode_event("skip", skipped), time.time())
        return True

    # --- ends --------------------------------------------------------------------------------------------

    @property
    def is_retired(self) -> bool:
        """Whether it no longer accepts records."""
        return self.slots.windows.refusal is not None

    def claim_end(self) -> bool:
        """Say whether the caller may retire this stream; only one caller gets true."""
        try:
            return self._end_tokens.pop()
        except IndexError:
            return False

    def retire(self, refusal: Callable[[], BaseException]) -> int:
        """Stop accepting records; return how many points were recorded."""
        self.slots.windows.refuse(refusal)
        return self.recorded

    def end(self, outcome: bytes, refusal: Callable[[], BaseException]) -> None:
        """Finish the file: stop accepting records, then write the outcome as the last one.

        Raises:
            OSError: the disk does not take it.
        """
        is_certain = self._refuse_for_good(refusal)
        # Reserved first: slots taken before it are checked, slots taken from now on are behind it.
        size = _SKIP_SLOTS + _blob_slots(outcome)
        first = self.slots.reserve(size)
        self.slots.overhead.add(size)
        self._skip_unfinished(first)
        self.slots.write_last(first + _SKIP_SLOTS, _blob_head(outcome, time.time()), outcome)
        if is_certain:
            # Each call that holds a window has taken its slot before now, so none writes beyond the part that
            # is kept.
            self.slots.files.trim(first + size - 1)
        self.slots.files.write_heartbeat(-time.time())
        self.slots.files.sync()
        self.slots.files.close()

    def _refuse_for_good(self, refusal: Callable[[], BaseException]) -> bool:
        """Stop giving out windows; wait a moment for the calls that are opening one."""
        for _ in range(_ATTEMPTS):
            if self.slots.windows.refuse(refusal):
                return True
            time.sleep(_PAUSE)
        return self.slots.windows.refuse(refusal)

    def _skip_unfinished(self, end: int) -> None:
        """Record which slots before ``end`` were taken by calls that will not fill them in."""
        old = time.monotonic() - _OLD
        start = max((seq for when, seq in list(self._boundaries) if when <= old), default=0)
        if start < end - MOST:
            start = next((seq for _, seq in list(self._boundaries) if seq >= end - MOST), end)
        found = find_unfinished(self.slots.files, start, end)
        if found is None:
            for seq in range(end, end + _SKIP_SLOTS):
                self.slots.write_last(seq, PAD_HEAD)
            return
        event = encode_event("skip", {"from": found[0], "to": found[1]}).ljust((_SKIP_SLOTS - 1) * SLOT)
        self.slots.write_last(end, _blob_head(event, time.time()), event)


def layout_key(names: tuple[str, ...], type: str, source: str | None) -> LayoutKey:
    """Return the key of a row's layout."""
    return names if type is SCALAR and source is None else (names, type, source)


def _blob_slots(data: bytes) -> int:
    return 1 + payload_slots(len(data))


def _blob_head(data: bytes, when: float) -> bytes:
    return MULTI_HEAD.pack(crc32(data), len(data), NO_STEP, when, BLOB << KIND_SHIFT)
