"""A file descriptor that threads share."""

from __future__ import annotations

import os


class Descriptor:
    """A file descriptor that is closed with the last reference to it, so never under a thread that uses it."""

    __slots__ = ("_close", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._close = os.close  # at interpreter shutdown the module may be gone first

    def __del__(self) -> None:
        self._close(self.fd)
