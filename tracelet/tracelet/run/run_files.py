"""Files below a run's folder: written whole or not at all, never over another file, never through a link.

A run copied from someone else may contain links. Folders are therefore opened one by one without following
links, and files are created relative to an open folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Final

from tracelet.run.folder import make_run_folder
from tracelet.safe_files import Descriptor, open_file, open_folder, sync_folder, walk_files

MAX_NAME: Final = 255  # bytes of one name, on the usual file systems
MAX_PATH: Final = 4096  # bytes of a path that a reader can open, its end included
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_HARD_LINKS: Final = (
    errno.EPERM,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EACCES,
    errno.EINVAL,
)
_REMEMBERED: Final = 50_000  # files that wait for a durable flush one by one


def open_inside(run_dir: Path, relative: PurePosixPath) -> Descriptor:
    """Open a folder below a run's folder, made if it is missing: the run's folder may have been deleted.

    Raises:
        OSError: it cannot be made, or a link or a file is in its place.
    """
    try:
        return open_folder(run_dir, relative, create=True)
    except FileNotFoundError:
        make_run_folder(run_dir.parent.parent, run_dir.name)
        return open_folder(run_dir, relative, create=True)


def new_part(folder: Descriptor) -> tuple[Descriptor, str]:
    """Create a file to write to before it gets its name; return it and its name for now."""
    name = f".{os.urandom(8).hex()}.part"
    return Descriptor(os.open(name, _NEW, 0o600, dir_fd=folder.fd)), name


def publish_file(folder: Descriptor, part: str, name: str) -> bool:
    """Give a written file its name; return False if that name is taken."""
    try:
        os.link(part, name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _reserve_and_rename(folder, part, name)
    os.unlink(part, dir_fd=folder.fd)
    return True


def _reserve_and_rename(folder: Descriptor, part: str, name: str) -> bool:
    try:
        os.close(os.open(name, _NEW, 0o600, dir_fd=folder.fd))
    except FileExistsError:
        return False
    os.rename(part, name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
    return True


def publish_folder(source: Descriptor, part: str, target: Descriptor, name: str) -> bool:
    """Give a written folder its name; return False if that name is taken."""
    try:
        os.mkdir(name, 0o700, dir_fd=target.fd)
    except FileExistsError:
        return False
    os.rename(part, name, src_dir_fd=source.fd, dst_dir_fd=target.fd)
    return True


def remove_tree(folder: Descriptor, name: str) -> None:
    """Remove a file or folder that was not finished, as far as that is possible."""
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder.fd)
            return
        inner = Descriptor(os.open(name, _FOLDER, dir_fd=folder.fd))
        for entry in os.listdir(inner.fd):
            remove_tree(inner, entry)
        os.rmdir(name, dir_fd=folder.fd)


def fit_name(name: str, room: int = MAX_NAME) -> str:
    """Return a file name that fits; a longer one is cut and gets a hash of the whole."""
    data = name.encode("utf-8", "surrogatepass")
    if len(data) <= room:
        return name
    digest = hashlib.sha256(data).hexdigest()[:12]
    return data[: room - 13].decode("utf-8", "ignore") + "~" + digest


def stored_name(name: str) -> str:
    """Return the name that a file is kept under: without backslashes, which separate folders on other systems."""
    return fit_name(name.replace("\\", "_"))


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
            for top in ("artifacts", "media"):
                with contextlib.suppress(OSError):
                    paths += walk_files(self._run_dir, top)
        folders = {"."}
        for path in paths:
            folders.update(str(folder) for folder in PurePosixPath(path).parents)
            with contextlib.suppress(OSError):  # it was deleted
                opened = open_file(self._run_dir, path)
                os.fsync(opened.fd)
        for folder in sorted(folders if paths else (), key=len, reverse=True):
            with contextlib.suppress(OSError):
                sync_folder(self._run_dir, folder)
