"""What brings indexed runs up to date: from journals, or from the documents of a lake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from tracelet.store.details import Details
from tracelet.store.index.run_updates import IndexedRun, KnownRun
from tracelet.store.journal_access import Files


class Updater(Protocol):
    """Reads what has changed in runs."""

    def is_settled(self, run_dir: str, known: KnownRun, load_files: Callable[[], dict[str, Files]]) -> bool:
        """Return whether a run cannot have changed since it was read. Raises OSError if it cannot be examined."""

    def prepare(self, ids: Sequence[str]) -> None:
        """Take note that these runs are read next: a source that is far away reads them together."""

    def read(self, run_dir: Path, run: IndexedRun) -> tuple[IndexedRun, Details]:
        """Return a run as it is now, and its details. Raises whatever reading it raises."""

    def keep_only(self, running: Iterable[Path]) -> None:
        """Let go of what is kept for other runs than these."""
