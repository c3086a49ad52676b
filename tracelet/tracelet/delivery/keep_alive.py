"""Calling a backend while there is nothing to deliver, so that its destination knows that a silent run lives."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.guarded_run import GuardedRun
from tracelet.errors import PluginError
from tracelet.host.discovery import attributes
from tracelet.logs import get_logger
from tracelet_hookspecs import RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginHandle

log = get_logger("tracelet.delivery")

_METHOD: Final = "keep_alive"
_LEAST: Final = 0.1  # seconds between two calls, whatever the backend returns
_RETRY: Final = 60.0  # seconds, after a failure


class KeepAlive:
    """Calls ``keep_alive(run)`` of a backend that has it. The method returns the seconds until the next call."""

    def __init__(self, handle: PluginHandle, run: RunView) -> None:
        self._handle = handle
        self._run = GuardedRun(run)
        self._due = -math.inf

    def call_if_due(self) -> None:
        """Call it, if it is time.

        Raises:
            PluginError: it hangs.
        """
        if time.monotonic() < self._due:
            return
        try:
            seconds = self._handle.submit(self._call, step=_METHOD, calls=0)
        except PluginError as error:
            if not self._handle.worker.usable:
                raise
            log.info("%s; repeated in %g s", error, _RETRY)
            seconds = _RETRY
        self._due = time.monotonic() + max(_LEAST, seconds)

    def _call(self) -> float:
        plugin: Any = self._handle.plugin
        if _METHOD not in attributes(plugin):
            return math.inf
        seconds = float(plugin.keep_alive(self._run))
        if math.isnan(seconds):
            raise ValueError(f"{_METHOD}: expected the seconds until the next call, found {seconds}")
        return seconds
