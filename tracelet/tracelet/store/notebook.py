"""Showing a run that is still recording in a notebook: one output, updated in place until the run has ended."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

_SHORTEST: Final = 1.0  # seconds between two updates
_LONGEST: Final = 15.0
_SHARE: Final = 0.02  # of a run's age: a run of an hour is updated every 15 s
_COST: Final = 20.0  # times the seconds that making an update took

_serial = 0


def in_notebook() -> bool:
    """Return whether the program runs in the kernel of a notebook, which can update what it has shown."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    return shell is not None and hasattr(shell, "kernel")


def show_live(name: str, render: Callable[[], tuple[str, bool]]) -> None:
    """Show HTML in a notebook and keep it up to date.

    ``render`` returns the HTML and whether it will change again. The output is replaced in place, no more often than
    every second and less often for a long run, from a thread that ends with the run or the program.
    """
    global _serial
    _serial += 1
    page, goes_on = render()
    handle = _display(page, f"tracelet-{name}-{os.getpid()}-{_serial}")
    if goes_on and handle is not None:
        update = _Updates(handle, render, page)
        threading.Thread(target=update.run, name=f"tracelet notebook {name}", daemon=True).start()


def _display(page: str, display_id: str) -> Any:
    from IPython.display import HTML, display

    return display(HTML(page), display_id=display_id)


class _Updates:
    """Replaces an output until nothing changes any more."""

    def __init__(self, handle: Any, render: Callable[[], tuple[str, bool]], page: str) -> None:
        self._handle, self._render, self._page = handle, render, page
        self._cost = 0.0  # seconds of CPU time that the last update took
        self._began = time.monotonic()
        self._pid = os.getpid()

    def run(self) -> None:
        """Update until the run has ended."""
        goes_on = True
        while goes_on and os.getpid() == self._pid:
            time.sleep(self._interval())
            began = time.thread_time()
            try:
                page, goes_on = self._render()
            except Exception:  # the run was deleted, say: the last page stays
                return
            self._cost = time.thread_time() - began
            if page != self._page:
                self._page = page
                with contextlib.suppress(Exception):  # the notebook is gone
                    self._update(page)

    def _update(self, page: str) -> None:
        from IPython.display import HTML

        self._handle.update(HTML(page))

    def _interval(self) -> float:
        wanted = max(_SHORTEST, _SHARE * (time.monotonic() - self._began))
        return max(min(wanted, _LONGEST), _COST * self._cost)
