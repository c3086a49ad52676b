"""The suite for collectors."""

from __future__ import annotations

import contextlib
import fnmatch
import math
import os
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from tracelet.testing.conformance.manners import Manners
from tracelet.testing.conformance.promises import broken, promise
from tracelet.testing.doubles import Driven, drive
from tracelet.testing.expected import read_points
from tracelet.testing.harness import Harness

_CALLS: Final = 30
_PAUSE: Final = 0.25  # seconds between measurements: a rate over less may be left out as noise


class CollectorConformance(Manners):
    """The promises of a collector, one test each.

    Subclass it, set ``plugin`` and ``config``, and say in ``units`` what each number measures. If it measures a device
    that a machine may lack, override ``without_device``.
    """

    #: The unit of each measured name, or of a pattern of names: ``{"cpu/*": "percent", "net/sent": "bytes/s"}``.
    units: Mapping[str, str] | None = None

    def without_device(self) -> AbstractContextManager[None]:
        """Return a context in which the device is missing. Override it, for example with a variable or a patch."""
        self.not_applicable("the suite has no without_device()")
        return contextlib.nullcontext()

    def use(self, harness: Harness) -> None:
        """Have it measure once."""
        harness.wait_for(lambda: any(call.hook == "collect" for call in harness.calls))

    @promise("measures", "collect() returns numbers and texts by name, and they are recorded")
    def test_what_it_measures_is_recorded(self) -> None:
        """In the real host: the journal has the numbers as metrics of type system."""
        from tracelet.host.answers import measurements_of
        from tracelet.journal import flatten

        with drive(self._object, self.table()) as driven:
            measured = measurements_of(driven.call("collect"), flatten)
        harness = self.harness()
        self.use(harness)
        harness.stop()
        harness.check()
        names = {point.name for point in read_points(harness.run_dir)}
        if missing := sorted(set(measured.numbers) - names):
            broken(f"{', '.join(missing[:5])} measured, but not recorded")

    @promise("interval", "collect() returns well within its interval")
    def test_it_returns_within_its_interval(self) -> None:
        """The first measurement, which may be slower, included."""
        harness = self.harness()
        interval = harness.collecting.status()[harness.name]["interval"] or 60.0
        with drive(self._object, self.table()) as driven:
            took = max(_timed(driven) for _ in range(3))
        if took > interval / 2:
            broken(f"collect() took {took:.2f} s, its interval is {interval:g} s")

    @promise("missing_device", "A missing device is not an error")
    def test_it_survives_a_missing_device(self) -> None:
        """Without the device, it starts, or says that it is not available, and collect() returns a mapping."""
        with self.without_device():
            harness = self.harness(start="try")
            if harness.info.state.name == "ACTIVE":
                self.use(harness)
                harness.check()
            elif not (harness.info.unavailable or harness.info.error):
                broken("it does not start, and does not say why")

    @promise("units", "The unit of every number is documented")
    def test_the_units_are_documented(self) -> None:
        """In the suite's ``units``, by name or pattern."""
        if self.units is None:
            self.not_applicable("the suite has no units")
        known = self.units or {}
        with drive(self._object, self.table()) as driven:
            numbers = _numbers(driven.call("collect"))
        unknown = [name for name in numbers if not any(fnmatch.fnmatchcase(name, each) for each in known)]
        if unknown:
            broken(f"no unit for {', '.join(unknown[:8])}")

    @promise("names_stable", "The same names are measured each time")
    def test_names_are_stable(self) -> None:
        """Names that come and go make a metric of every measurement."""
        with drive(self._object, self.table()) as driven:
            first = set(_numbers(driven.call("collect")))
            later = []
            for _ in range(3):
                time.sleep(_PAUSE)
                later.append(set(_numbers(driven.call("collect"))))
        new = set().union(*later[1:]) - first - later[0]
        if new:
            broken(f"new names in later measurements: {', '.join(sorted(new)[:8])}")

    @promise("leaks", "Measuring many times leaks nothing: no file, no thread")
    def test_it_leaks_nothing(self) -> None:
        """Open files and threads after some measurements, and after many more."""
        with drive(self._object, self.table()) as driven:
            for _ in range(5):
                driven.call("collect")
            # Twice: what another part of the process opens meanwhile makes one of them grow, a leak both.
            more_files, more_threads = map(min, zip(_growth(driven), _growth(driven), strict=True))
        if more_files > 2:
            broken(f"{more_files} more open files after {_CALLS} measurements")
        if more_threads > 0:
            broken(f"{more_threads} more threads after {_CALLS} measurements")


def _growth(driven: Driven) -> tuple[int, int]:
    """Return how many more files and threads there are after some measurements."""
    files, threads = _open_files(), threading.active_count()
    for _ in range(_CALLS):
        driven.call("collect")
    return _open_files() - files, threading.active_count() - threads


def _timed(driven: Driven) -> float:
    began = time.perf_counter()
    driven.call("collect")
    return time.perf_counter() - began


def _numbers(answer: Any) -> dict[str, float]:
    from tracelet.host.answers import measurements_of
    from tracelet.journal import flatten

    numbers: dict[str, float] = dict(measurements_of(answer, flatten).numbers)
    return {name: value for name, value in numbers.items() if not math.isnan(value)}


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
