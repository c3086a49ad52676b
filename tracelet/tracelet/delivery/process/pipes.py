"""Messages between a run's process and that of a plugin: a length, then that many bytes.

To the plugin's process they are pickled, since a configuration may contain anything. From it they are JSON: what comes
from there is never unpickled, because unpickling can run arbitrary code of the sender.

``multiprocessing.connection`` frames messages the same way and was considered. Its ``send_bytes`` blocks without limit
when the other side has stopped reading, while here a stopped process must not stop the training; and it keeps bare
descriptor numbers, which a program that closes all descriptors may reuse for its own files.
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

from tracelet.safe_files import Descriptor

Message = Mapping[str, Any]

_LENGTH: Final = struct.Struct("<I")
_SENDING: Final = 5.0  # seconds that the other side may take to accept a message
_LARGEST: Final = 1 << 28  # bytes of a message


def pickle_message(message: Message) -> bytes:
    """Return a message as it is sent to a plugin's process."""
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def unpickle_message(data: bytes) -> Message:
    """Return a message that arrived in a plugin's process."""
    message: Message = pickle.loads(data)
    return message


def encode_message(message: Message) -> bytes:
    """Return a message as a plugin's process sends it. What JSON cannot hold is sent as text."""
    return json.dumps(message, default=str).encode()


def decode_message(data: bytes) -> Message:
    """Return a message that arrived from a plugin's process. Raises for anything else."""
    message = json.loads(data)
    if not isinstance(message, dict):
        raise TypeError(f"expected a message, found {type(message).__name__}")
    return message


def frame(data: bytes) -> bytes:
    """Return bytes with their length before them."""
    return _LENGTH.pack(len(data)) + data


def _wait_ready(pipe: Descriptor, event: int, timeout: float) -> bool:
    """Wait for a pipe. (``select.select`` fails for descriptors above 1023, and programs have more files open.)"""
    poll = select.poll()
    poll.register(pipe.fd, event)
    return bool(poll.poll(timeout * 1000))


class PipeWriter:
    """Writes messages to one end of a pipe. May be used by several threads."""

    def __init__(self, handle: int) -> None:
        self._pipe = Descriptor(handle)
        self._lock = threading.RLock()
        os.set_blocking(self._pipe.fd, False)

    def send(self, data: bytes, timeout: float = _SENDING) -> None:
        """Send one message. Raises ``OSError`` if it is not accepted in time, or the pipe is closed."""
        left = memoryview(frame(data))
        end = time.monotonic() + timeout
        with self._lock:
            while left:
                if not _wait_ready(self._pipe, select.POLLOUT, max(0.0, end - time.monotonic())):
                    raise TimeoutError("the other process does not read")
                left = left[os.write(self._pipe.fd, left) :]

    def close(self) -> None:
        """Close the pipe."""
        with self._lock:
            self._pipe.close()


class PipeReader:
    """Reads messages from the other end."""

    def __init__(self, handle: int) -> None:
        self._pipe = Descriptor(handle)

    def receive(self, timeout: float | None = None) -> bytes | None:
        """Wait for the next message, and return it; ``None`` if there are no more.

        Raises ``TimeoutError`` if nothing comes within ``timeout`` seconds, and ``ValueError`` for a length that no
        message has.
        """
        head = self._read(_LENGTH.size, timeout)
        if head is None:
            return None
        size = _LENGTH.unpack(head)[0]
        if size > _LARGEST:
            raise ValueError(f"expected a message of at most {_LARGEST} bytes, found {size}")
        return self._read(size, timeout)

    def _read(self, size: int, timeout: float | None) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            # Not blocked in read(): the number may belong to another file by the time that something is there.
            if not _wait_ready(self._pipe, select.POLLIN, timeout if timeout is not None else 3600.0):
                if timeout is None:
                    continue
                raise TimeoutError("the other process is silent")
            more = os.read(self._pipe.fd, min(size - len(data), 1 << 20))
            if not more:
                return None
            data += more
        return bytes(data)

    def close(self) -> None:
        """Close the pipe."""
        self._pipe.close()
