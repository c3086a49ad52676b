"""Files below a run's folder: written whole or not at all, never over another file, never through a link.

A run that was copied from somebody else may hold links. Folders are therefore opened one by one without following
links, and files are created relative to an open folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

MAX_NAME: Final = 255  # bytes of one name, on the usual file systems
MAX_PATH: Final = 4096  # bytes of a path that a reader can open, its end included
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_HARD_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES, errno.EINVAL)
_REMEMBERED: Final = 50_000  # files that wait for a durable flush one by one


def open_above_standard(path: str, flags: int, *, dir_fd: int | None = None) -> int:
    """Open a file as descriptor 3 or above: a library may write to 0 to 2 whatever they are."""
    fd = os.open(path, flags, 0o600, dir_fd=dir_fd)
    if fd > 2:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_folder(root: Path, parts: Sequence[str]) -> Iterator[int]:
    """Open a folder below a root, made where it is missing, without following a link below the root."""
    fd = open_above_standard(str(root), _FOLDER & ~os.O_NOFOLLOW)
    try:
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=fd)
            inner = open_above_standard(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


def new_part(folder: int) -> tuple[int, str]:
    """Create a file to write to before it gets its name; return its descriptor and its name."""
    name = f".{os.urandom(8).hex()}.part"
    return open_above_standard(name, _NEW, dir_fd=folder), name


def publish_file(folder: int, part: str, name: str) -> bool:
    """Give a written file its name; return False if that name is taken."""
    try:
        os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _reserve_and_rename(folder, part, name)
    os.unlink(part, dir_fd=folder)
    return True


def _reserve_and_rename(folder: int, part: str, name: str) -> bool:
    try:
        os.close(os.open(name, _NEW, 0o600, dir_fd=folder))
    except FileExistsError:
        return False
    os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    return True


def publish_folder(source: int, part: str, target: int, name: str) -> bool:
    """Give a written folder its name; return False if that name is taken."""
    try:
        os.mkdir(name, 0o700, dir_fd=target)
    except FileExistsError:
        return False
    os.rename(part, name, src_dir_fd=source, dst_dir_fd=target)
    return True


def remove_tree(folder: int, name: str) -> None:
    """Remove a file or folder that was not finished, as far as that is possible."""
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
            return
        inner = open_above_standard(name, _FOLDER, dir_fd=folder)
        try:
            for entry in os.listdir(inner):
                remove_tree(inner, entry)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=folder)


def fit_name(name: str, room: int = MAX_NAME) -> str:
    """Return a file name that fits; a longer one is cut and gets a hash of the whole."""
    data = name.encode("utf-8", "surrogateescape" if _has_surrogates(name) else "strict")
    if len(data) <= room:
        return name
    digest = hashlib.sha256(data).hexdigest()[:12]
    return data[: room - 13].decode("utf-8", "ignore") + "~" + digest


def _has_surrogates(text: str) -> bool:
    return re.search("[\ud800-\udfff]", text) is not None


def media_parts(name: str) -> list[str]:
    """Return a medium's name as the names of folders and, last, of a file without its suffix."""
    parts = [re.sub(r"[^\w.\- ]", "_", part) for part in name.split("/") if part.strip(". ")]
    parts = [fit_name(part, 160) for part in parts] or ["unnamed"]
    if sum(len(part.encode()) + 1 for part in parts) > 1500:
        whole = "/".join(parts)
        parts = [fit_name(parts[0], 60), hashlib.sha256(whole.encode()).hexdigest()[:24]]
    return parts


class MediaFolder:
    """The media of a run: each becomes a file named after the metric and its step, with a number if that is taken."""

    def __init__(self, run_dir: Path, written: WrittenFiles) -> None:
        self._run_dir = run_dir
        self._written = written
        self._next: dict[str, int] = {}  # the number to try next, by path

    def write(self, name: str, step: int | None, suffix: str, data: bytes) -> dict[str, object]:
        """Write a medium and return its record: path, size, SHA-256."""
        *folders, stem = media_parts(name)
        stem = stem if step is None else f"{stem}-{step}"
        folders = ["media", *folders]
        with open_folder(self._run_dir, folders) as folder:
            fd, part = new_part(folder)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
                final = self._publish(folder, part, "/".join([*folders, stem]), stem, suffix)
            except BaseException:
                remove_tree(folder, part)
                raise
        path = str(PurePosixPath(*folders, final))
        self._written.add(path)
        return {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def _publish(self, folder: int, part: str, key: str, stem: str, suffix: str) -> str:
        count = self._next.get(key + suffix, 0)
        for attempt in range(20):
            name = f"{stem}.{count}{suffix}" if count else stem + suffix
            if publish_file(folder, part, name):
                self._next[key + suffix] = count + 1
                return name
            # Other processes number their media, too. After some attempts a number at random is free.
            count = count + 1 if attempt < 10 else int.from_bytes(os.urandom(6), "big")
        raise FileExistsError(errno.EEXIST, "no free name found", stem + suffix)


class WrittenFiles:
    """Remembers which files of the run may not be on the disk yet."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._paths: dict[str, None] = {}
        self._pid = os.getpid()
        self._everything = False  # too many to remember: sync all there are

    def add(self, *paths: str) -> None:
        """Remember files, by their paths below the run's folder."""
        if self._pid != os.getpid():  # a forked child syncs what it wrote itself
            self._pid, self._paths, self._everything = os.getpid(), {}, False
        self._paths.update(dict.fromkeys(paths))
        if len(self._paths) > _REMEMBERED:
            self._paths, self._everything = {}, True

    def sync(self) -> None:
        """Wait until the disk has them: the files first, then the folders that name them."""
        paths, self._paths = list(self._paths), {}
        if self._everything:
            self._everything = False
            paths += [
                file.relative_to(self._run_dir).as_posix()
                for top in ("artifacts", "media")
                for file in (self._run_dir / top).rglob("*")
            ]
        folders = {""}
        for path in paths:
            folders.update(str(folder) for folder in PurePosixPath(path).parents)
            _sync(self._run_dir / path, os.O_RDONLY | os.O_NONBLOCK)
        for folder in sorted(folders if paths else (), key=len, reverse=True):
            _sync(self._run_dir / folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    with contextlib.suppress(OSError):  # it was deleted, or the file system has no such thing
        fd = open_above_standard(str(path), flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
