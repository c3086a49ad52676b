"""Objects below a URL, read through fsspec; and what can go wrong with that, in words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

from tracelet.errors import MissingExtraError, StoreError
from tracelet.lake.recognize import is_url
from tracelet.secrets import redact

_LOCAL: Final = ("file://", "local://")
_AT_ONCE: Final = 64  # requests at a time


class StoredObject(NamedTuple):
    """An object: its path below the URL, its size in bytes, and a text that changes when its contents do."""

    path: str
    size: int
    version: str


class Storage:
    """The objects below a URL. Any thread may use it, and so may a forked child."""

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})
        #: The folder, if the URL is that of a folder on this machine.
        self.folder = _local_folder(url)
        self.url = self.folder.as_uri() if self.folder is not None else url.rstrip("/")
        #: The URL without passwords, for messages.
        self.shown = redact(self.url)
        self._opened: tuple[int, Any, str] | None = None

    def find(self, prefix: str) -> list[StoredObject]:
        """Return all objects whose path begins with a prefix (a folder), sorted; none if there is no such folder."""
        if self.folder is not None:
            return sorted(_walk(self.folder, prefix))
        fs, root = self._fs()
        with self._failures_as_errors(prefix):
            try:
                found = fs.find(f"{root}/{prefix}", detail=True)
            except FileNotFoundError:
                if fs.exists(root.split("/")[0]):
                    return []
                raise
        cut = len(root.strip("/")) + 1
        return sorted(
            StoredObject(name.strip("/")[cut:], info["size"] or 0, _version(info))
            for name, info in found.items()
        )

    def read(self, path: str) -> bytes:
        """Return the contents of an object. Raises FileNotFoundError if there is none."""
        (data,) = self.read_several([path])
        if data is None:
            raise FileNotFoundError(f"{self.shown}/{path}")
        return data

    def read_several(self, paths: Sequence[str]) -> list[bytes | None]:
        """Return the contents of objects, read in parallel; ``None`` for those that are gone."""
        if self.folder is not None:
            return [_read(self.folder / path) for path in paths]
        fs, root = self._fs()
        names = [f"{root}/{path}" for path in paths]
        with self._failures_as_errors(paths[0] if paths else ""):
            found = fs.cat(names, on_error="return", batch_size=_AT_ONCE) if names else {}
        return [self._content(path, found[name]) for path, name in zip(paths, names, strict=True)]

    def _content(self, path: str, found: Any) -> bytes | None:
        if isinstance(found, FileNotFoundError):
            return None
        if isinstance(found, BaseException):
            with self._failures_as_errors(path):
                raise found
        return bytes(found)

    def version(self, path: str) -> str | None:
        """Return a text that changes when the contents of an object do; ``None`` if there is none."""
        try:
            if self.folder is not None:
                return _version_of_file((self.folder / path).stat())
            fs, root = self._fs()
            with self._failures_as_errors("project="):
                return _version(fs.info(f"{root}/{path}"))
        except FileNotFoundError:
            return None

    def open(self, path: str) -> BinaryIO:
        """Open an object for reading; it is read piece by piece. Raises FileNotFoundError if there is none."""
        if self.folder is not None:
            return (self.folder / path).open("rb")
        fs, root = self._fs()
        with self._failures_as_errors(path):
            return cast(BinaryIO, fs.open(f"{root}/{path}", "rb"))

    def download(self, path: str, target: Path) -> None:
        """Copy an object into a local file. Raises FileNotFoundError if there is none."""
        fs, root = self._fs()
        with self._failures_as_errors(path):
            fs.get_file(f"{root}/{path}", os.fspath(target))

    def filesystem(self) -> tuple[Any, str]:
        """Return fsspec's file system, and the path of the lake in it."""
        return self._fs()

    def _fs(self) -> tuple[Any, str]:
        """Return the file system of this process: its connections and threads do not survive a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            fsspec = require_module("fsspec", f"reading {self.shown}")
            with self._failures_as_errors(""):
                fs, root = fsspec.url_to_fs(
                    self.url, use_listings_cache=False, skip_instance_cache=True, **self._options
                )
            self._opened = (os.getpid(), fs, str(root).rstrip("/"))
        return self._opened[1:]

    @contextlib.contextmanager
    def _failures_as_errors(self, path: str) -> Iterator[None]:
        """Turn what goes wrong into an error that says where, and what to do."""
        try:
            yield
        except (FileNotFoundError, StoreError) as error:
            if path.startswith(("project=", "artifacts/")) or isinstance(error, StoreError):
                raise
            raise StoreError(f"lake: found nothing at {self.shown}; check the name of the bucket") from None
        except ImportError as error:
            missing = getattr(error, "name", None) or "a package"
            raise StoreError(
                f"lake: {self.shown}: expected a package for URLs of this kind, found none ({redact(str(error))});"
                f" run: pip install {'s3fs' if self.url.startswith('s3') else missing}"
            ) from None
        except Exception as error:
            reason = redact(str(error)).strip() or type(error).__name__
            raise StoreError(
                f"lake: {self.shown} cannot be read: {reason[:500]}; check the credentials, the network and the"
                " endpoint (storage_options, or the variables of the service, such as AWS_ENDPOINT_URL)"
            ) from None


def require_module(name: str, feature: str, extra: str = "lake") -> Any:
    """Return a package. Raises :class:`MissingExtraError` if it is not installed."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(feature, extra) from None


def _local_folder(url: str) -> Path | None:
    if not is_url(url):
        return Path(url).expanduser().absolute()
    for prefix in _LOCAL:
        if url.startswith(prefix):
            from urllib.parse import unquote

            return Path(unquote(url[len(prefix) :]) or "/").absolute()
    return None


def _walk(folder: Path, prefix: str) -> Iterator[StoredObject]:
    """Yield the regular files below a folder. Links are not followed: a lake may come from anybody."""
    try:
        entries = os.scandir(folder / prefix)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder, path)
            elif entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                yield StoredObject(path, status.st_size, _version_of_file(status))


def _version_of_file(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_ino}-{status.st_size}"


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _version(info: Mapping[str, Any]) -> str:
    """Return what tells a new version of an object from an old one: the ETag, or else the time and the size."""
    for key in ("ETag", "etag", "md5Hash", "content_md5"):
        if info.get(key):
            return str(info[key])
    changed = next(
        (info[key] for key in ("LastModified", "mtime", "updated", "last_modified") if key in info), ""
    )
    return f"{changed}-{info.get('size')}"
