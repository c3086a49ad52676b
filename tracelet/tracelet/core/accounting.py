"""What each plugin costs: calls, errors, wall and CPU time per hook."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Cost:
    """The account of one hook of one plugin. Times are in seconds."""

    __slots__ = ("calls", "cpu_s", "errors", "wall_s")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.wall_s = 0.0
        self.cpu_s = 0.0

    def measure(self, function: Callable[[], Any]) -> Any:
        """Call a function on the current thread and add what it took."""
        wall, cpu = time.perf_counter(), time.thread_time()
        self.calls += 1
        try:
            return function()
        except BaseException:
            self.errors += 1
            raise
        finally:
            self.wall_s += time.perf_counter() - wall
            self.cpu_s += time.thread_time() - cpu

    def as_dict(self) -> dict[str, float]:
        """Return the account as JSON can hold it."""
        return {"calls": self.calls, "errors": self.errors, "wall_s": self.wall_s, "cpu_s": self.cpu_s}
