"""The identity of this process, and whether another one is still alive."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any


def new_writer_id() -> str:
    """Return a new id of 32 hex digits. Later ones sort after earlier ones (milliseconds come first)."""
    return f"{time.time_ns() // 1_000_000 & 0xFFFFFFFFFFFF:012x}{os.urandom(10).hex()}"


def process_facts() -> dict[str, Any]:
    """Return facts that identify this process among all processes of all hosts, past and present."""
    pid = os.getpid()
    state = process_state(pid)
    return {
        "pid": pid,
        "pid_started": state[1] if state else None,
        "pid_namespace": pid_namespace(),
        "boot_id": boot_id(),
        "host": host_name(),
    }


def host_name() -> str:
    """Return this host's name."""
    return os.uname().nodename


@lru_cache(maxsize=1)
def boot_id() -> str | None:
    """Return the id that the kernel chose at boot, or None if there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def booted_at() -> float:
    """Return when this host was booted, in seconds since the epoch; 0 if unknown."""
    try:
        with open("/proc/stat", "rb") as file:
            return next((float(line.split()[1]) for line in file if line.startswith(b"btime ")), 0.0)
    except (OSError, ValueError, IndexError):
        return 0.0


def pid_namespace() -> int | None:
    """Return the namespace of process ids, which distinguishes containers on the same host."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None


def process_state(pid: int) -> tuple[str, int] | None:
    """Return a process's state letter and start time (clock ticks since boot), or None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def is_alive(pid: int, started: int | None) -> bool:
    """Say whether the process with this id and start time is running on this host (a zombie is not)."""
    if not os.path.exists("/proc/self/stat"):
        return _answers(pid)
    state = process_state(pid)
    return state is not None and state[0] not in "ZXx" and (started is None or state[1] == started)


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
