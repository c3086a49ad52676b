"""Files in a folder that someone else may have made, and descriptors that other code may have closed.

A run's folder is untrusted input: it may hold symbolic links that lead out of it, named pipes that block whoever opens
them, devices, and sparse files of any size. The functions here take a folder, which the caller trusts, and a relative
path below it, which is not trusted. They open one component after the other relative to its parent (``openat``) and
follow no link, so nothing can be exchanged between a check and the use. They open regular files only, and never block.

A program may close every descriptor that it did not open, as daemons do, and open files of its own under the same
numbers. A :class:`Descriptor` notices that: it compares device and inode before it hands out its number or closes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

Folder = str | os.PathLike[str]
Result = TypeVar("Result")

_FIRST = 3  # 0 to 2 are the standard streams, even while they are closed
_COMMON = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnsafeFileError(OSError):
    """What is there is not a regular file inside the folder, or larger than the caller accepts.

    Its text says what was expected and what was found. ``errno`` is EINVAL.
    """

    def __init__(self, path: Folder, expected: str, found: str) -> None:
        super().__init__(errno.EINVAL, f"{os.fspath(path)}: expected {expected}, found {found}")

    def __str__(self) -> str:
        return str(self.strerror)


class LostDescriptorError(OSError):
    """other code closed the descriptor: its number is free, or belongs to another file. Open the file again."""

    def __init__(self) -> None:
        super().__init__(errno.EBADF, "the program closed a file descriptor of tracelet")


# --- descriptors ---------------------------------------------------------------------------------------------

_owners: dict[int, int] = {}  # by number, the id of the newest object that closes it


def claim_number(number: int, owner: object) -> None:
    """Take note that an object closes a number; for those that are no :class:`Descriptor`."""
    _owners[number] = id(owner)


def release_number(number: int, owner: object) -> None:
    """Take note that an object does not close a number any more."""
    if _owners.get(number) == id(owner):
        del _owners[number]


def owns_number(number: int, owner: object = None) -> bool:
    """Say whether an object is the newest one that closes a number, or whether any object does."""
    return _owners.get(number) == id(owner) if owner is not None else number in _owners


class Descriptor:
    """A file descriptor that threads share. The last reference to it closes it, if it still is the same file."""

    __slots__ = ("__weakref__", "_close", "_fstat", "_identity", "_number", "_owners", "_release")

    def __init__(self, number: int) -> None:
        """Take over an open descriptor. One of the numbers 0 to 2 is exchanged for a higher one."""
        if number < _FIRST:
            low, number = number, fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FIRST)
            os.close(low)
        self._number = number
        # At interpreter shutdown, the modules may be gone before this object is.
        self._close, self._fstat, self._owners, self._release = os.close, os.fstat, _owners, release_number
        state = os.fstat(number)
        self._identity: tuple[int, int] | None = (state.st_dev, state.st_ino)
        _owners[number] = id(self)

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return ``function(number, *arguments)``. The descriptor stays open during the call.

        Raises:
            LostDescriptorError: other code closed it.
            OSError: as of the function.
        """
        self.stat()
        return function(self._number, *arguments)

    @property
    def fd(self) -> int:
        """The number, for one call of the operating system. Keep a reference to this object until it returns.

        Raises:
            LostDescriptorError: other code closed it.
        """
        self.stat()
        return self._number

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the file, None after the descriptor was lost."""
        return self._identity

    def stat(self) -> os.stat_result:
        """Return what the system says of the file.

        Raises:
            LostDescriptorError: other code closed the descriptor.
        """
        if self._identity is not None and self._owners.get(self._number) == id(self):
            try:
                state = self._fstat(self._number)
            except OSError as error:
                if error.errno != errno.EBADF:
                    raise
            else:
                if (state.st_dev, state.st_ino) == self._identity:
                    return state
        self._identity = None  # never again, even if the number comes to mean the same file
        self._release(self._number, self)
        raise LostDescriptorError

    @property
    def is_lost(self) -> bool:
        """Whether other code closed it."""
        try:
            self.stat()
        except LostDescriptorError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close it now, if it still is the file that was opened. Only for a descriptor that no other thread uses."""
        identity, self._identity = self._identity, None
        if identity is None or self._owners.get(self._number) != id(self):
            return
        self._release(self._number, self)
        try:
            state = self._fstat(self._number)
        except OSError:
            return
        if (state.st_dev, state.st_ino) == identity:
            self._close(self._number)

    def __del__(self) -> None:
        if hasattr(self, "_identity"):
            self.close()


# --- paths ---------------------------------------------------------------------------------------------------


def split_path(folder: Folder, relative: Folder) -> tuple[str, ...]:
    """Return the components of a path below a folder.

    Raises:
        UnsafeFileError: it is absolute, leads out of the folder, or is no path at all.
    """
    text = os.fspath(relative)
    parts = PurePosixPath(text).parts
    if text.startswith("/") or ".." in parts or "\0" in text:
        raise UnsafeFileError(folder, "a path inside the folder", repr(text[:200]))
    return parts


def _describe(state: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(state.st_mode), "something else")


def refuse_linked_folder(folder: Folder) -> None:
    """Raise for a run's folder that is a symbolic link: one in a copied store may lead to any folder of the user's.

    Raises:
        UnsafeFileError: it is one. The message says which folder to name instead.
    """
    if os.path.islink(folder):
        found = f"a symbolic link, through which nothing is written; if you trust it, name {os.path.realpath(folder)}"
        raise UnsafeFileError(folder, "the folder of a run", found)


# --- folders -------------------------------------------------------------------------------------------------


def open_folder(folder: Folder, relative: Folder = "", *, create: bool = False) -> Descriptor:
    """Open a folder below another one; no component of ``relative`` may be a link.

    Args:
        folder: the folder that the caller trusts; links in its own path are followed.
        relative: the path below it.
        create: whether to create what is missing of ``relative``, for the user alone (0700).

    Raises:
        UnsafeFileError: a component is a link or no folder, or the folder is a link that leads to itself.
        OSError: as of ``open``.
    """
    try:
        at = Descriptor(os.open(folder, _FOLDER))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UnsafeFileError(folder, "a folder", "symbolic links that lead in a circle") from None
    path = Path(folder)
    for name in split_path(folder, relative):
        path /= name
        parent = at.fd
        try:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=parent)
            at = Descriptor(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent))
        except NotADirectoryError as error:
            with contextlib.suppress(FileNotFoundError):
                raise UnsafeFileError(path, "a folder", _describe(os.lstat(name, dir_fd=parent))) from None
            raise error from None
    return at


def list_folder(folder: Folder, relative: Folder = "") -> list[str]:
    """Return the names in a folder below another one. Raises as :func:`open_folder`."""
    return open_folder(folder, relative).call(os.listdir)


def walk_files(folder: Folder, relative: Folder = "") -> Iterator[str]:
    """Yield the path below ``folder`` of each regular file in a folder and the folders in it; links are left out."""
    at = open_folder(folder, relative)
    with os.scandir(at.fd) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = str(PurePosixPath(os.fspath(relative), entry.name))
        if entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(OSError):  # gone, or exchanged for something else
                yield from walk_files(folder, path)
        elif entry.is_file(follow_symlinks=False):
            yield path


# --- files ---------------------------------------------------------------------------------------------------


def open_file(
    folder: Folder, relative: Folder, flags: int = os.O_RDONLY, *, within: Descriptor | None = None
) -> Descriptor:
    """Open a regular file below a folder, without following a link and without blocking.

    Args:
        folder: the folder that the caller trusts.
        relative: the path below it.
        flags: as of ``os.open``; files are created for the user alone (0600). With ``O_TRUNC``, the file is cut only
            after it is known to be a regular one.
        within: ``folder``, already open. ``relative`` is then one name, and ``folder`` only names it in errors.

    Raises:
        UnsafeFileError: there is something else than a regular file.
        OSError: as of ``open``.
    """
    *above, name = split_path(folder, relative) or ("",)
    path = Path(folder, *above, name)
    parent = within or open_folder(folder, PurePosixPath(*above))
    at = parent.fd
    with contextlib.suppress(FileNotFoundError):
        # Merely opening a pipe or a device may do something, so they are not opened to find out.
        _check_regular(path, os.lstat(name, dir_fd=at))
    opened = Descriptor(os.open(name, (flags & ~os.O_TRUNC) | _COMMON, 0o600, dir_fd=at))
    _check_regular(path, opened.stat())
    if flags & os.O_TRUNC:
        os.ftruncate(opened.fd, 0)
    return opened


def open_stream(folder: Folder, relative: Folder) -> BinaryIO:
    """Open a regular file below a folder for reading, as a stream that is the caller's to close.

    Raises the same as :func:`open_file`.
    """
    opened = open_file(folder, relative)
    return os.fdopen(opened.call(os.dup), "rb")


def _check_regular(path: Path, state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise UnsafeFileError(path, "a regular file", _describe(state))


def read_file(folder: Folder, relative: Folder, *, limit: int) -> bytes:
    """Return what a regular file below a folder holds, at most ``limit`` bytes.

    Raises:
        UnsafeFileError: there is something else than a regular file, or a larger one.
        OSError: as of ``open`` and ``read``.
    """
    opened = open_file(folder, relative)
    state = opened.stat()
    if state.st_size > limit:
        raise UnsafeFileError(Path(folder, relative), f"at most {limit} bytes", f"{state.st_size} bytes")
    return read_at(opened, state.st_size, 0)  # a buffer of the limit's size might not be had


def read_at(opened: Descriptor, size: int, offset: int) -> bytes:
    """Return up to ``size`` bytes of an open file, fewer only at its end."""
    data = os.pread(opened.fd, size, offset)
    if len(data) in (0, size):
        return data
    parts = [data]
    while data and (got := sum(map(len, parts))) < size:
        parts.append(data := os.pread(opened.fd, size - got, offset + got))
    return b"".join(parts)


def write_all(opened: Descriptor, data: bytes | memoryview) -> None:
    """Write all of ``data`` where an open file's position is."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(opened.fd, rest) :]


def replace_file(folder: Folder, relative: Folder, data: bytes, *, durable: bool = False) -> None:
    """Put a file with this content in place, whole or not at all; a link of that name is replaced, not followed.

    Args:
        folder: the folder that the caller trusts.
        relative: the path below it. Its folder must exist.
        data: the content.
        durable: whether to wait until the disk has the file, and then its name.

    Raises:
        UnsafeFileError: a component of the path is a link or no folder.
        OSError: as of ``open``, ``write`` and ``rename``; what was there before stays.
    """
    *above, name = split_path(folder, relative)
    parent = open_folder(folder, PurePosixPath(*above))
    part = f".{name[:200]}.{os.getpid()}.{os.urandom(4).hex()}.part"
    try:
        opened = open_file(folder, part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, within=parent)
        write_all(opened, data)
        if durable:
            os.fsync(opened.fd)
        os.rename(part, name, src_dir_fd=parent.fd, dst_dir_fd=parent.fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=parent.fd)
        raise
    if durable:
        os.fsync(parent.fd)


def remove_file(folder: Folder, relative: Folder) -> None:
    """Remove a file, or the link itself, below a folder. Raises as :func:`open_folder` and ``unlink``."""
    *above, name = split_path(folder, relative) or ("",)
    parent = open_folder(folder, PurePosixPath(*above))
    os.unlink(name, dir_fd=parent.fd)


def sync_folder(folder: Folder, relative: Folder = "") -> None:
    """Wait until the disk has the names in a folder. Raises as :func:`open_folder` and ``fsync``."""
    open_folder(folder, relative).call(os.fsync)
