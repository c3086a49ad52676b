"""The writer: appends what a process records to a journal file of its own, at the cost of a memory write.

How it stays lock-free: ``next`` of a counter gives a caller a slot that nobody else has, slot number to
file position is arithmetic, and the steps off the quick path (mapping a window, registering a name) may run
twice at once without harm. So a thread, a signal handler or a forked child can come in anywhere.
"""

from __future__ import annotations

import json
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any
from zlib import crc32

from tracelet.errors import NoActiveRunError
from tracelet.journal import faults, identity
from tracelet.journal.faults import AbandonedError, Tally, UnavailableError
from tracelet.journal.filesystem import mapping_is_safe
from tracelet.journal.format import (
    BLOB,
    ID_MASK,
    KIND_SHIFT,
    MAX_BLOB,
    MAX_ROW,
    MULTI_HEAD,
    NO_STEP,
    POINT_HEAD,
    SEALED,
    WINDOW_SHIFT,
    WINDOW_SLOTS,
    journal_folder,
)
from tracelet.journal.keeper import Keeper
from tracelet.journal.segments import SegmentFiles
from tracelet.journal.slots import Refusing, Slots, Windows
from tracelet.journal.tracks import Plan, Tracks
from tracelet.journal.values import as_number, as_step, flatten

_now = time.time
_pack_point = POINT_HEAD.pack
_pack_multi = MULTI_HEAD.pack
_put_point = SEALED.pack_into
_WITHIN = WINDOW_SLOTS - 1
_PLANS = 1024  # sets of metrics that get a layout of their own; beyond it, rows are written as points
_WAITING = 1000  # events kept in memory while nothing can be written
_FIRST_RETRY, _LAST_RETRY = 0.1, 5.0  # seconds
_BEAT = 5.0  # seconds between heartbeats
_SCALARS = {float, int, bool}  # classes of values known not to be nested

State = tuple[Iterator[int], Windows, Tracks, dict[Any, Plan]]
OPEN, BLOCKED, FORKED, CLOSED = "open", "blocked", "forked", "closed"


class Writer:
    """Records points, rows and events of one process. Every method may be called from anywhere at any time.

    Never raises for what the disk does: what cannot be written is counted in ``dropped``, by reason, told
    once, and recording goes on as soon as it can.
    """

    def __init__(
        self,
        run_dir: Path,
        facts: Mapping[str, Any],
        *,
        owner: str | None = None,
        mapped: bool | None = None,
        last_steps: Mapping[str, int] | None = None,
    ) -> None:
        """Start a journal file in a run's folder (created where missing).

        Args:
            run_dir: the run's folder.
            facts: what the ``writer`` event says beside what identifies the process: run, rank, ...
            owner: the writer id of the process that started the run, None for that process itself.
            mapped: whether to map files; None asks the file system.
            last_steps: the largest step seen so far for each metric of a run that is resumed.
        """
        self.run_dir = Path(run_dir)
        self.owner = owner
        self._facts = dict(facts)
        self._mapped = mapped
        self._drops: dict[str, Tally] = {}
        self._waiting: deque[tuple[str, Mapping[str, Any], float]] = deque()
        self._notices: deque[str] = deque()
        self._told: set[str] = set()
        self._earlier = 0  # points recorded in files before the present one
        self._retry_at, self._retry_in = 0.0, _FIRST_RETRY
        self._blocked_by = UnavailableError("not open")
        self._open_token = [True]  # whoever pops it closes
        self._phase = BLOCKED
        self._began = False
        self._begin(dict(last_steps or {}))
        _living[id(self)] = weakref.ref(self)

    # --- the quick path ----------------------------------------------------------------------------------

    def point(
        self,
        name: str,
        value: Any,
        step: Any = None,
        *,
        type: str = "scalar",
        source: str | None = None,
    ) -> None:
        """Record one value of one metric.

        Raises:
            TypeError, ValueError: the value is not a number, or the step not a whole one.
            NoActiveRunError: the writer is closed.
        """
        state = self._state
        counter, windows, tracks, _ = state
        try:
            track = tracks[name if type == "scalar" and source is None else (name, type, source)]
            if step is None:
                at = track.next() if track.related else track.last + 1
                track.last = at
                head = _pack_point(value, at, _now(), track.tag)
            else:
                head = _pack_point(value, step, _now(), track.tag)
                if step > track.last:
                    track.last = step if step.__class__ is int else as_step(step)
            seq = next(counter)
            _put_point(windows[seq >> WINDOW_SHIFT], (seq & _WITHIN) << 5, head, crc32(head, seq))
        except Exception as error:
            self._point_slowly(error, state, name, value, step, type, source)

    def row(
        self,
        metrics: Mapping[str, Any],
        step: Any = None,
        *,
        type: str = "scalar",
        source: str | None = None,
    ) -> None:
        """Record values of several metrics at one step. Nested ones are flattened with ``/``.

        Raises:
            TypeError, ValueError: a value is not a number, or the step not a whole one; nothing is recorded.
            NoActiveRunError: the writer is closed.
        """
        state = self._state
        counter, windows, _, plans = state
        drawn: list[int] = []
        try:
            names = tuple(metrics)
            plan = plans[names if type == "scalar" and source is None else (names, type, source)]
            payload = plan.pack_values(*metrics.values())
            at = plan.next() if step is None else step
            head = _pack_multi(crc32(payload), plan.count, at, _now(), plan.tag)
            if at > plan.last:
                plan.last = at if at.__class__ is int else as_step(at)
            drawn = [*islice(counter, plan.size)]
            seq = drawn[0]
            window = seq >> WINDOW_SHIFT
            if drawn[-1] - seq >= plan.size or drawn[-1] >> WINDOW_SHIFT != window or window not in windows:
                raise UnavailableError("not in one window")
            plan.put(windows[window], (seq & _WITHIN) << 5, head, crc32(head, seq), payload)
            next(plan.rows)
        except Exception as error:
            self._row_slowly(error, state, drawn, metrics, step, type, source)

    # --- off the quick path ------------------------------------------------------------------------------

    def event(self, type: str, payload: Mapping[str, Any]) -> None:
        """Record something that is not a number. While nothing can be written, it waits in memory."""
        self._check_open(self._state)
        if not self._attempt(lambda: self._write_event(type, payload, _now())):
            self._wait(type, payload)

    def sync(self) -> None:
        """Wait until everything recorded so far is on the disk, as far as the disk can be written."""
        if self._phase == OPEN:
            self._guard_disk(self._slots.files.sync)
            self._look_for_deletion()
        self._tell()

    @property
    def dropped(self) -> dict[str, int]:
        """How many points could not be recorded, by reason."""
        return {reason: tally.value for reason, tally in list(self._drops.items())}

    @property
    def recorded(self) -> int:
        """How many points this process has recorded."""
        return self._earlier + self._recorded_here() if self._began and self._phase != FORKED else self._earlier

    def _recorded_here(self) -> int:
        slots = self._slots
        return slots.drawn - slots.overhead.value + sum(plan.gained for plan in list(self._plans.values()))

    def close(self, outcome: str | None = None, error: str | None = None) -> None:
        """Record the outcome, give back what was reserved, and stop. Later calls do nothing."""
        try:
            self._open_token.pop()
        except IndexError:
            return
        if self._phase == BLOCKED:
            self._attempt(lambda: None)
        phase, self._phase = self._phase, CLOSED
        self._state = self._refusing(self._tracks, self._plans)
        self._state[1].refusal = self._closed_error
        if phase == OPEN:
            self._guard_disk(lambda: self._end(outcome, error))
        elif phase == BLOCKED and self._began:
            self._slots.refuse(self._closed_error)
        self._stop_keeper()
        self._tell()
        _living.pop(id(self), None)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a journal writer belongs to its process: let the other one open a writer of its own")

    def __repr__(self) -> str:
        return f"<journal writer {self.id}, {self._phase}>"

    def _end(self, outcome: str | None, error: str | None) -> None:
        slots = self._slots
        if self._drops:
            self._write_event("drops", {"drops": self.dropped}, _now())
        self._write_event("outcome", {"outcome": outcome, "error": error}, _now())
        used = slots.refuse(self._closed_error)
        slots.files.trim((used - 1) >> 20, (used - 1 & (1 << 20) - 1) + 1)
        slots.files.beat(-_now())
        slots.files.sync()
        slots.files.close()

    def _closed_error(self) -> NoActiveRunError:
        return NoActiveRunError(f"the journal of run {self.run_dir.name} is closed: log before the run is finished")

    # --- opening -----------------------------------------------------------------------------------------

    def _begin(self, steps: dict[str, int]) -> None:
        """Start a new file, or be blocked until one can be started."""
        self.id = identity.new_writer_id()
        self._blocked_names: Tracks = Tracks(self._refuse_name, steps)
        self._tracks, self._plans = self._blocked_names, {}
        self._steps = steps
        self._began = False
        self._state = self._refusing(self._tracks, self._plans)
        self._waiting.appendleft(("writer", self._writer_facts(), _now()))
        self._phase = BLOCKED
        self._retry_at = 0.0
        try:
            self._unblock()
        except UnavailableError as fault:
            self._block(fault)

    def _refuse_name(self, *_: object) -> None:
        raise self._blocked_by

    def _writer_facts(self) -> dict[str, Any]:
        mine = {"id": self.id, "owner": self.owner, **identity.process_facts(), "started_at": _now()}
        return {**self._facts, **mine}

    def _open_files(self) -> None:
        if not self._ever_began:
            try:
                self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise UnavailableError.because(error) from error
        folder = journal_folder(self.run_dir)
        mapped = mapping_is_safe(self.run_dir) if self._mapped is None else self._mapped
        files = SegmentFiles(folder, self.id, preallocate=mapped)
        self._slots = Slots(files, mapped=mapped, on_window=self._ring)
        self._tracks, self._plans = Tracks(self._write_name, self._steps), {}
        self._slots.prepare()
        self._began = self._ever_began = True
        self._start_keeper()

    _ever_began = False
    _keeper: Keeper | None = None

    def _unblock(self) -> None:
        """Go back to recording, or raise why not."""
        if self._began:
            self._slots.prepare()
        else:
            self._open_files()
        self._flush_waiting()
        if self._drops:
            self._write_event("drops", {"drops": self.dropped}, _now())
        self._retry_in = _FIRST_RETRY
        self._phase = OPEN
        self._state = (self._slots.quick_counter, self._slots.windows, self._tracks, self._plans)

    def _flush_waiting(self) -> None:
        while self._waiting:
            try:
                event = self._waiting.popleft()
            except IndexError:
                return
            try:
                self._write_event(*event)
            except UnavailableError:
                self._waiting.appendleft(event)
                raise

    def _refusing(self, tracks: Tracks, plans: dict[Any, Plan]) -> State:
        return Refusing(), Windows(), tracks, {}

    # --- slow recording ----------------------------------------------------------------------------------

    def _point_slowly(
        self, error: Exception, state: State, name: str, value: Any, step: Any, type: str, source: str | None
    ) -> None:
        if isinstance(error, AbandonedError):
            return
        self._check_open(state)
        number = as_number(value, name)
        at = None if step is None else as_step(step, name)
        if not self._attempt(lambda: self._write_point(name, number, at, type, source), state):
            self._drop(1)

    def _write_point(self, name: str, number: float, at: int | None, type: str, source: str | None) -> None:
        track = self._tracks[name if type == "scalar" and source is None else (name, type, source)]
        at = track.next() if at is None else at
        self._slots.write(_pack_point(number, at, _now(), track.tag))
        track.last = max(track.last, at)

    def _row_slowly(
        self,
        error: Exception,
        state: State,
        drawn: list[int],
        metrics: Mapping[str, Any],
        step: Any,
        type: str,
        source: str | None,
    ) -> None:
        if isinstance(error, AbandonedError):
            return
        self._check_open(state)
        flat = flatten(metrics)
        numbers = {name: as_number(value, name) for name, value in flat.items()}
        at = None if step is None else as_step(step, next(iter(flat), "step"))
        if drawn:
            self._attempt(lambda: self._slots.give_up(drawn), state)
        if not numbers:
            return
        if not self._attempt(lambda: self._write_row(numbers, at, type, source), state):
            self._drop(len(numbers))

    def _write_row(self, numbers: dict[str, float], at: int | None, type: str, source: str | None) -> None:
        names = tuple(numbers)
        if len(names) == 1:
            return self._write_point(names[0], numbers[names[0]], at, type, source)
        key = names if type == "scalar" and source is None else (names, type, source)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._new_plan(key, names, type, source)
        payload = plan.pack_values(*numbers.values())
        at = plan.next() if at is None else at
        self._slots.write(_pack_multi(crc32(payload), plan.count, at, _now(), plan.tag), payload)
        next(plan.rows)
        plan.last = max(plan.last, at)
        return None

    def _new_plan(self, key: Any, names: tuple[str, ...], type: str, source: str | None) -> Plan:
        columns = [self._tracks.identify(name, type, source) for name in names]
        identity_ = next(self._column_ids)
        self._write_event("columns", {"id": identity_, "names": columns}, _now())
        plan = Plan(identity_, len(names), max(self._tracks.last(name) for name in names))
        self._tracks.relate(plan, names)
        return self._plans.setdefault(key, plan)

    def _write_name(self, identity_: int, name: str, type: str, source: str | None) -> None:
        self._write_event("name", {"id": identity_, "name": name, "metric": type, "source": source}, _now())

    _column_ids = count(1)

    def _write_event(self, type: str, payload: Mapping[str, Any], when: float) -> None:
        data = json.dumps({"type": type, **payload}, default=str, separators=(",", ":")).encode()
        if len(data) > MAX_BLOB:
            raise ValueError(f"event {type!r}: expected at most {MAX_BLOB} bytes, found {len(data)}")
        head = _pack_multi(crc32(data), len(data), NO_STEP, when, BLOB << KIND_SHIFT)
        slots = self._slots
        first = slots.write(head, data)
        slots.overhead.add(1 + (len(data) + 31) // 32)
        del first

    def _attempt(self, write: Callable[[], Any], state: State | None = None) -> bool:
        for _ in range(3):
            try:
                self._make_ready()
                write()
            except AbandonedError:
                return True
            except UnavailableError as fault:
                self._stumble(fault)
            else:
                return True
        return False

    def _make_ready(self) -> None:
        if self._phase == FORKED:
            self._begin(self._steps)
        if self._phase == BLOCKED:
            if time.monotonic() < self._retry_at:
                raise self._blocked_by
            self._unblock()
        if self._phase == CLOSED and not self._open_token:
            raise self._closed_error()

    def _stumble(self, fault: UnavailableError) -> None:
        if fault is not self._blocked_by:
            self._block(fault)

    def _block(self, fault: UnavailableError) -> None:
        self._blocked_by = fault
        self._retry_at = time.monotonic() + self._retry_in
        self._retry_in = min(2 * self._retry_in, _LAST_RETRY)
        if self._phase == OPEN:
            self._phase = BLOCKED
            self._state = self._refusing(self._tracks, self._plans)
        if fault.reason not in self._told:
            self._told.add(fault.reason)
            self._notices.append(f"recording to {self.run_dir} stopped: {fault.reason}; it resumes when it can")

    def _check_open(self, state: State) -> None:
        if self._phase == CLOSED:
            raise self._closed_error()

    def _drop(self, points: int) -> None:
        self._drops.setdefault(self._blocked_by.reason, Tally()).add(points)

    def _wait(self, type: str, payload: Mapping[str, Any]) -> None:
        if len(self._waiting) < _WAITING:
            self._waiting.append((type, dict(payload), _now()))

    # --- background --------------------------------------------------------------------------------------

    def _start_keeper(self) -> None:
        self._beat_at = time.monotonic() + _BEAT
        self._keeper = Keeper(self._tick)
        self._keeper.start()

    def _stop_keeper(self) -> None:
        if self._keeper is not None:
            self._keeper.stop()

    def _ring(self) -> None:
        if self._keeper is not None:
            self._keeper.ring()

    def _tick(self) -> None:
        if self._phase == BLOCKED:
            self._attempt(lambda: None)
        if self._phase == OPEN:
            self._guard_disk(self._look_after_files)
        self._tell()

    def _look_after_files(self) -> None:
        files = self._slots.files
        files.sync()
        self._look_for_deletion()
        if time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + _BEAT
            files.beat(_now())

    def _look_for_deletion(self) -> None:
        if self._slots.files.is_deleted():
            self._began = False
            self._block(UnavailableError("folder deleted"))

    def _guard_disk(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (OSError, UnavailableError) as error:
            fault = error if isinstance(error, UnavailableError) else UnavailableError.because(error)
            self._block(fault)

    def _tell(self) -> None:
        while self._notices:
            import logging

            logging.getLogger("tracelet.journal").warning(self._notices.popleft())

    def _after_fork(self) -> None:
        """In the child: leave the parent's files alone; the first record opens a file of the child's own."""
        state, slots = self._state, self._slots
        slots.windows.refusal = state[1].refusal = AbandonedError
        slots.windows.clear()
        self._keeper = None
        if self._phase == CLOSED:
            return
        self._steps = self._tracks.steps()
        self.owner = self.owner or self.id
        self._earlier, self._drops = 0, {}
        self._waiting.clear()
        self._phase = FORKED
        self._state = self._refusing(Tracks(self._refuse_name, self._steps), {})


_living: dict[int, weakref.ref[Writer]] = {}


def _after_fork_in_child() -> None:
    for reference in list(_living.values()):
        writer = reference()
        if writer is not None:
            writer._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
