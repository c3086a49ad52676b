"""The writer: appends what a process records to the process's own journal file, at the cost of a memory
write.

How it stays lock-free: ``next`` of a counter gives each call a slot of its own, the file position follows
from the slot number, and the steps of the slow path (mapping a window, registering a name) may run twice
concurrently without harm. So a thread, a signal handler or a forked child may interrupt anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice
from typing import Any
from zlib import crc32

from tracelet.journal.events import encode_event
from tracelet.journal.format import MULTI_HEAD, POINT_HEAD, SEALED, WINDOW_SHIFT, WINDOW_SLOTS
from tracelet.journal.writing.appender import Appender, get_ready
from tracelet.journal.writing.metric_table import SCALAR, Identity, check_name
from tracelet.journal.writing.stream import State
from tracelet.journal.writing.unavailable import AbandonedError, UnavailableError
from tracelet.journal.writing.values import as_number, as_step, flatten

_now = time.time
_pack_point = POINT_HEAD.pack
_pack_multi = MULTI_HEAD.pack
_put_point = SEALED.pack_into
_WITHIN = WINDOW_SLOTS - 1


class Writer(Appender):
    """Records points, rows and events of one process. Every method may be called from anywhere at any time.

    The arguments of the fast path are not keyword-only, because Python calls such functions more slowly.

    Disk errors never raise: what cannot be written is counted in ``dropped`` by reason, one warning is
    logged, and recording resumes as soon as possible. After a fork, the child's first record opens the
    child's own file; a call in progress at the fork is finished by the parent alone.
    """

    # --- the fast path -----------------------------------------------------------------------------------

    def point(
        self,
        name: str,
        value: Any,
        step: Any = None,
        type: str = SCALAR,
        source: str | None = None,
    ) -> None:
        """Record one value of one metric.

        Args:
            name: the metric's name. value: a number (see :func:`tracelet.journal.as_number`). step: a whole
            number; without one, the step after the largest seen for this metric. type: value of a
            ``MetricType``. source: the plugin that measured it, None for the program itself.

        Raises:
            TypeError, ValueError: the value is not a number, or the step not a whole one.
            NoActiveRunError: the writer is closed.
        """
        state = self._state
        counter, windows, known, _ = state
        at = step
        try:
            track = known[name if type is SCALAR and source is None else (name, type, source)]
            if step is None:
                track.last = at = track.next() if track.related else track.last + 1
                head = _pack_point(value, at, _now(), track.tag)
            else:
                head = _pack_point(value, step, _now(), track.tag)
                if step > track.last:
                    track.last = step if step.__class__ is int else as_step(step)
            seq = next(counter)
            _put_point(windows[seq >> WINDOW_SHIFT], (seq & _WITHIN) << 5, head, crc32(head, seq))
            return
        except Exception as error:
            obstacle = error
        self._point_slowly(obstacle, state, (name, type, source), value, step, at)

    def row(
        self,
        metrics: Mapping[str, Any],
        step: Any = None,
        type: str = SCALAR,
        source: str | None = None,
    ) -> None:
        """Record values of several metrics at one step: one record, whole or not at all.

        Beyond 4,096 metrics it takes several records of that many. After 1,024 different sets of metrics,
        further sets are written as single points. In both cases all have one step, but a crash during the
        call may leave only a part.

        Args:
            metrics: values by name; nested ones are flattened with ``/``.
            step, type, source: as in :meth:`point`; one for all.

        Raises:
            TypeError, ValueError: a value is not a number, the step not a whole one, or two values have one name
                (``{"a/b": 1, "a": {"b": 2}}``); nothing is recorded.
            NoActiveRunError: the writer is closed.
        """
        state = self._state
        counter, windows, _, layouts = state
        at, drawn = step, None
        try:
            names = tuple(metrics)
            plan = layouts[names if type is SCALAR and source is None else (names, type, source)]
            payload = plan.pack_values(*metrics.values())
            if step is None:
                plan.last = at = plan.next() if plan.related else plan.last + 1
            head = _pack_multi(crc32(payload), plan.count, at, _now(), plan.tag)
            if at > plan.last:
                plan.last = at if at.__class__ is int else as_step(at)
            drawn = [*islice(counter, plan.size)]
            seq = drawn[0]
            window = seq >> WINDOW_SHIFT
            view = windows.get(window)  # do not open it here: the slots would be counted as lost twice
            if view is not None and drawn[-1] >> WINDOW_SHIFT == window and drawn[-1] - seq < plan.size:
                plan.put(view, (seq & _WITHIN) << 5, head, crc32(head, seq), payload)
                next(plan.rows)
                return
            obstacle: Exception = UnavailableError("not in one window")
        except Exception as error:
            obstacle = error
        self._row_slowly(obstacle, state, drawn, metrics, step, at, type, source)

    # --- the rest of the public face ---------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id of this process's journal file."""
        return self._new_stream().id if self._forked else self._stream.id

    def point_at(self, name: str, value: Any, step: Any, timestamp: float) -> None:
        """Record one value of one metric with the time that the caller gives, in seconds since the epoch.

        Raises as :meth:`point`. It is slower: most points are recorded when they are measured.
        """
        state = self._state
        check_name(name)
        number = as_number(value, name)
        at = None if step is None else as_step(step, name)
        metric = (name, SCALAR, None)
        fault = self._attempt(lambda stream: stream.write_point(metric, number, at, timestamp), state)
        if fault is not None:
            self._outage.drop(fault.reason, 1)

    def event(self, type: str, payload: Mapping[str, Any]) -> None:
        """Record something that is not a number. While nothing can be written, it waits in memory.

        Raises:
            ValueError: it is larger than a segment holds.
            NoActiveRunError: the writer is closed.
        """
        state, event = self._state, (encode_event(type, payload), _now())
        self._pending.remember(type, event)
        if self._attempt(lambda stream: stream.write_event(*event), state):
            self._pending.add(event)

    def sync(self) -> None:
        """Wait until everything recorded so far is on the disk, as far as the disk accepts it."""
        if not (self._closed or self._forked):
            self._attempt(get_ready, self._state)
            self._look_for_deletion(self._stream)
            self._maintenance.sync(self._stream)
            self._outage.report()

    def check_open(self) -> None:
        """Raise NoActiveRunError if the writer is closed: call it before expensive work."""
        if self._closed:
            raise self._closed_error()

    def drop(self, reason: str, count: int = 1) -> None:
        """Count values that could not be made into a record."""
        self._outage.drop(reason, count)

    @property
    def dropped(self) -> dict[str, int]:
        """How many points could not be recorded, by reason."""
        return self._outage.drops

    @property
    def recorded(self) -> int:
        """How many points this process has recorded."""
        return 0 if self._forked else self._earlier + self._stream.recorded

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a journal writer belongs to its process: open a new writer in the other process")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "forked" if self._forked else self._outage.fault or "open"
        return f"<journal writer of {self.run_dir.name}: {state}>"

    # --- the slow path ---------------------------------------------------------------------------------

    def _point_slowly(
        self,
        obstacle: Exception,
        state: State,
        metric: Identity,
        value: Any,
        step: Any,
        at: Any,
    ) -> None:
        if isinstance(obstacle, AbandonedError) or self._is_forked_copy(state):
            return
        name = metric[0]
        check_name(name)
        try:
            number = as_number(value, name)
            at = None if at is None else as_step(at, name)
        except (TypeError, ValueError):
            if step is None and at is not None:
                self._give_step_back(state[2].get(name), at)
            raise
        fault = self._attempt(lambda stream: stream.write_point(metric, number, at), state)
        if fault is not None:
            self._outage.drop(fault.reason, 1)

    def _give_step_back(self, track: Any, at: int) -> None:
        if track is not None and track.last == at:
            track.last = at - 1

    def _row_slowly(
        self,
        obstacle: Exception,
        state: State,
        drawn: list[int] | None,
        metrics: Mapping[str, Any],
        step: Any,
        at: Any,
        type: str,
        source: str | None,
    ) -> None:
        if isinstance(obstacle, AbandonedError) or self._is_forked_copy(state):
            return
        slots = state[1].slots
        if drawn and slots is not None:
            slots.give_up(drawn)
        numbers = {name: as_number(value, name) for name, value in flatten(metrics).items()}
        at = None if at is None else as_step(at, next(iter(numbers), None))
        if not numbers:
            return
        fault = self._attempt(lambda stream: stream.write_row(numbers, at, type, source), state)
        if fault is not None:
            self._outage.drop(fault.reason, len(numbers))
