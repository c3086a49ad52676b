"""Places for records: numbered slots in mapped windows of segment files, or behind plain writes."""

from __future__ import annotations

import errno
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from itertools import islice

from tracelet.journal import faults
from tracelet.journal.faults import SHORT_OF_HANDLES, Tally, UnavailableError
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
from tracelet.journal.segments import SegmentFiles

_WINDOWS = SEGMENT_SLOTS >> (WINDOW_SHIFT)  # in a segment
_PAD_HEAD = POINT_HEAD.pack(0.0, NO_STEP, 0.0, PAD << KIND_SHIFT)
_MAP_OPTIONS = {"trackfd": False} if sys.version_info >= (3, 13) else {}  # else each map costs a descriptor


class Windows(dict[int, memoryview]):
    """The mapped windows by number. One that is missing is opened, or ``refusal`` is raised."""

    def __init__(self, opener: Callable[[int], memoryview] | None = None) -> None:
        super().__init__()
        self.opener = opener
        self.refusal: Callable[[], BaseException] | None = None

    def __missing__(self, window: int) -> memoryview:
        if self.refusal is not None:
            raise self.refusal()
        if self.opener is None:
            raise UnavailableError("not open")
        return self.opener(window)


class Refusing:
    """A counter that gives no number: sends the quick path to the slow one."""

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        raise UnavailableError("plain writes")


class Slots:
    """The slots of one writer. No lock: a slot belongs to whoever drew its number, opening twice is harmless."""

    def __init__(self, files: SegmentFiles, *, mapped: bool, on_window: Callable[[], None]) -> None:
        self.files = files
        self.mapped = mapped
        self.overhead = Tally()  # slots that hold no single point: events, rows, pads, losses
        self.windows = Windows(self._open_for_quick_path)
        self._counter = faults.new_counter()
        self.quick_counter: Iterator[int] = self._counter if mapped else Refusing()
        self._on_window = on_window

    @property
    def drawn(self) -> int:
        """How many slots have been given out."""
        return faults.position(self._counter)

    def write(self, head: bytes, payload: bytes = b"") -> int:
        """Put one record into slots of its own and return its sequence number.

        Raises:
            UnavailableError: there is no room now.
        """
        size = 1 + payload_slots(len(payload))
        first = self._reserve(size)
        try:
            if payload:
                self._put(first + 1, payload)
            self._put(first, seal(head, first))
        except BaseException:
            self.overhead.add(size)
            raise
        return first

    def _reserve(self, size: int) -> int:
        while True:
            drawn = list(islice(self._counter, size))
            first, last = drawn[0], drawn[-1]
            if last - first == size - 1 and first >> SEGMENT_SHIFT == last >> SEGMENT_SHIFT:
                return first
            self.give_up(drawn)

    def give_up(self, drawn: list[int]) -> None:
        """Mark slots that will not be used."""
        self.overhead.add(len(drawn))
        for seq in drawn:
            self._put(seq, seal(_PAD_HEAD, seq))

    def _put(self, first: int, data: bytes) -> None:
        """Write whole slots; a payload may end amid its last one."""
        window = first >> WINDOW_SHIFT
        start = (first * SLOT) & (WINDOW_BYTES - 1)
        if self.windows.refusal is not None:
            raise self.windows.refusal()
        if not self.mapped or start + len(data) > WINDOW_BYTES:
            return self._put_plainly(first, data)
        try:
            view = self.windows.get(window) or self._open(window)
        except UnavailableError as fault:
            if fault.errno not in SHORT_OF_HANDLES:
                raise
            return self._put_plainly(first, data)
        view[start : start + len(data)] = data
        return None

    def _put_plainly(self, first: int, data: bytes) -> None:
        try:
            written = os.pwrite(self.files.handle(first >> SEGMENT_SHIFT), data, offset_of(first))
        except OSError as error:
            raise UnavailableError.because(error) from error
        if written < len(data):
            raise UnavailableError(faults.REASONS[errno.ENOSPC], errno.ENOSPC)

    def _open_for_quick_path(self, window: int) -> memoryview:
        try:
            return self._open(window)
        except UnavailableError:
            self.overhead.add(1)  # the caller has drawn a slot that stays empty
            raise

    def _open(self, window: int) -> memoryview:
        segment, within = divmod(window, _WINDOWS)
        try:
            handle = self.files.handle(segment)
            self.files.reserve(segment, HEADER + (within + 1) * WINDOW_BYTES)
            mapping = mmap.mmap(handle, HEADER + WINDOW_BYTES, offset=within * WINDOW_BYTES, **_MAP_OPTIONS)
        except OSError as error:
            raise UnavailableError.because(error) from error
        view = self.windows.setdefault(window, memoryview(mapping)[HEADER:])
        for old in [known for known in list(self.windows) if known < window - 1]:
            self.windows.pop(old, None)
        self._on_window()
        return view

    def prepare(self) -> None:
        """Open what the next record needs, so that trouble shows now."""
        if self.mapped:
            self._open(self.drawn >> WINDOW_SHIFT)
        else:
            try:
                self.files.handle(self.drawn >> SEGMENT_SHIFT)
            except OSError as error:
                raise UnavailableError.because(error) from error

    def refuse(self, refusal: Callable[[], BaseException]) -> int:
        """From now on give no places. Return how many slots were given out at most."""
        self.windows.refusal = refusal
        self.windows.clear()
        return self.drawn

    def skip_segment(self) -> None:
        """Leave the rest of the current segment unused."""
        left = SEGMENT_SLOTS - (self.drawn & (SEGMENT_SLOTS - 1))
        self.overhead.add(left)
        list(islice(self._counter, left))
