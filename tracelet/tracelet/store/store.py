"""All runs of a data folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tracelet.core.wording import did_you_mean
from tracelet.errors import StoreError
from tracelet.store.location import RUNS_FOLDER, data_folder, run_folders
from tracelet.store.record import RunRecord

LATEST: Final = ("latest", "last")


def open_store(dir: str | os.PathLike[str] | None = None) -> Store:
    """Open what was recorded, to read it.

    ``dir`` is a ``.tracelet`` folder or a project that holds one; by default the one of the current folder's
    project. Raises :class:`StoreError` where there is no such folder. A folder without runs is an empty store.
    """
    return Store(data_folder(dir))


class Store:
    """All runs of a data folder. Made by :func:`open_store`; needs no closing."""

    def __init__(self, dir: Path) -> None:
        self.dir = dir

    def runs(self, project: str | None = None, *, sort: str = "-started_at") -> list[RunRecord]:
        """Return the runs, newest first."""
        records = [RunRecord.read(folder) for folder in run_folders(self.dir)]
        kept = [record for record in records if project in (None, record.project)]
        return sorted(kept, key=lambda record: (record.started_at, record.id), reverse=True)

    def run(self, key: str = "latest") -> RunRecord:
        """Return one run: by id, by name (the newest of that name), ``latest``, or the beginning of its id.

        Raises :class:`StoreError` where there is none, naming the closest, or where several begin that way.
        """
        folder = self.dir / RUNS_FOLDER / key
        if key and os.path.basename(key) == key and folder.is_dir():
            return RunRecord.read(folder)
        return self._find(key, self.runs())

    def _find(self, key: str, records: list[RunRecord]) -> RunRecord:
        if not records:
            raise StoreError(f"store: expected run {key!r}, found no runs in {self.dir}", run=key)
        for record in records:
            if record.name == key:
                return record
        if key in LATEST:
            return records[0]
        begun = [record for record in records if record.id.startswith(key)] if key else []
        if len(begun) == 1:
            return begun[0]
        if begun:
            several = ", ".join(record.id for record in begun[:5])
            raise StoreError(
                f"store: expected one run, found {len(begun)} that begin with {key!r}: {several}"
            )
        known = {name for record in records for name in (record.name, record.id)}
        raise StoreError(f"store: no run {key!r} in {self.dir}{did_you_mean(key, known)}", run=key)

    def __repr__(self) -> str:
        return f"<Store {self.dir}>"
