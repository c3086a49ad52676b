"""The recorded runs of a data folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import StoreError
from tracelet.messages import closest, describe_value, did_you_mean
from tracelet.store.data_folder import configured_goals, is_run_folder, locate_runs
from tracelet.store.locating import locate_store
from tracelet.store.record import RunRecord, Summaries, Surroundings
from tracelet.store.run_source import Location
from tracelet.store.upkeep import Upkeep

if TYPE_CHECKING:
    from tracelet.store.details import Details
    from tracelet.store.history import History
    from tracelet.store.index import Index
    from tracelet.store.journal_access import Files
    from tracelet.store.selection import Moment
    from tracelet.store.series import Series

LATEST: Final = ("latest", "last")
Progress = Callable[[int, int], None]
_LARGE: Final = 32_000_000  # bytes of a journal, from which on it is worth asking the index


def open_store(
    dir: str | os.PathLike[str] | None = None, *, storage_options: Mapping[str, Any] | None = None
) -> Store:
    """Open recorded runs for reading.

    ``dir`` is a ``.tracelet`` folder, a project that holds one, or the folder of a single run. It defaults to where
    ``start_run`` records in this program: ``TRACELET_DIR``, else the data folder of the script's project, else that
    of the current folder. Raises :class:`StoreError` if there is no such folder. A folder without runs is an empty
    store.

    It may also be a lake, which the backend ``lake`` has written: a URL (``s3://bucket/prefix``), or a folder.
    ``storage_options`` are given to fsspec: credentials, an endpoint.
    """
    return Store(locate_store(dir, storage_options))


class Store(Upkeep):
    """The runs of a data folder. Made by :func:`open_store`; needs no closing, and any thread may use it."""

    def __init__(self, location: Location, goals: Mapping[str, str] | None = None) -> None:
        super().__init__(location)
        self._given_goals = goals

    def report_progress(self, progress: Progress | None) -> Progress | None:
        """Have a function called while the index is brought up to date: with the runs done, and the runs in all.

        Returns the function that was called until now.
        """
        before, self._index.progress = self._index.progress, progress
        return before

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
        group: str | Collection[str] | None = None,
        parent: str | Collection[str] | None = None,
        archived: bool | None = False,
        offset: int = 0,
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
            group: only runs of this group.
            parent: only the children of this run, given by its id.
            archived: archived runs are left out, unless ``where`` mentions the field ``archived``; ``True`` takes
                only these, ``None`` both.
            offset: the number of runs to skip first, for reading page by page.

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
            offset=offset,
            run_id=self._location.only,
            group=group,
            parent=parent,
            archived=archived,
            goals=self._goals,
        )
        if not self._location.has_runs():
            return []
        return self._records(self._index.select(*selection))

    def count(self, where: str | None = None, *, project: str | Collection[str] | None = None) -> int:
        """Return how many runs an expression selects, without reading them."""
        from tracelet.store.selection import select

        sql, values = select(
            where=where, project=project, sort=(), run_id=self._location.only, goals=self._goals
        )
        if not self._location.has_runs():
            return 0
        return int(self._index.select_column(f"SELECT COUNT(*) FROM runs {sql}", values)[0])

    def version(self) -> str:
        """Return a text that changes whenever a run is added, removed or changed."""
        if not self._location.has_runs():
            return ""
        sql = "SELECT COUNT(*) || '-' || TOTAL(looks) || '-' || MAX(number) FROM runs"
        return str(self._index.select_column(sql)[0])

    def be_patient(self, seconds: float) -> None:
        """Let lists of runs be up to so many seconds old: for a program that asks many times per second."""
        self._index.patience = max(seconds, self._location.patience)

    def fields(self, newest: int | None = None) -> dict[str, list[str]]:
        """Return the names of the params, tags and metrics that any run has, sorted; or any of the newest runs."""
        if newest is not None:
            return _fields_of(self.runs(limit=newest))
        if not self._location.has_runs():
            return {"params": [], "tags": [], "metrics": []}
        return {
            "params": self._index.select_column("SELECT DISTINCT key FROM params ORDER BY key"),
            "tags": self._index.select_column("SELECT DISTINCT key FROM tags ORDER BY key"),
            "metrics": self._index.select_column("SELECT DISTINCT name FROM metrics ORDER BY name"),
        }

    def run(self, key: str = "latest") -> RunRecord:
        """Return one run, by its id, the beginning of its id, its name (the newest of that name), or ``latest``.

        The path of a run's folder is taken, too, wherever it is. Raises :class:`StoreError` if there is no such run,
        naming the closest, or if several ids begin that way.
        """
        key = _check_key(key)
        if os.path.basename(key) == key:
            if key not in ("", ".", "..") and self._location.has(key):
                return self._read(self._location.runs / key)
        elif is_run_folder(path := Path(key).expanduser()):
            return Store(locate_runs(path)).run()
        return self._read(self._find(key, self.runs(archived=None)).dir)

    def _read(self, folder: Path, history: History | None = None) -> RunRecord:
        """Read a run from its folder; the statistics of its metrics come from the index."""
        source = self._location.source(folder.name)
        if history is None and not source.is_selective:
            history = self._known_history(folder.name, source.state())
        summaries = Summaries(lambda ids: self._index.fresh_summaries(ids), [folder.name])
        return RunRecord.read(
            folder,
            history=history,
            summaries=None if source.is_selective else summaries,
            last_time=lambda writer: self._index.last_time(folder.name, writer),
            surroundings=self._surroundings,
            source=source,
        )

    def _known_history(self, id: str, files: dict[str, Files] | None) -> History | None:
        """Return what the index knows of a large run: to find the few events among many points takes long."""
        size = sum(one[1] for several in (files or {}).values() for one in several)
        return self._index.history(id, files) if files and size >= _LARGE else None

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

    def plot(
        self,
        metric: str | Iterable[str],
        runs: Iterable[RunRecord | str] | None = None,
        *,
        x: str = "step",
        smoothing: float = 0.0,
        log: bool = False,
        points: int = 2000,
        library: str | None = None,
    ) -> Any:
        """Return a figure with a metric of several runs, a line per run. See :meth:`RunRecord.plot`.

        ``metric`` may be several names and patterns, each with a panel. ``runs`` are records, ids or names, by default
        the 10 newest runs.
        """
        from tracelet.store.plotting import plot
        from tracelet.store.plotting_panels import Style

        records = [self._known(one) for one in (self.runs(limit=10) if runs is None else runs)]
        several = self.series(metric, records)
        if records and not several:
            raise StoreError(f"store: none of {len(records)} runs has a metric {metric!r}")
        names = {record.id: record.name for record in records}
        return plot(several, Style(x, smoothing, log, points), _distinct(names), library)

    def state(self, run: str) -> Any:
        """Return a value that changes when a run does, given by its id; ``None`` if there is no such run."""
        return self._location.source(run).state() if self._location.has(run) else None

    @property
    def index_file(self) -> Path | None:
        """The file of the index; ``None`` if it is kept in memory because no disk is suitable."""
        return self._index.path

    def projects(self) -> list[str]:
        """Return the names of the projects that have runs, sorted."""
        if not self._location.has_runs():
            return []
        if self._location.only is not None:
            return [project for record in self.runs(archived=None) if (project := record.project)]
        return self._index.select_column(
            "SELECT DISTINCT project FROM runs WHERE project != '' ORDER BY project"
        )

    def rebuild(self) -> None:
        """Delete the index. It is rebuilt when it is needed next; no recorded data is touched."""
        self._index.delete()

    def _expire(self) -> None:
        self._index.expire()

    @cached_property
    def _index(self) -> Index:
        from tracelet.store.index import Index
        from tracelet.store.locating import make_updater

        return Index(self._location, lambda: make_updater(self._location))

    def _records(self, found: list[Details]) -> list[RunRecord]:
        index = self._index
        summaries = Summaries(index.summaries, [details.id for details in found])
        folder, around = self._location.runs, self._surroundings
        return [
            RunRecord(
                folder / details.id,
                details,
                summaries=summaries,
                surroundings=around,
                source=self._location.source(details.id),
            )
            for details in found
        ]

    @cached_property
    def _surroundings(self) -> Surroundings:
        return Surroundings(self._goals, self._children)

    @cached_property
    def _goals(self) -> Mapping[str, str]:
        return configured_goals(self.dir) if self._given_goals is None else self._given_goals

    def _children(self, run: str) -> list[str]:
        sql = "SELECT id FROM runs WHERE parent = ? AND id != parent ORDER BY started, id"
        return self._index.select_column(sql, (run,))

    def _find(self, key: str, records: list[RunRecord]) -> RunRecord:
        if not records:
            raise StoreError(f"store: expected run {key!r}, found no runs in {self.location}", run=key)
        shown = [record for record in records if not record.archived]
        for record in (*shown, *records):
            if record.name == key:
                return record
        if key in LATEST:
            return (shown or records)[0]
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
        raise StoreError(f"store: no run {key!r} in {self.location}{hint}", run=key)

    def _repr_html_(self) -> str:
        from tracelet.store.html import store_html

        return store_html(self)

    def __repr__(self) -> str:
        return f"<Store {self.location}>"


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Return names by run id; to a name that several runs have, the end of the id is added."""
    several = list(names.values())
    return {
        run: name if several.count(name) == 1 else f"{name} {run.rpartition('-')[2]}"
        for run, name in names.items()
    }


def _fields_of(records: list[RunRecord]) -> dict[str, list[str]]:
    from tracelet.store.index.rows import flatten

    return {
        "params": sorted({name for record in records for name, _ in flatten(record.params)}),
        "tags": sorted({name for record in records for name, _ in flatten(record.tags)}),
        "metrics": sorted({name for record in records for name in record.summary()}),
    }


def _check_key(key: Any) -> str:
    """Return what names a run as a text: an id, a name or a path."""
    if isinstance(key, (str, os.PathLike)):
        return str(os.fspath(key))
    found = "None" if key is None else describe_value(key)
    hint = "; leave it out for the latest run" if key is None else ""
    if isinstance(getattr(key, "id", None), str):
        hint = "; pass its id"
    raise StoreError(f"store.run: expected the id, name or path of a run, found {found}{hint}")
