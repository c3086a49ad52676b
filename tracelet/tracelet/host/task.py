"""One call on its way to a plugin's thread and back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

PENDING: Final = 0
RUNNING: Final = 1
DONE: Final = 2
WITHDRAWN: Final = 3


class Task:
    """One call on its way to a plugin's thread and back. ``done`` is set when it has returned or raised."""

    __slots__ = ("_claim", "began", "deadline", "done", "error", "function", "result", "state", "step")

    def __init__(self, function: Callable[[], Any], step: str, deadline: float) -> None:
        self.function = function
        self.step = step
        self.deadline = min(deadline, threading.TIMEOUT_MAX)
        self.state = PENDING
        self._claim = threading.Lock()
        self.began = 0.0
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()

    def claim(self, state: int) -> bool:
        """Take a pending call, to run it or to withdraw it; only one of the two sides gets it."""
        with self._claim:
            if self.state != PENDING:
                return False
            self.began = time.monotonic()
            self.state = state
            return True

    def run(self) -> None:
        """Make the call and keep how it went."""
        try:
            self.result = self.function()
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: they are told to the caller
            self.error = error
        self.state = DONE
        self.done.set()

    def overdue(self) -> bool:
        """Whether it is running, and has been for longer than its deadline."""
        return self.state == RUNNING and time.monotonic() > self.began + self.deadline

    def outcome(self) -> Any:
        """Return what the function returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self.result
