"""Under ``tracelet run``, backends wait until the program has named its run.

The command opens the run before the program starts, and collectors record at once. Many destinations never move a run
to another project. So ``run_started`` and the first records wait until the program calls ``start_run`` (or ends).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from tracelet.run.threads import try_start

PATIENCE: Final = 20.0  # seconds that a program may take to name its run


class Naming:
    """Keeps calls until the name of a run is known. From the first moment on it is, unless :meth:`expect` is called."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self._known.set()
        self._done = threading.Event()  # the calls that were kept have returned
        self._done.set()
        self._calls: list[Callable[[], None]] = []
        self._lock = threading.RLock()  # reentrant, since a signal handler may interrupt its holder

    def expect(self) -> None:
        """Expect a name: keep calls until it is known, the run ends, or 20 seconds have passed."""
        self._known.clear()
        self._done.clear()
        if not try_start(threading.Thread(target=self._release, name="tracelet naming", daemon=True)):
            self.settle()  # nobody would make the calls later
            self._done.set()

    def postpone(self, call: Callable[[], None]) -> bool:
        """Keep a call for later. Returns ``False`` if it should be made now."""
        with self._lock:
            if self._known.is_set():
                return False
            self._calls.append(call)
            return True

    def settle(self) -> None:
        """The name is known. Returns at once; the calls are made on threads of their own."""
        self._known.set()

    def _release(self) -> None:
        self._known.wait(PATIENCE)
        with self._lock:
            self._known.set()
            calls, self._calls = self._calls, []
        threads = []
        for call in calls:
            threads.append(threading.Thread(target=call, name="tracelet host", daemon=True))
            if not try_start(threads[-1]):
                call()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        self._done.set()

    def wait(self, timeout: float) -> bool:
        """Wait until the calls that were kept have returned; while the name is not known, there is no need to."""
        return not self._known.is_set() or self._done.wait(max(0.0, timeout))
