"""Changing the runs of a store after the fact: edits, and the trash."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.errors import UsageError
from tracelet.store.record import RunRecord
from tracelet.store.run_source import Location

if TYPE_CHECKING:
    from tracelet.store.trash import DeletedRun


class Upkeep(ABC):
    """The part of a store that changes its runs. Nothing that was recorded is overwritten."""

    def __init__(self, location: Location) -> None:
        self.dir = location.data
        self._location = location

    @property
    def has_journals(self) -> bool:
        """Whether each run is a folder with a journal; the runs of a lake are not."""
        return self._location.has_journals

    @property
    def location(self) -> str:
        """Where the runs are: the path of the data folder, or the URL of a lake."""
        return self._location.shown

    @abstractmethod
    def run(self, key: str = "latest") -> RunRecord:
        """Return one run."""

    @abstractmethod
    def _expire(self) -> None:
        """Have the next list of runs read again, however patient this store is otherwise."""

    @abstractmethod
    def _read(self, folder: Path) -> RunRecord:
        """Read a run from its folder."""

    def edit(
        self,
        run: RunRecord | str,
        *,
        name: str | None = None,
        notes: str | None = None,
        tags: Mapping[str, Any] | Iterable[str] | None = None,
        untag: str | Iterable[str] = (),
        group: str | None = None,
        parent: str | None = None,
        job_type: str | None = None,
        archived: bool | None = None,
    ) -> RunRecord:
        """Change what a run says of itself, and return it as it is now. What is not given stays.

        The change is appended to the run by a writer of its own, so nothing is overwritten (``record.edits`` lists
        all changes), and the run may still be recording in another process, or be compacted. Backends receive it like
        everything else.

        Args:
            run: a record, or what :meth:`run` takes.
            name: another name.
            notes: Markdown; an empty text removes the notes.
            tags: tags to set: a mapping, or names alone.
            untag: names of tags to remove.
            group: another group; an empty text takes the run out of its group.
            parent: the id of another run of this store; an empty text makes it a run of its own.
            job_type: another kind of work.
            archived: whether lists leave the run out by default.

        Raises :class:`StoreError` if there is no such run, tag or parent, or the run cannot be read, and
        :class:`UsageError` if nothing is to be changed or a value is invalid.
        """
        self._location.check_writable("edit")
        from tracelet.store.editing import Changes, apply_changes

        record = self._read(run.dir) if isinstance(run, RunRecord) else self.run(run)
        about = {"name": name, "notes": notes, "group": group, "parent": parent, "job_type": job_type}
        changes = Changes.check(record, {**about, "archived": archived}, tags, untag)
        if parent:
            self._check_parent(record, parent)
        apply_changes(record, changes)
        self._expire()
        return self._read(record.dir)

    def delete(self, run: RunRecord | str) -> Path:
        """Move a run to the trash, and return its folder there. :meth:`restore` brings it back.

        Raises :class:`StoreError` if it is still recording.
        """
        self._location.check_writable("delete")
        from tracelet.store.trash import move_to_trash

        moved = move_to_trash(self._location, self._known(run))
        self._expire()
        return moved

    def trash(self) -> list[DeletedRun]:
        """Return the deleted runs, the latest deletion first."""
        from tracelet.store.trash import list_trash

        return list_trash(self.dir)

    def restore(self, run: str) -> RunRecord:
        """Bring a deleted run back, given by its id or its name (the one deleted last).

        Raises :class:`StoreError` if it is not in the trash, or there is a run of its id.
        """
        self._location.check_writable("restore")
        from tracelet.store.trash import restore_run

        restored = restore_run(self._location, run)
        self._expire()
        return self._read(restored)

    def empty_trash(self) -> list[DeletedRun]:
        """Remove the deleted runs for good, and return what they were."""
        self._location.check_writable("delete")
        from tracelet.store.trash import empty_trash

        return empty_trash(self.dir)

    def _known(self, run: RunRecord | str) -> RunRecord:
        return run if isinstance(run, RunRecord) else self.run(run)

    def _check_parent(self, record: RunRecord, parent: str) -> None:
        """Raise unless a run may have this parent: there is such a run, and it is no descendant."""
        above: str | None = parent
        seen: set[str] = set()
        while above and above not in seen:
            if above == record.id:
                raise UsageError(
                    f"parent: run {record.id!r} cannot be below itself: {parent!r} is the same run, or one below it"
                )
            seen.add(above)
            if above == parent and self.run(parent).id != parent:
                raise UsageError(f"parent: expected the id of a run, found {parent!r}")
            above = self.run(above).parent if above in self._location.run_ids() else None
