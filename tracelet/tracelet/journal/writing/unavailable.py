"""Why a record cannot be written now, and the name of that reason."""

from __future__ import annotations

import errno

from tracelet.safe_files import UnsafeFileError

REASONS = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk quota reached",
    errno.EROFS: "read-only file system",
    errno.EACCES: "folder not writable",
    errno.EPERM: "folder not writable",
    errno.EFBIG: "file size limit",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOENT: "folder deleted",
    errno.ENOTDIR: "not a folder",
    errno.EEXIST: "not a folder",
    errno.ESTALE: "folder deleted",
    errno.EIO: "input/output error",
    errno.ENOMEM: "out of memory",
}
# Errors that keep an open file from being mapped; a plain write still works.
SHORT_OF_HANDLES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


class UnavailableError(Exception):
    """The record cannot be written at the moment. Drops are counted under ``reason``."""

    def __init__(self, reason: str, number: int | None = None, segment: int | None = None) -> None:
        self.reason = reason
        self.errno = number
        self.segment = segment
        super().__init__(reason)

    def bare(self) -> UnavailableError:
        """Remove the traceback: the error is stored, and would keep the locals of its frames alive."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self

    @classmethod
    def from_os_error(cls, error: OSError, segment: int | None = None) -> UnavailableError:
        """Return the fault for an error of the operating system."""
        if isinstance(error, UnsafeFileError):
            return cls("a link in place of a folder or file", error.errno, segment)
        known = REASONS.get(error.errno or 0)
        return cls(known or (error.strerror or str(error)).lower(), error.errno, segment)


class AbandonedError(Exception):
    """The call began before a fork: the parent finishes it, the child's copy of it records nothing."""


class ReplacedError(UnavailableError):
    """The file was deleted and another one takes its place: try again there."""

    def __init__(self) -> None:
        super().__init__(REASONS[errno.ENOENT], errno.ENOENT)
