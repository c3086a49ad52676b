"""Where records are written: numbered slots in mapped windows of segment files, or by plain writes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from tracelet.journal.format import (
    HEADER,
    KIND_SHIFT,
    NO_STEP,
    PAD,
    POINT_HEAD,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    WINDOW_BYTES,
    WINDOW_SHIFT,
    offset_of,
    payload_slots,
    seal,
)
from tracelet.journal.writing.counters import Tally, draw_several, new_counter, position
from tracelet.journal.writing.filesystem import can_share_blocks
from tracelet.journal.writing.mapping import map_file
from tracelet.journal.writing.segment_files import SegmentFiles
from tracelet.journal.writing.unavailable import SHORT_OF_HANDLES, UnavailableError

_WINDOWS = SEGMENT_SLOTS >> WINDOW_SHIFT  # in a segment
_SKIPPED_AT_ONCE = 4096  # slots
_MAPPED_BYTES = HEADER + WINDOW_BYTES
PAD_HEAD = POINT_HEAD.pack(0.0, NO_STEP, 0.0, PAD << KIND_SHIFT)


class WindowTable(dict[int, memoryview]):
    """The mapped windows by number. A missing one is opened, unless ``refusal`` is set."""

    def __init__(self, process: object, slots: SlotWriter | None = None) -> None:
        super().__init__()
        self.process = process  # by which a forked child recognizes what belongs to its parent
        self.slots = slots
        self.openers: set[object] = set()  # calls that may be about to put a window here
        self.refusal: Callable[[], BaseException] | None = None

    def __missing__(self, window: int) -> memoryview:
        if self.slots is None:
            raise UnavailableError("not open")
        return self.slots.open_for_quick_path(window)

    def check(self) -> None:
        """Raise the refusal, if there is one."""
        if self.refusal is not None:
            raise self.refusal()

    def refuse(self, refusal: Callable[[], BaseException]) -> bool:
        """Stop giving out windows. A call that already holds one may finish its write.

        Returns whether that is certain: a call that is just opening a window may still give it to others.
        """
        self.refusal = refusal
        certain = not self.openers
        self.clear()
        return certain


class SlotWriter:
    """The slots of one writer. No lock: a slot belongs to the call that took its number."""

    def __init__(
        self, files: SegmentFiles, *, mapped: bool, process: object, on_window: Callable[[], None]
    ) -> None:
        self.files = files
        self.mapped = mapped
        self.counter = new_counter()
        self.windows = WindowTable(process, self)
        self.is_short = False  # of descriptors or memory for mappings: use plain writes
        self.overhead = Tally()  # slots that hold no single point: events, rows, pads, losses
        self._on_window = on_window

    @property
    def allocated(self) -> int:
        """How many slots have been taken."""
        return position(self.counter)

    def write(self, head: bytes, payload: bytes = b"", *, is_event: bool = False) -> None:
        """Put one record into new slots.

        Raises:
            UnavailableError: there is no room now.
        """
        size = 1 + payload_slots(len(payload))
        first = self.reserve(size)
        if is_event:
            self.overhead.add(size)  # before it is written, or another thread would count its slots as points
        try:
            self.put(first, head, payload)
        except BaseException:
            self.give_up(list(range(first, first + size)), is_counted=is_event)
            raise

    def put(self, first: int, head: bytes, payload: bytes = b"") -> None:
        """Put one record into slots already taken: the head last, because it marks the record as complete."""
        if payload:
            self._put(first + 1, payload + bytes(-len(payload) % SLOT))
        self._put(first, seal(head, first))

    def reserve(self, size: int) -> int:
        """Take consecutive slots in one segment, and return the first one's number."""
        while True:
            drawn = draw_several(self.counter, size)
            first, last = drawn[0], drawn[-1]
            if last - first == size - 1 and first >> SEGMENT_SHIFT == last >> SEGMENT_SHIFT:
                return first
            self.give_up(drawn)

    def write_last(self, first: int, head: bytes, payload: bytes = b"") -> None:
        """Put one record into reserved slots after windows are no longer given out."""
        data = seal(head, first) + payload + bytes(-len(payload) % SLOT)
        self.files.open(first >> SEGMENT_SHIFT).call(os.pwrite, data, offset_of(first))

    def give_up(self, drawn: list[int], *, is_counted: bool = False) -> None:
        """Mark slots that will not be used, if possible; ``is_counted``: they are counted as overhead already."""
        if not is_counted:
            self.overhead.add(len(drawn))
        if self.windows.refusal is None:
            with contextlib.suppress(UnavailableError):
                for seq in drawn:
                    self._put(seq, seal(PAD_HEAD, seq))

    def _put(self, first: int, data: bytes) -> None:
        """Write whole slots."""
        self.windows.check()
        start = (first * SLOT) & (WINDOW_BYTES - 1)
        if self.mapped and start + len(data) <= WINDOW_BYTES:
            view = self._view(first >> WINDOW_SHIFT)
            if view is not None:
                view[start : start + len(data)] = data
                return
        self._put_plainly(first, data)

    def _view(self, window: int) -> memoryview | None:
        """Return a window, or None if the file is open and the process lacks what a mapping takes."""
        try:
            return self.windows.get(window) or self._open(window)
        except UnavailableError as fault:
            if fault.errno not in SHORT_OF_HANDLES:
                raise
            self.is_short = True
            return None

    def _put_plainly(self, first: int, data: bytes) -> None:
        segment, offset = first >> SEGMENT_SHIFT, offset_of(first)
        try:
            while data:
                written = self.files.open(segment).call(os.pwrite, data, offset)
                data, offset = data[written:], offset + written
        except OSError as error:
            self.windows.check()  # it may be closed by now
            raise UnavailableError.from_os_error(error, segment) from error

    def open_for_quick_path(self, window: int) -> memoryview:
        """Open a window for a caller that has taken a slot in it."""
        try:
            view = self._open(window)
            self._on_window()
            return view
        except BaseException:
            self.overhead.add(1)  # the slot stays empty
            raise

    def _open(self, window: int) -> memoryview:
        token = object()
        self.windows.openers.add(token)
        try:
            self.windows.check()
            view = self.windows.setdefault(window, self._map(window))
            for old in [known for known in list(self.windows) if known < window - 1]:
                self.windows.pop(old, None)
            self.windows.check()
            return view
        finally:
            self.windows.openers.discard(token)

    def _map(self, window: int) -> memoryview:
        segment, within = divmod(window, _WINDOWS)
        try:
            self.files.reserve(segment, HEADER + (within + 1) * WINDOW_BYTES)
            # The header shifts slots off the page grid, so a window's mapping includes the bytes before it.
            mapping = self.files.open(segment).call(map_file, within * WINDOW_BYTES, _MAPPED_BYTES)
        except OSError as error:
            self.windows.check()  # it may be closed by now
            raise UnavailableError.from_os_error(error, segment) from error
        except ValueError as error:
            # Shorter than what was just reserved: this writer is trimming it at its end, or another program
            # is.
            self.windows.check()
            raise UnavailableError("file shortened", segment=segment) from error
        return mapping[HEADER:]

    def check_mapping(self) -> None:
        """Switch to plain writes if the file system can share the file's blocks with other files.

        Raises:
            UnavailableError: the file cannot be opened.
        """
        try:
            self.mapped = not self.files.open(0).call(can_share_blocks)
        except OSError as error:
            raise UnavailableError.from_os_error(error, 0) from error

    def prepare(self, ahead: int = 0) -> None:
        """Open the window of the next record, or of one further ahead, so that callers need not.

        Raises:
            UnavailableError: it cannot be opened.
        """
        window = (self.allocated >> WINDOW_SHIFT) + ahead
        if self.mapped and (window in self.windows or self._view(window) is not None):
            self.is_short = False
            return
        segment = window // _WINDOWS
        try:
            self.files.open(segment)
        except OSError as error:
            raise UnavailableError.from_os_error(error, segment) from error

    def skip_segment(self, segment: int) -> None:
        """Continue in the next segment. Other threads may take slots of this one, or skip it, too."""
        while self.allocated >> SEGMENT_SHIFT == segment:
            left = SEGMENT_SLOTS - (self.allocated & (SEGMENT_SLOTS - 1))
            drawn = draw_several(self.counter, min(left, _SKIPPED_AT_ONCE))
            beyond = [seq for seq in drawn if seq >> SEGMENT_SHIFT != segment]
            self.overhead.add(len(drawn) - len(beyond))
            self.give_up(beyond)
