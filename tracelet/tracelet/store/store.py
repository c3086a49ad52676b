"""All runs of a data folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import StoreError
from tracelet.messages import closest, did_you_mean
from tracelet.store.location import RUNS_FOLDER, data_folder, has_runs
from tracelet.store.record import RunRecord, Summaries

if TYPE_CHECKING:
    from tracelet.store.details import Details
    from tracelet.store.index import Index
    from tracelet.store.selection import Moment
    from tracelet.store.series import Series

LATEST: Final = ("latest", "last")


def open_store(dir: str | os.PathLike[str] | None = None) -> Store:
    """Open what was recorded, to read it.

    ``dir`` is a ``.tracelet`` folder or a project that holds one. By default it is where ``start_run`` records in this
    program: ``TRACELET_DIR``, else the data folder of the script's project, else of the current folder's. Raises
    :class:`StoreError` where there is no such folder. A folder without runs is an empty store.
    """
    return Store(data_folder(dir))


class Store:
    """All runs of a data folder. Made by :func:`open_store`; needs no closing, and any thread may use it."""

    def __init__(self, dir: Path) -> None:
        self.dir = dir

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
            project: of these projects only. Here and below a collection of values means any of them.
            name: of this name.
            outcome: ``running``, ``finished``, ``failed``, ``killed``, ...
            params: with these parameters: ``{"lr": 0.1, "optimizer": ["sgd", "adam"]}``.
            tags: with these tags: a mapping, or names alone.
            since: begun then or later: a ``datetime``, seconds since the epoch, ``"2026-11-23"``, ``"-7d"``.
            until: begun before then.
            where: an expression: ``"params.lr < 0.1 and metrics.acc.max > 0.9"``.
            sort: fields to sort by, ``-`` for descending: ``"-metrics.acc.max"``. Runs without one come last.
            limit: no more than so many.

        Raises :class:`UsageError` for an expression that is wrong, pointing at what. A run that cannot be read
        is in the list too, with ``outcome`` ``unreadable`` and its ``problem``.
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
        )
        if not has_runs(self.dir):
            return []
        return self._records(self._index.ask(*selection))

    def run(self, key: str = "latest") -> RunRecord:
        """Return one run: by id, by name (the newest of that name), ``latest``, or the beginning of its id.

        Raises :class:`StoreError` where there is none, naming the closest, or where several begin that way.
        """
        folder = self.dir / RUNS_FOLDER / key
        if key not in ("", ".", "..") and os.path.basename(key) == key and folder.is_dir():
            return self._read(folder)
        return self._read(self._find(key, self.runs()).dir)

    def _read(self, folder: Path) -> RunRecord:
        """Read a run itself; what its metrics add up to is in the index, in step with it."""
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
        """Return many series of many runs; each has its ``run`` (the id) and its ``name``.

        Args:
            names: names and patterns of metrics. A run that lacks one is passed over.
            runs: records, ids or names; by default all runs.
            points: about how many points each may have at most; more are thinned out so that peaks stay.
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

        Takes runs, or what :meth:`runs` takes to select them. ``statistic`` says what stands for a metric: ``last``,
        ``min``, ``max``, ``mean``, ...
        """
        from tracelet.store.frames import frame
        from tracelet.store.overview import runs_table

        records = list(self.runs(**selection) if runs is None else runs)
        return frame(runs_table(records, statistic), library)

    @property
    def index_file(self) -> Path | None:
        """Where the index of the runs is kept now; ``None`` for in memory, where no disk would do."""
        return self._index.path

    def projects(self) -> list[str]:
        """Return the names of the projects that have runs, sorted."""
        if not has_runs(self.dir):
            return []
        return self._index.column("SELECT DISTINCT project FROM runs WHERE project != '' ORDER BY project")

    def rebuild(self) -> None:
        """Delete the index of the runs. It is built anew when it is needed; nothing that was recorded is touched."""
        self._index.delete()

    @cached_property
    def _index(self) -> Index:
        from tracelet.store.index import Index

        return Index(self.dir)

    def _records(self, found: list[Details]) -> list[RunRecord]:
        index = self._index
        summaries = Summaries(index.summaries, [details.id for details in found])
        folder = self.dir / RUNS_FOLDER
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
                f"store: expected one run, found {len(begun)} that begin with {key!r}: {several}"
            )
        names = {record.name for record in records}
        meant = closest(key, names | {record.id for record in records})
        hint = f" (did you mean {meant!r}?)" if meant else did_you_mean(key, names)
        raise StoreError(f"store: no run {key!r} in {self.dir}{hint}", run=key)

    def __repr__(self) -> str:
        return f"<Store {self.dir}>"
