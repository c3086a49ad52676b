"""What each plugin costs: calls, errors, wall and CPU time per hook."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Cost:
    """The account of one hook of one plugin.

    ``wall_s`` is elapsed time in seconds; ``cpu_s`` is CPU time of the plugin's own thread in seconds, without
    threads that the plugin starts. A call in progress counts with the time it has taken so far.
    """

    __slots__ = ("_overran", "_since", "calls", "cpu_s", "errors", "failure", "is_outage", "wall_s")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        #: The type of the first exception, and whether it was one of the system or network.
        self.failure: str | None = None
        self.is_outage = False
        self.wall_s = 0.0
        self.cpu_s = 0.0
        self._since: float | None = None
        self._overran = False

    def measure(self, function: Callable[[], Any], *, calls: int = 1) -> Any:
        """Call a function on the current thread and add its cost; ``calls=0`` for a part of another call."""
        self.calls += calls
        cpu = time.thread_time()
        began = self._since = time.perf_counter()
        failed = True
        try:
            result = function()
            failed = False
            return result
        except BaseException as error:
            if self.failure is None:
                self.failure, self.is_outage = type(error).__name__, isinstance(error, OSError)
            raise
        finally:
            self.wall_s += time.perf_counter() - began
            self.cpu_s += time.thread_time() - cpu
            if failed and not self._overran:
                self.errors += 1
            self._since, self._overran = None, False

    def overrun(self) -> None:
        """Count the call in progress as failed: it was abandoned."""
        self.errors += 1
        self._overran = self._since is not None

    def as_dict(self) -> dict[str, float]:
        """Return the account in a form that JSON can hold."""
        since = self._since
        wall = self.wall_s + (time.perf_counter() - since if since is not None else 0.0)
        return {"calls": self.calls, "errors": self.errors, "wall_s": wall, "cpu_s": self.cpu_s}
