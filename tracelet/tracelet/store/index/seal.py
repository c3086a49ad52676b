"""Proof that an index was made by this user, in this place.

A copied store may bring an index along that lies, or that makes SQLite work forever: a view in place of a table, say.
The owner of the file proves nothing, since a copy belongs to whoever made it. So an index is sealed: it contains a
message authentication code of its own path, made with a key that only this user has. An index without the right
seal is never opened by a query; the reader builds its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

from tracelet.store.index.index_folder import make_private_folder, private_folders

_FILE: Final = "index-key"
_BYTES: Final = 32
_known: dict[str, bytes] = {}  # keys by folder; that of this process alone under ""


def make_seal(file: Path) -> str:
    """Return the seal of an index at this path."""
    path = os.fsencode(os.path.realpath(file.parent)) + b"/" + os.fsencode(file.name)
    return hmac.new(_key(), path, hashlib.sha256).hexdigest()


def key_id() -> str:
    """Return a short name of this user's key, for file names: users who share a folder each have an index."""
    return hashlib.sha256(b"tracelet index key" + _key()).hexdigest()[:12]


def _key() -> bytes:
    """Return this user's key; one of this process alone if there is no folder to keep one in."""
    for folder in private_folders(os.environ):
        if str(folder) in _known:
            return _known[str(folder)]
        if make_private_folder(folder):
            with contextlib.suppress(OSError):
                _known[str(folder)] = _read_key(folder / _FILE) or _make_key(folder)
                return _known[str(folder)]
    return _known.setdefault("", secrets.token_bytes(_BYTES))


def _read_key(file: Path) -> bytes | None:
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        fd = os.open(file, flags | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as stream:
        status = os.fstat(fd)
        mine = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
        private = os.name != "posix" or not status.st_mode & 0o077
        if not (stat.S_ISREG(status.st_mode) and mine and private):
            raise PermissionError(f"{file}: expected a private file of this user")
        key = stream.read(_BYTES)
    return key if len(key) == _BYTES else None


def _make_key(folder: Path) -> bytes:
    """Make the key; of several processes that do so at the same moment, all get the same one."""
    fd, name = tempfile.mkstemp(dir=folder, prefix=f"{_FILE}.")  # 0600
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(secrets.token_bytes(_BYTES))
        if os.path.exists(folder / _FILE) and _read_key(folder / _FILE) is None:
            os.replace(name, folder / _FILE)  # the file was cut short
        else:
            with contextlib.suppress(FileExistsError):
                os.link(name, folder / _FILE)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    key = _read_key(folder / _FILE)
    if key is None:
        raise OSError(f"{folder / _FILE}: cannot be made")
    return key
