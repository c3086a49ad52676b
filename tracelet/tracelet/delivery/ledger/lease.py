"""Who delivers to a backend: one process at a time per run and backend, by a file that says which."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tracelet.delivery.ledger.ledger import FOLDER
from tracelet.delivery.limits import Settings
from tracelet.journal import identity

SUFFIX: Final = ".lease"


class Lease:
    """The right to deliver to one backend of one run.

    Advisory, and without locks of the file system, which shared folders do not always have: it is made in one step
    (a hard link fails where there is one already), names its holder (host, boot, process and when that
    started) and is free again when that process is gone; from another host, when it has given no sign of
    life for ``lease_stale`` seconds beyond its longest call.
    """

    def __init__(self, run_dir: Path, backend: str, settings: Settings, longest_call: float = 0.0) -> None:
        self.file = run_dir / FOLDER / (quote(backend, safe="") + SUFFIX)
        self._settings = settings
        self._stale = settings.lease_stale + longest_call
        self._token = uuid.uuid4().hex
        self._beat_at = 0.0
        self.held = False

    def acquire(self) -> bool:
        """Take the lease if it is free."""
        if self.held:
            return True
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(2):
            if self._make():
                self.held = True
                self._beat_at = time.monotonic()
                return True
            if not self._break_if_dead():
                return False
        return False

    def _make(self) -> bool:
        mine = self.file.with_name(f".{self.file.name}.{self._token}")
        holder = {**identity.process_facts(), "token": self._token, "stale_after": self._stale}
        mine.write_text(json.dumps(holder), encoding="utf-8")
        mine.chmod(0o600)
        try:
            os.link(mine, self.file)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            return self._make_plainly(holder)
        finally:
            mine.unlink()
        return True

    def _make_plainly(self, holder: dict[str, Any]) -> bool:
        try:
            handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        os.write(handle, json.dumps(holder).encode())
        os.close(handle)
        return True

    def holder(self) -> dict[str, Any] | None:
        """Return who has the lease, ``None`` where nobody does."""
        try:
            holder: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:  # being written, without hard links
            return {}
        return holder

    def told(self) -> str:
        """Say who has the lease."""
        holder = self.holder() or {}
        return f"process {holder.get('pid', '?')} on {holder.get('host', 'another host')} delivers to it"

    def _break_if_dead(self) -> bool:
        """Remove the lease of a process that is gone. Of several that try, one does."""
        holder = self.holder()
        if holder is None:
            return True
        if self._is_alive(holder):
            return False
        return self._bury(str(holder.get("token")))

    def _bury(self, dead: str) -> bool:
        """Remove a dead process's lease. Only who has made its grave may, and only while it is still that lease."""
        grave = self.file.with_name(f".{self.file.name}.{quote(dead, safe='')}.dead")
        try:
            os.close(os.open(grave, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            self._reopen_abandoned(grave)
            return False  # somebody is at it: the next look will tell
        try:
            holder = self.holder()
            if holder is not None and str(holder.get("token")) == dead:
                self.file.unlink(missing_ok=True)
        finally:
            grave.unlink(missing_ok=True)
        return True

    def _reopen_abandoned(self, grave: Path) -> None:
        """Let others try where whoever made the grave is gone itself."""
        with contextlib.suppress(FileNotFoundError):
            if self._now() - grave.stat().st_mtime > self._settings.lease_stale:
                grave.unlink()

    def _is_alive(self, holder: dict[str, Any]) -> bool:
        here = identity.process_facts()
        same = all(holder.get(key) == here[key] for key in ("host", "boot_id", "pid_namespace"))
        if same and isinstance(holder.get("pid"), int):
            return identity.is_alive(holder["pid"], holder.get("pid_started"))
        try:
            age = self._now() - self.file.stat().st_mtime
        except FileNotFoundError:
            return False
        return age < float(holder.get("stale_after", self._stale))

    def _now(self) -> float:
        """Return the time by the clock that also dates the lease: the file system's, not this host's."""
        fresh = self.file.with_name(f".{self.file.name}.{self._token}.now")
        fresh.touch(0o600)
        now = fresh.stat().st_mtime
        fresh.unlink()
        return now

    def beat(self) -> bool:
        """Give a sign of life where one is due, and say whether the lease is still held."""
        now = time.monotonic()
        if self.held and now - self._beat_at >= self._settings.lease_beat:
            self._beat_at = now
            holder = self.holder()
            self.held = holder is not None and holder.get("token") == self._token
            if self.held:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(self.file)
        return self.held

    def release(self) -> None:
        """Give the lease back."""
        if self.held:
            self.held = False
            holder = self.holder()
            if holder is not None and holder.get("token") == self._token:
                self.file.unlink(missing_ok=True)
