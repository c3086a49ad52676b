"""Which process delivers to a backend: one at a time per run and backend, named in a file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import uuid
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import quote, unquote

from tracelet.delivery.ledger.ledger import FOLDER
from tracelet.delivery.limits import Settings
from tracelet.journal import identity
from tracelet.safe_files import UnsafeFileError, open_file, open_folder, read_file, write_all

SUFFIX: Final = ".lease"
_LARGEST: Final = 16384  # bytes of a lease
_LONGEST: Final = 7 * 86400.0  # the longest silence, in seconds, that another host's lease may claim


class Lease:
    """The right to deliver to one backend of one run.

    It is advisory, and uses no locks of the file system, which shared folders do not always have: the file is created
    in one step (a hard link fails if there is one already), names its holder (host, boot, process and the time when
    that started) and is free again when that process is gone; on another host, when it has written no heartbeat for
    ``lease_stale`` seconds beyond its longest call.
    """

    def __init__(self, run_dir: Path, backend: str, settings: Settings, longest_call: float = 0.0) -> None:
        self._run_dir = run_dir
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
        open_folder(self._run_dir, FOLDER, create=True)
        for _ in range(2):
            if self._make():
                self.held = True
                self._beat_at = monotonic()
                return True
            if not self._break_if_dead():
                return False
        return False

    def _make(self) -> bool:
        mine = self.file.with_name(f".{self.file.name}.{self._token}")
        holder = {**identity.process_facts(), "token": self._token, "stale_after": self._stale}
        self._create(mine, holder)
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
            self._create(self.file, holder)
        except FileExistsError:
            return False
        return True

    def _create(self, file: Path, holder: dict[str, Any] | None = None) -> None:
        """Create a file that does not exist yet. Raises ``FileExistsError`` if it does."""
        try:
            created = open_file(
                self._run_dir, file.relative_to(self._run_dir), os.O_WRONLY | os.O_CREAT | os.O_EXCL
            )
        except UnsafeFileError as error:
            raise FileExistsError(*error.args) from error
        if holder is not None:
            try:
                write_all(created, json.dumps(holder).encode())
            except OSError:  # the disk is full: half a file would be in the way of every later attempt
                file.unlink(missing_ok=True)
                raise

    def holder(self) -> dict[str, Any] | None:
        """Return the holder of the lease, or ``None``. For a file that is not a lease, return an empty mapping."""
        try:
            holder = json.loads(
                read_file(self._run_dir, self.file.relative_to(self._run_dir), limit=_LARGEST)
            )
        except FileNotFoundError:
            return None
        except (
            ValueError,
            RecursionError,
            UnsafeFileError,
        ):  # being written, or not a lease at all
            return {}
        return holder if isinstance(holder, dict) else {}

    def is_held(self) -> bool:
        """Say whether a living process has the lease."""
        holder = self.holder()
        return holder is not None and self._is_alive(holder)

    def describe_holder(self) -> str:
        """Return a sentence that says who has the lease."""
        holder = self.holder() or {}
        host = str(holder.get("host", "another host"))[:100]
        return f"process {str(holder.get('pid', '?'))[:20]} on {host} delivers to it"

    def _break_if_dead(self) -> bool:
        """Remove the lease of a process that is gone. Of several processes that try, one succeeds."""
        holder = self.holder()
        if holder is None:
            return True
        if self._is_alive(holder):
            return False
        return self._bury(str(holder.get("token")))

    def _bury(self, dead: str) -> bool:
        """Remove a dead process's lease. Only the process that has made its grave may, while it is still that lease."""
        digest = hashlib.sha256(dead.encode("utf-8", "replace")).hexdigest()[:32]
        grave = self.file.with_name(f".{self.file.name}.{digest}.dead")
        try:
            self._create(grave)
        except FileExistsError:
            self._reopen_abandoned(grave)
            return False  # another process is removing it; the next attempt will show
        try:
            holder = self.holder()
            if holder is not None and str(holder.get("token")) == dead:
                self._remove()
        finally:
            grave.unlink(missing_ok=True)
        return True

    def _remove(self) -> None:
        try:
            self.file.unlink(missing_ok=True)
        except (IsADirectoryError, PermissionError):  # a folder in its place
            self.file.rename(self.file.with_name(f"{self.file.name}.unusable-{self._token}"))

    def _reopen_abandoned(self, grave: Path) -> None:
        """Let others try if the process that made the grave is itself gone."""
        with contextlib.suppress(FileNotFoundError):
            if self._now() - os.lstat(grave).st_mtime > self._settings.lease_stale:
                grave.unlink()

    def _is_alive(self, holder: dict[str, Any]) -> bool:
        here = identity.process_facts()
        same = all(holder.get(key) == here[key] for key in ("host", "boot_id", "pid_namespace"))
        pid = holder.get("pid")
        if same and isinstance(pid, int) and 0 < pid < 1 << 31:
            return identity.is_alive(pid, holder.get("pid_started"))
        try:
            age = self._now() - os.lstat(self.file).st_mtime
        except FileNotFoundError:
            return False
        return age < self._stale_after(holder)

    def _stale_after(self, holder: dict[str, Any]) -> float:
        """Return how long the holder may be silent, if the lease has a plausible value."""
        stale = holder.get("stale_after")
        if isinstance(stale, int | float) and math.isfinite(stale) and 0 < stale <= _LONGEST:
            return float(stale)
        return self._stale

    def _now(self) -> float:
        """Return the time by the clock that also dates the lease: the file system's, not this host's."""
        fresh = self.file.with_name(f".{self.file.name}.{self._token}.now")
        self._create(fresh)
        now = os.lstat(fresh).st_mtime
        fresh.unlink()
        return now

    def beat(self) -> bool:
        """Write a heartbeat if it is time, and return whether the lease is still held."""
        now = monotonic()
        if self.held and now - self._beat_at >= self._settings.lease_beat:
            self._beat_at = now
            holder = self.holder()
            self.held = holder is not None and holder.get("token") == self._token
            if self.held:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(self.file, follow_symlinks=False)
        return self.held

    def release(self) -> None:
        """Release the lease. One that cannot be reached is left, and free once it is old."""
        if self.held:
            self.held = False
            with contextlib.suppress(OSError):
                holder = self.holder()
                if holder is not None and holder.get("token") == self._token:
                    self.file.unlink(missing_ok=True)


def is_held(run_dir: Path) -> bool:
    """Say whether a living process has the lease of any backend of a run. Raises ``OSError``."""
    files = [file for file in (run_dir / FOLDER).glob(f"*{SUFFIX}") if not file.name.startswith(".")]
    return any(
        Lease(run_dir, unquote(file.name.removesuffix(SUFFIX)), Settings()).is_held() for file in files
    )
