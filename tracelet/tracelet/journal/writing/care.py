"""What is done for a stream in the background, and when: opening windows ahead, syncs, heartbeats."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tracelet.journal.writing.faults import UnavailableError
from tracelet.journal.writing.keeper import INTERVAL
from tracelet.journal.writing.outage import Outage
from tracelet.journal.writing.stream import Stream

_BEAT = 5.0  # seconds between heartbeats


class Maintenance:
    """Looks after the stream of a writer. Trouble on the way ends nothing: a caller will meet it, or the next turn."""

    def __init__(self, run_dir: Path, outage: Outage) -> None:
        self._run_dir = run_dir
        self._outage = outage
        self._sync_at = self.beat_at = time.monotonic() + INTERVAL

    def look_ahead(self, stream: Stream) -> None:
        """Open what a caller will need soon."""
        with contextlib.suppress(OSError, UnavailableError):
            stream.look_ahead()

    def is_sync_due(self) -> bool:
        """Say whether it is time for a sync, once for each time."""
        now = time.monotonic()
        is_due = now >= self._sync_at
        if is_due:
            self._sync_at = now + INTERVAL
        return is_due

    def keep_safe(self, stream: Stream) -> None:
        """See to it that names survive damage, and records a loss of power."""
        with contextlib.suppress(UnavailableError):
            stream.list_names()
        if not stream.is_synced:
            self.sync(stream)

    def sync(self, stream: Stream) -> None:
        """Wait until the disk holds what was recorded."""
        try:
            stream.sync()
            self._outage.forget("sync")
        except OSError as error:
            text = f"{self._run_dir}: the disk does not take what was recorded ({error}); losing power may lose it"
            self._outage.say_once("sync", text)

    def beat(self, stream: Stream) -> None:
        """Give a sign of life where it is time, also amid an outage: a full disk takes what replaces something."""
        now = time.monotonic()
        if now >= self.beat_at:
            self.beat_at = now + _BEAT
            with contextlib.suppress(OSError):  # the next beat may get through; the thread must live to try
                stream.slots.files.beat(time.time())
