"""Where the objects of a lake are: any file system of fsspec, or a folder.

A write is whole or not there. What the lake needs beyond that, an object store may have or not: creating an object only
if there is none, and replacing it only if nobody else has changed it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final, Protocol

from tracelet_builtin_plugins.backends.lake.failures import (
    ChangedError,
    NoBucketError,
    NoConditionsError,
    translate,
)
from tracelet_builtin_plugins.backends.lake.folder import FolderObjects, Found
from tracelet_builtin_plugins.extras import MissingExtraError, import_extra
from tracelet_builtin_plugins.locations import in_project
from tracelet_hookspecs import mask_text

__all__ = ["Found", "Objects", "RemoteObjects", "check_client", "is_folder", "open_objects"]

#: Packages for protocols, by the name that a user would install.
CLIENTS: Final = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
}
MINIMUMS: Final = {"s3fs": "2025.2", "fsspec": "2024.6"}
_SECONDS: Final = 22.0  # for all requests of a call; the host's limit for it is 30
_LEAST: Final = 1.0  # for a request, when little time is left
_PART: Final = 16 << 20  # bytes of a part of a large file, of which four are in memory
_PARTS_AT_ONCE: Final = 4


class Objects(Protocol):
    """The objects below a URL."""

    url: str

    def create(self, path: str, data: bytes) -> None:
        """Write an object. If there is one of that size, it is the same."""

    def read(self, path: str) -> Found | None:
        """Return an object, ``None`` if there is none."""

    def replace(self, path: str, data: bytes, version: str | None) -> str | None:
        """Replace an object of this version (``None``: create it), and return the new version.

        Raises :class:`ChangedError` if there is another one. A store without conditional writes does not notice that.
        """

    def has(self, path: str) -> bool:
        """Say whether an object exists."""

    def upload(self, path: str, file: Path) -> None:
        """Write a file of any size."""

    def begin(self) -> None:
        """A call begins: its requests together may take as long as the host lets a call take."""

    def close(self) -> None:
        """Release what is open."""


def split_protocol(url: str) -> tuple[str, str]:
    """Return protocol and rest of a URL; the protocol of a path is ``file``."""
    protocol, found, rest = url.partition("://")
    return (protocol.lower(), rest) if found else ("file", url)


def is_folder(url: str) -> bool:
    """Say whether a URL is a folder of this machine."""
    return split_protocol(url)[0] in ("file", "local")


def check_client(url: str) -> None:
    """Raise an error that names the package that the URL needs, if that is missing or too old."""
    if is_folder(url):
        return
    import_extra("fsspec", plugin="lake", distribution="fsspec", minimum=MINIMUMS["fsspec"])
    protocol = split_protocol(url)[0]
    client = CLIENTS.get(protocol)
    if client is None:
        _known_protocol(protocol)
        return
    try:
        import_extra(client, plugin="lake", distribution=client, minimum=MINIMUMS.get(client, ""))
    except MissingExtraError as error:
        reason = str(error).partition("; run")[0]
        raise MissingExtraError(f"{reason}; {protocol}:// URLs need it: run: pip install {client}") from None


def _known_protocol(protocol: str) -> Any:
    import fsspec

    try:
        return fsspec.get_filesystem_class(protocol)
    except ValueError:
        raise ValueError(
            f"plugins.lake.url: expected a folder or a URL such as s3://bucket/prefix, found the protocol {protocol!r},"
            " which fsspec does not know"
        ) from None
    except ImportError as error:
        raise MissingExtraError(f"plugin 'lake': {protocol}:// URLs need another package: {error}") from None


def open_objects(url: str, options: dict[str, Any], run_dir: Path) -> Objects:
    """Return the objects below a URL. Does not connect."""
    if is_folder(url):
        return FolderObjects(in_project(split_protocol(url)[1], run_dir))
    check_client(url)
    return RemoteObjects(url, options)


class RemoteObjects:
    """Objects in a store that fsspec knows."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        import fsspec

        self.protocol = split_protocol(url)[0]
        self.url = mask_text(url.rstrip("/"))
        self.is_s3 = CLIENTS.get(self.protocol) == "s3fs"
        more: dict[str, Any] = {"config_kwargs": {"retries": {"max_attempts": 2}}} if self.is_s3 else {}
        try:
            self._fs = fsspec.filesystem(
                self.protocol, **{**more, **options}, skip_instance_cache=True, use_listings_cache=False
            )
        except Exception as error:
            raise translate(error, self.url) from None
        self._root = self._fs._strip_protocol(url).rstrip("/")
        self._has_conditions = self.is_s3
        self.begin()

    def begin(self) -> None:
        """A call begins. What it does not complete in time is an outage, and a repeat continues there."""
        self._end = time.monotonic() + _SECONDS

    def _left(self) -> float:
        return max(_LEAST, self._end - time.monotonic())

    def create(self, path: str, data: bytes) -> None:
        """Write an object; with a condition if the store has it, so that a repeat costs no new version."""
        if self._has_conditions:
            try:
                self._pipe(path, data, mode="create")
                return
            except ChangedError:
                if self._size(path) == len(data):
                    return
            except NoConditionsError:
                self._has_conditions = False
        self._pipe(path, data)

    def read(self, path: str) -> Found | None:
        """Return an object, with its version if the store has conditional writes."""
        try:
            if self.is_s3:
                return self._get(path)
            return Found(self._call("cat_file", path), None)
        except NoBucketError:
            raise
        except FileNotFoundError:
            return None

    def _get(self, path: str) -> Found:
        """Return an object and its ETag from one request."""
        from fsspec.asyn import sync

        bucket, key, _ = self._fs.split_path(f"{self._root}/{path}")

        async def get() -> Found:
            answer = await self._fs._call_s3("get_object", Bucket=bucket, Key=key)
            async with answer["Body"] as body:
                return Found(await body.read(), answer.get("ETag"))

        try:
            return sync(self._fs.loop, get, timeout=self._left())  # type: ignore[no-any-return]
        except Exception as error:
            failure = translate(error, f"{self.url}/{path}")
        raise failure

    def replace(self, path: str, data: bytes, version: str | None) -> str | None:
        """Replace an object."""
        if self._has_conditions:
            condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
            try:
                answer = self._pipe(path, data, **condition)
                return answer.get("ETag") if isinstance(answer, dict) else None
            except NoConditionsError:
                self._has_conditions = False
        self._pipe(path, data)
        return None

    def has(self, path: str) -> bool:
        """Say whether an object exists."""
        try:
            self._call("info", path)
        except FileNotFoundError:
            return False
        return True

    def upload(self, path: str, file: Path) -> None:
        """Write a file, a large one in parts. Parts of an upload that is not completed are not visible."""
        more = {"chunksize": _PART, "max_concurrency": _PARTS_AT_ONCE} if self.is_s3 else {}
        try:
            self._fs.put_file(str(file), f"{self._root}/{path}", **more)
        except Exception as error:
            raise translate(error, f"{self.url}/{path}") from None

    def close(self) -> None:
        """Nothing to release: the client's sessions are closed with it."""

    def _size(self, path: str) -> int:
        return int(self._call("info", path)["size"])

    def _pipe(self, path: str, data: bytes, **more: Any) -> Any:
        return self._call("pipe_file", path, data, **more)

    def _call(self, method: str, path: str, *arguments: Any, **more: Any) -> Any:
        if self._fs.async_impl:
            more["timeout"] = self._left()
        try:
            return getattr(self._fs, method)(f"{self._root}/{path}", *arguments, **more)
        except Exception as error:
            failure = translate(error, f"{self.url}/{path}")
        raise failure
