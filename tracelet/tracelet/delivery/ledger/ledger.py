"""What a backend has had: a cursor and counts per writer, kept in a file that survives a crash."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import attrs

from tracelet.errors import JournalError
from tracelet.journal import Cursor

log = logging.getLogger("tracelet.delivery")

FOLDER: Final = "delivery"
VERSION: Final = 1
SUFFIX: Final = ".json"
_UNUSABLE: Final = (ValueError, LookupError, TypeError, AttributeError)


@attrs.define
class Page:
    """What a backend has had of one writer. The counts are exact for what lies before the cursor."""

    cursor: Cursor = attrs.field(factory=Cursor)
    delivered: int = 0
    excluded: Counter[str] = attrs.field(factory=Counter)
    dropped: Counter[str] = attrs.field(factory=Counter)

    @property
    def passed(self) -> int:
        """How many records lie before the cursor."""
        return self.delivered + self.excluded.total() + self.dropped.total()

    def as_json(self) -> dict[str, Any]:
        """Return the page as what ``json`` can write."""
        return {
            "cursor": self.cursor.to_json(),
            "delivered": self.delivered,
            "excluded": dict(self.excluded),
            "dropped": dict(self.dropped),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Page:
        """Return the page that :meth:`as_json` described."""
        return cls(
            Cursor.from_json(data["cursor"]),
            int(data["delivered"]),
            Counter(data["excluded"]),
            Counter(data["dropped"]),
        )


class Ledger:
    """The pages of one backend in one run.

    Counted are points (each value of a row is one), and the parameters, tags and artifacts of one call each.
    """

    def __init__(self, run_dir: Path, backend: str, *, strict: bool = True) -> None:
        """Read what is stored.

        Raises :class:`~tracelet.errors.JournalError` for a file that cannot be used, and ``OSError`` for one that
        cannot be read; unless ``strict``, that is as if there were none.
        """
        self.backend = backend
        self.file = ledger_file(run_dir, backend)
        self.recent = self.file.with_suffix(".recent")
        self.pages: dict[str, Page] = {}
        self.retries = 0
        self.error: str | None = None
        self._serial = 0
        try:
            self._read()
        except (JournalError, OSError):
            if strict:
                raise

    def _read(self) -> None:
        try:
            self._load(self.file)
        except FileNotFoundError:
            pass
        except _UNUSABLE as error:
            raise JournalError(
                f"{self.file}: expected what delivery to {self.backend!r} stored (version {VERSION}), found something"
                f" else ({error}); without this file {self.backend!r} gets the whole run once more"
            ) from error
        with contextlib.suppress(FileNotFoundError, *_UNUSABLE):  # a loss of power may have spoilt it
            self._load(self.recent)

    def _load(self, file: Path) -> None:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["version"] > VERSION:
            raise ValueError(f"version {data['version']}, of a later tracelet")
        if data["serial"] <= self._serial:
            return
        self.pages = {writer: Page.from_json(page) for writer, page in data["writers"].items()}
        self.retries, self.error, self._serial = int(data["retries"]), data["error"], data["serial"]

    @classmethod
    def opened(cls, run_dir: Path, backend: str) -> Ledger:
        """Return what is stored. A file that cannot be used is set aside, and the backend starts over."""
        try:
            return cls(run_dir, backend)
        except JournalError as error:
            file = ledger_file(run_dir, backend)
            aside = file.with_suffix(f".unusable-{time.time_ns()}")
            file.rename(aside)
            file.with_suffix(".recent").unlink(missing_ok=True)
            log.warning("%s; it was set aside as %s", error, aside.name)
            return cls(run_dir, backend)

    def page(self, writer: str) -> Page:
        """Return the page of a writer."""
        return self.pages.setdefault(writer, Page())

    def position(self, writer: str) -> int:
        """Return how far a writer is delivered, as a sequence number."""
        page = self.pages.get(writer)
        return page.cursor.next if page is not None else 0

    @property
    def delivered(self) -> int:
        """How many records the backend took."""
        return sum(page.delivered for page in list(self.pages.values()))

    @property
    def excluded(self) -> int:
        """How many records were not meant for the backend."""
        return sum(page.excluded.total() for page in list(self.pages.values()))

    @property
    def dropped(self) -> dict[str, int]:
        """How many records were given up, by reason."""
        return dict(sum((page.dropped for page in list(self.pages.values())), Counter()))

    @property
    def passed(self) -> int:
        """How many records are dealt with."""
        return sum(page.passed for page in list(self.pages.values()))

    def save(self, *, durable: bool = True) -> None:
        """Store it all, in one step: a reader finds this state or the one before.

        Survives the end of the process in any case, and a loss of power when ``durable``. What is not goes to a file
        of its own, so that the durable one stays whole.
        """
        self._serial += 1
        data = {
            "version": VERSION,
            "backend": self.backend,
            "serial": self._serial,
            "saved": time.time(),
            "retries": self.retries,
            "error": self.error,
            "writers": {writer: page.as_json() for writer, page in list(self.pages.items())},
        }
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        replace(self.file if durable else self.recent, json.dumps(data).encode(), durable=durable)
        if durable:
            self.recent.unlink(missing_ok=True)


def ledger_file(run_dir: Path, backend: str) -> Path:
    """Return where a backend's ledger stands."""
    return run_dir / FOLDER / (quote(backend, safe="") + SUFFIX)


def backends(run_dir: Path) -> list[str]:
    """Return the backends that were ever to get something of a run."""
    return sorted(unquote(file.name.removesuffix(SUFFIX)) for file in (run_dir / FOLDER).glob(f"*{SUFFIX}"))


def replace(file: Path, data: bytes, *, durable: bool) -> None:
    """Put new contents into a file, in one step: they are there whole, or the old ones are."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        _write(fresh, data, durable=durable)
        os.replace(fresh, file)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    if durable:
        _sync(file.parent)  # the new name, too


def _write(file: Path, data: bytes, *, durable: bool) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        left = memoryview(data)
        while left:  # a disk that is nearly full takes a part, and says no only the next time
            left = left[os.write(handle, left) :]
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
