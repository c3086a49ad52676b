"""Waiting until a batch is worth a call, for backends that prefer few large batches (object stores)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.ledger.counting import ends
from tracelet.delivery.limits import Settings
from tracelet.errors import PluginError
from tracelet.journal import writers
from tracelet.logs import get_logger
from tracelet_hookspecs import Batching

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginHandle

log = get_logger("tracelet.delivery")

_LOOK: Final = 1.0  # seconds between two looks at how much is pending
_LARGE_AIM: Final = 5.0  # seconds that a large batch should take


class Gathering:
    """Applies a backend's :class:`~tracelet_hookspecs.Batching`; without one, nothing waits."""

    def __init__(self, handle: PluginHandle, run_dir: Path) -> None:
        self._handle = handle
        self._run_dir = run_dir
        self._batching = self._read()
        self._due = -math.inf

    def adapt(self, settings: Settings) -> Settings:
        """Return settings with batches of the size that the backend prefers. Columns cost nothing per point."""
        if self._handle.implements("log_columns"):
            settings = settings._replace(batch_quick=settings.batch_largest)
        if self._batching is None:
            return settings
        size = self._batching.records
        # Without a wait, batches grow as far as the backend is fast enough.
        first = size if self._batching.seconds else min(size, settings.batch_first)
        return settings._replace(
            batch_first=first, batch_quick=size, batch_largest=size, batch_aim=_LARGE_AIM
        )

    def begin(self) -> None:
        """The backend has got a batch: the wait for the next one begins now."""
        if self._batching is not None:
            self._batching = self._read() or self._batching
            self._due = time.monotonic() + self._batching.seconds

    def wait(self, position: Callable[[str], int]) -> float:
        """Return the seconds until the next look; 0 if the next batch is due.

        ``position`` returns how far a writer is delivered.
        """
        left = self._due - time.monotonic()
        if self._batching is None or left <= 0:
            return 0.0
        found = ends(self._run_dir, writers(self._run_dir))
        pending = max((end - position(writer) for writer, end in found.items()), default=0)
        return 0.0 if pending >= self._batching.records else min(left, _LOOK)

    def _read(self) -> Batching | None:
        try:
            batching: Batching | None = self._handle.read("batching", _batching_of)
        except PluginError as error:
            log.warning("%s; it gets its records as soon as possible", error)
            return None
        return batching


def _batching_of(value: Any) -> Batching | None:
    """Return a valid value of the attribute. Raises ``ValueError`` for any other."""
    if value is None:
        return None
    seconds, records = (float(value[0]), int(value[1])) if isinstance(value, tuple) else (math.nan, 0)
    if not (0 <= seconds < math.inf and records > 0):
        raise ValueError(f"batching: expected Batching(seconds, records), found {value!r}")
    return Batching(seconds, records)
