"""Changing the objects of a lake: whole or not at all, and only if nobody else has changed them."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tracelet.errors import StoreError
from tracelet.lake.storage import Storage
from tracelet.secrets import redact

__all__ = ["Changed", "ChangingStorage"]

_DELETED_AT_ONCE: Final = 1000
_S3: Final = ("s3", "s3a")


class Changed(Exception):
    """Somebody else has changed an object in the meantime."""


class ChangingStorage(Storage):
    """The objects below a URL, to read and to change."""

    def read_versioned(self, path: str) -> tuple[bytes, str | None] | None:
        """Return an object and what :meth:`replace` takes as its version; ``None`` if there is none.

        The version is read first, so that a change in between is noticed.
        """
        version = None if self.folder is not None else self.version(path)
        (data,) = self.read_several([path])
        if data is None:
            return None
        return data, sha256(data).hexdigest() if self.folder is not None else version

    def write(self, path: str, data: bytes) -> None:
        """Write an object whose name says its contents."""
        if self.folder is not None:
            _write_file(self.folder / path, data)
            return
        self._put(path, data)

    def replace(self, path: str, data: bytes, version: str | None) -> None:
        """Replace an object of this version (``None``: create it). Raises :class:`Changed` if there is another one."""
        if self.folder is not None:
            with _locked((self.folder / path).parent):
                found = self.read_versioned(path)
                if (found[1] if found else None) != version:
                    raise Changed(path)
                _write_file(self.folder / path, data)
            return
        fs, _ = self.filesystem()
        is_s3 = bool(set(_S3) & {fs.protocol, *(fs.protocol if isinstance(fs.protocol, tuple) else ())})
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        self._put(path, data, condition if is_s3 else {})

    def changed_at(self, path: str) -> float:
        """Return when a file of a folder was changed, in seconds since the epoch; infinity for one that is gone."""
        try:
            return (self.folder / path).stat().st_mtime if self.folder is not None else math.inf
        except FileNotFoundError:
            return math.inf

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects. One that is gone already is no error."""
        if self.folder is not None:
            for path in paths:
                (self.folder / path).unlink(missing_ok=True)
            return
        fs, root = self.filesystem()
        for start in range(0, len(paths), _DELETED_AT_ONCE):
            with self._as_errors("be changed"):
                fs.rm([f"{root}/{path}" for path in paths[start : start + _DELETED_AT_ONCE]])

    def _put(self, path: str, data: bytes, condition: Mapping[str, Any] = {}) -> None:
        fs, root = self.filesystem()
        with self._as_errors("be changed"):
            fs.pipe_file(f"{root}/{path}", data, **condition)

    @contextlib.contextmanager
    def _as_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if _is_conflict(error):
                raise Changed(str(error)) from None
            reason = redact(str(error)).strip() or type(error).__name__
            raise StoreError(
                f"lake: {self.shown} cannot {what}: {reason[:500]}; check the credentials and their permissions"
            ) from None


def _is_conflict(error: BaseException) -> bool:
    """Say whether a condition of a write was not met."""
    response = getattr(error.__cause__ or error, "response", None)
    about = response.get("Error", {}) if isinstance(response, Mapping) else {}
    return about.get("Code") in ("PreconditionFailed", "ConditionalRequestConflict", "412")


def _write_file(target: Path, data: bytes) -> None:
    """Write a file under another name first, so that it is whole or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine from changing the manifest at the same time, if the file system can."""
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
