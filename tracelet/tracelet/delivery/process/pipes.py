"""Messages between a run's process and that of a plugin: a length, then so many bytes.

Downward they are pickled, since a configuration may hold anything. Upward they are JSON: what comes from a plugin's
process is never unpickled, as that would run whatever it likes.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

Message = Mapping[str, Any]

_LENGTH: Final = struct.Struct("<I")
_SENDING: Final = 5.0  # seconds for the other side to take a message


def pickled(message: Message) -> bytes:
    """Return a message as it goes down."""
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def unpickled(data: bytes) -> Message:
    """Return a message that came down."""
    message: Message = pickle.loads(data)
    return message


def as_json(message: Message) -> bytes:
    """Return a message as it goes up; what JSON does not know goes as text."""
    return json.dumps(message, default=str).encode()


def from_json(data: bytes) -> Message:
    """Return a message that came up."""
    message: Message = json.loads(data)
    return message


def frame(data: bytes) -> bytes:
    """Return bytes with their length before them."""
    return _LENGTH.pack(len(data)) + data


def _is_ready(handle: int, event: int, timeout: float) -> bool:
    """Wait for a pipe. (``select.select`` knows no handle above 1023, and programs have more files open than that.)"""
    poll = select.poll()
    poll.register(handle, event)
    return bool(poll.poll(timeout * 1000))


class PipeWriter:
    """Writes messages to one end of a pipe. May be used by several threads."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lock = threading.RLock()
        os.set_blocking(handle, False)

    def send(self, data: bytes, timeout: float = _SENDING) -> None:
        """Send one message. Raises ``OSError`` when nobody takes it (in time)."""
        left = memoryview(frame(data))
        end = time.monotonic() + timeout
        with self._lock:
            while left:
                if not _is_ready(self._handle, select.POLLOUT, max(0.0, end - time.monotonic())):
                    raise TimeoutError("the other process does not listen")
                left = left[os.write(self._handle, left) :]

    def close(self) -> None:
        """Let go of the pipe."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1


class PipeReader:
    """Reads messages from the other end."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def receive(self, timeout: float | None = None) -> bytes | None:
        """Wait for the next message, and return it; ``None`` when there are no more.

        Raises ``TimeoutError`` where nothing comes for ``timeout`` seconds.
        """
        if timeout is not None and not _is_ready(self._handle, select.POLLIN, timeout):
            raise TimeoutError("the other process is silent")
        head = self._exactly(_LENGTH.size)
        return self._exactly(_LENGTH.unpack(head)[0]) if head is not None else None

    def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            more = os.read(self._handle, min(size - len(data), 1 << 20))
            if not more:
                return None
            data += more
        return bytes(data)

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self._handle)
