"""What a backend has received: a cursor and counts per writer, in a file that survives a crash."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import attrs

from tracelet.errors import JournalError
from tracelet.journal import Cursor
from tracelet.logs import get_logger
from tracelet.safe_files import UnsafeFileError, list_folder, open_folder, read_file, replace_file

log = get_logger("tracelet.delivery")

FOLDER: Final = "delivery"
VERSION: Final = 1
SUFFIX: Final = ".json"
#: Bytes. The ledger of a thousand writers, each with a thousand holes in its journal, is smaller.
LARGEST: Final = 64 << 20
_UNUSABLE: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError, UnsafeFileError)
_LARGEST_COUNT: Final = 1 << 62


@attrs.define
class Page:
    """What a backend has received of one writer. The counts are exact for what lies before the cursor."""

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
        """Return the page that :meth:`as_json` wrote. Raises for anything else."""
        cursor = Cursor.from_json(data["cursor"])
        for number in (cursor.next, *(end for hole in cursor.holes for end in hole)):
            _count(number)
        if any(not start < stop <= cursor.next for start, stop in cursor.holes):
            raise ValueError("expected holes before the cursor")
        return cls(cursor, _count(data["delivered"]), _counts(data["excluded"]), _counts(data["dropped"]))


class Ledger:
    """The pages of one backend in one run.

    The counts are of points (each value of a row is one) and of events that backends receive. ``accepted`` is how
    many records the backend's hooks have returned for, repeats included; it is counted separately from the pages.
    """

    def __init__(self, run_dir: Path, backend: str, *, strict: bool = True) -> None:
        """Read what is stored.

        Raises :class:`~tracelet.errors.JournalError` for a file that cannot be used, and ``OSError`` for one that
        cannot be read. Unless ``strict``, either is treated like a missing file.
        """
        self.backend = backend
        self._run_dir = run_dir
        self.file = ledger_file(run_dir, backend)
        self.recent = self.file.with_suffix(".recent")
        self.pages: dict[str, Page] = {}
        self.retries = 0
        self.accepted = 0
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
                f"{self.file}: expected the ledger of {self.backend!r} (version {VERSION}), found something else"
                f" ({error}); without this file {self.backend!r} gets the whole run again"
            ) from error
        with contextlib.suppress(FileNotFoundError, *_UNUSABLE):  # a power failure may have damaged it
            self._load(self.recent)

    def _load(self, file: Path) -> None:
        data = json.loads(read_file(self._run_dir, file.relative_to(self._run_dir), limit=LARGEST))
        if _count(data["version"]) > VERSION:
            raise ValueError(f"version {data['version']}, from a later tracelet")
        serial = _count(data["serial"])
        if serial <= self._serial:
            return
        pages = {str(writer): Page.from_json(page) for writer, page in data["writers"].items()}
        delivered = sum(page.delivered for page in pages.values())
        retries, accepted = _count(data["retries"]), _count(data.get("accepted", delivered))
        error = data["error"]
        self.pages, self.retries, self.accepted, self._serial = pages, retries, accepted, serial
        self.error = str(error) if error is not None else None

    @classmethod
    def open(cls, run_dir: Path, backend: str) -> Ledger:
        """Return what is stored. An unusable file is moved aside, and the backend starts over."""
        try:
            return cls(run_dir, backend)
        except JournalError as error:
            file = ledger_file(run_dir, backend)
            aside = file.with_suffix(f".unusable-{time.time_ns()}")
            file.rename(aside)
            file.with_suffix(".recent").unlink(missing_ok=True)
            log.warning("%s; it was moved to %s", error, aside.name)
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
        """How many records the backend has received."""
        return sum(page.delivered for page in list(self.pages.values()))

    @property
    def excluded(self) -> int:
        """How many records were not meant for the backend."""
        return sum(page.excluded.total() for page in list(self.pages.values()))

    @property
    def dropped(self) -> dict[str, int]:
        """How many records were dropped, by reason."""
        return dict(sum((page.dropped for page in list(self.pages.values())), Counter()))

    @property
    def passed(self) -> int:
        """How many records are delivered, excluded or dropped."""
        return sum(page.passed for page in list(self.pages.values()))

    def save(self, *, durable: bool = True) -> None:
        """Store everything in one step: a reader finds this state or the one before.

        It survives the end of the process in any case, and a power failure if ``durable``. Otherwise it goes to a
        second file, so that the durable one stays whole.
        """
        self._serial += 1
        data = {
            "version": VERSION,
            "backend": self.backend,
            "serial": self._serial,
            "saved": time.time(),
            "retries": self.retries,
            "accepted": self.accepted,
            "error": self.error,
            "writers": {writer: page.as_json() for writer, page in list(self.pages.items())},
        }
        open_folder(self._run_dir, FOLDER, create=True)
        file = (self.file if durable else self.recent).relative_to(self._run_dir)
        replace_file(self._run_dir, file, json.dumps(data).encode(), durable=durable)
        if durable:
            self.recent.unlink(missing_ok=True)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST_COUNT:
        raise ValueError(f"expected a count, found {str(value)[:40]!r}")
    return value


def _counts(value: Any) -> Counter[str]:
    if not isinstance(value, dict):
        raise TypeError(f"expected counts by reason, found {type(value).__name__}")
    return Counter({str(reason): _count(count) for reason, count in value.items()})


def ledger_file(run_dir: Path, backend: str) -> Path:
    """Return the path of a backend's ledger."""
    return run_dir / FOLDER / (quote(backend, safe="") + SUFFIX)


def backends(run_dir: Path) -> list[str]:
    """Return the backends that have, or had, something to receive of a run."""
    with contextlib.suppress(OSError):
        names = list_folder(run_dir, FOLDER)
        return sorted(unquote(name.removesuffix(SUFFIX)) for name in names if name.endswith(SUFFIX))
    return []
