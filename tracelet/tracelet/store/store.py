"""The recorded runs of a data folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import StoreError
from tracelet.messages import closest, describe_value, did_you_mean
from tracelet.store.data_folder import RunsLocation, is_run_folder, locate_runs
from tracelet.store.record import RunRecord, Summaries

if TYPE_CHECKING:
    from tracelet.store.details import Details
    from tracelet.store.index import Index
    from tracelet.store.selection import Moment
    from tracelet.store.series import Series

LATEST: Final = ("latest", "last")


def open_store(dir: str | os.PathLike[str] | None = None) -> Store:
    """Open recorded runs for reading.

    ``dir`` is a ``.tracelet`` folder, a project that holds one, or the folder of a single run. It defaults to where
    ``start_run`` records in this program: ``TRACELET_DIR``, else the data folder of the script's project, else that
    of the current folder. Raises :class:`StoreError` if there is no such folder. A folder without runs is an empty
    store.
    """
    return Store(locate_runs(dir))


class Store:
    """The runs of a data folder. Made by :func:`open_store`; needs no closing, and any thread may use it."""

    def __init__(self, location: RunsLocation) -> None:
        self.dir = location.data
        self._location = location

    def runs(
        self,
        project: str | Collection[str] | None = None,
        *,
        name: str | Collection[str] | None = None,
        outcome: str | Collection[str] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Iterable[str] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        where: str | None = None,
        sort: str | Sequence[str] = "-started_at",
        limit: int | None = None,
    ) -> list[RunRecord]:
        """Return runs, the newest first.

        Args:
            project: only runs of this project. Here and below, a collection of values means any of them.
            name: only runs with this name.
            outcome: only runs with this outcome: ``running``, ``finished``, ``failed``, ``killed``, ...
            params: only runs with these parameters: ``{"lr": 0.1, "optimizer": ["sgd", "adam"]}``.
            tags: only runs with these tags: a mapping, or names alone.
            since: only runs that began at this time or later: a ``datetime``, seconds since the epoch,
                ``"2026-11-23"``, ``"-7d"``.
            until: only runs that began before this time.
            where: an expression: ``"params.lr < 0.1 and metrics.acc.max > 0.9"``.
            sort: fields to sort by, ``-`` for descending: ``"-metrics.acc.max"``. Runs without the field come last.
            limit: the maximum number of runs.

        Raises :class:`UsageError` that points at the mistake in an expression. A run that cannot be read is in the
        list, too, with ``outcome`` ``unreadable`` and its ``problem``.
        """
        from tracelet.store.selection import select

        selection = select(
            project=project,
            name=name,
            outcome=outcome,
            params=params,
            tags=tags,
            since=since,
            until=until,
            where=where,
            sort=sort,
            limit=limit,
            run_id=self._location.only,
        )
        if not self._location.has_runs():
            return []
        return self._records(self._index.select(*selection))

    def run(self, key: str = "latest") -> RunRecord:
        """Return one run, by its id, the beginning of its id, its name (the newest of that name), or ``latest``.

        The path of a run's folder is taken, too, wherever it is. Raises :class:`StoreError` if there is no such run,
        naming the closest, or if several ids begin that way.
        """
        key = _check_key(key)
        if os.path.basename(key) == key:
            folder = self._location.runs / key
            is_here = self._location.only in (None, key)
            if key not in ("", ".", "..") and is_here and _is_folder(folder):
                return self._read(folder)
        elif is_run_folder(path := Path(key).expanduser()):
            return Store(locate_runs(path)).run()
        return self._read(self._find(key, self.runs()).dir)

    def _read(self, folder: Path) -> RunRecord:
        """Read a run from its folder; the statistics of its metrics come from the index."""
        return RunRecord.read(
            folder,
            summaries=Summaries(lambda ids: self._index.fresh_summaries(ids), [folder.name]),
            last_time=lambda writer: self._index.last_time(folder.name, writer),
        )

    def series(
        self,
        names: str | Iterable[str],
        runs: Iterable[RunRecord | str] | None = None,
        *,
        points: int | None = None,
    ) -> list[Series]:
        """Return series of several runs; each has its ``run`` (the id) and its ``name``.

        Args:
            names: names and patterns of metrics. A run may lack them.
            runs: records, ids or names; by default all runs.
            points: the approximate maximum number of points of a series; longer ones are downsampled, keeping peaks.
        """
        several: list[Series] = []
        for one in self.runs() if runs is None else runs:
            record = self.run(one) if isinstance(one, str) else one
            several += record.series(names, missing_ok=True)
        return several if points is None else [series.downsample(points) for series in several]

    def dataframe(
        self,
        runs: Iterable[RunRecord] | None = None,
        *,
        statistic: str = "last",
        library: str | None = None,
        **selection: Any,
    ) -> Any:
        """Return runs as a DataFrame, a row per run, with ``params.X``, ``tags.X`` and ``metrics.X``.

        Takes runs, or the arguments of :meth:`runs`. ``statistic`` is the value shown for a metric: ``last``,
        ``min``, ``max``, ``mean``, ...
        """
        from tracelet.store.frames import make_frame
        from tracelet.store.runs_table import runs_table

        records = list(self.runs(**selection) if runs is None else runs)
        return make_frame(runs_table(records, statistic), library)

    @property
    def index_file(self) -> Path | None:
        """The file of the index; ``None`` if it is kept in memory because no disk is suitable."""
        return self._index.path

    def projects(self) -> list[str]:
        """Return the names of the projects that have runs, sorted."""
        if not self._location.has_runs():
            return []
        if self._location.only is not None:
            return [project for record in self.runs() if (project := record.project)]
        return self._index.select_column(
            "SELECT DISTINCT project FROM runs WHERE project != '' ORDER BY project"
        )

    def rebuild(self) -> None:
        """Delete the index. It is rebuilt when it is needed next; no recorded data is touched."""
        self._index.delete()

    @cached_property
    def _index(self) -> Index:
        from tracelet.store.index import Index

        return Index(self._location)

    def _records(self, found: list[Details]) -> list[RunRecord]:
        index = self._index
        summaries = Summaries(index.summaries, [details.id for details in found])
        folder = self._location.runs
        return [RunRecord(folder / details.id, details, summaries=summaries) for details in found]

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
            several = ", ".join(record.id for record in begun[:5]) + (", ..." if len(begun) > 5 else "")
            raise StoreError(
                f"store: expected one run, found {len(begun)} whose ids begin with {key!r}: {several}"
            )
        names = {record.name for record in records}
        meant = closest(key, names | {record.id for record in records})
        hint = f" (did you mean {meant!r}?)" if meant else did_you_mean(key, names)
        raise StoreError(f"store: no run {key!r} in {self.dir}{hint}", run=key)

    def __repr__(self) -> str:
        return f"<Store {self.dir}>"


def _check_key(key: Any) -> str:
    """Return what names a run as a text: an id, a name or a path."""
    if isinstance(key, (str, os.PathLike)):
        return str(os.fspath(key))
    found = "None" if key is None else describe_value(key)
    hint = "; leave it out for the latest run" if key is None else ""
    if isinstance(getattr(key, "id", None), str):
        hint = "; pass its id"
    raise StoreError(f"store.run: expected the id, name or path of a run, found {found}{hint}")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long, or with a null character
        return False
