"""Importing a source: find its format, and bring run after run into the store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tracelet.errors import UsageError
from tracelet.importers import formats, tracelet_store
from tracelet.importers.merging import Counted, ImportResult, RunImport
from tracelet.store.packing import is_pack, unpack
from tracelet_hookspecs import ImportedRun

if TYPE_CHECKING:
    from tracelet.config import Config
    from tracelet.host.plugins import PluginManager

Progress = Callable[[ImportResult], None]
_PAUSE: Final = 1.0  # seconds between two looks at a source that is followed
_OPEN: Final = 200  # runs of a followed source that are kept open


def import_runs(
    source: str | os.PathLike[str],
    *,
    format: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    follow: bool = False,
    progress: Progress | None = None,
    config: Config | None = None,
    manager: PluginManager | None = None,
) -> list[ImportResult]:
    """Bring the runs of another tracker into the store. Importing again adds only what is new.

    Args:
        source: a file, a folder or a URL.
        format: ``"tensorboard"``, ``"wandb"``, ``"mlflow"``, ``"trackio"``, ``"aim"``, ``"csv"``, ``"tracelet"``, or
            the name of a plugin; by default, the one that recognizes the source.
        project: the project of the imported runs, instead of what the source says.
        dir: the data folder; by default, where ``start_run`` records.
        dry_run: only report what an import would add.
        follow: continue until interrupted (Ctrl-C), adding what the source's writer adds.
        progress: called with the result of a run after each part of it.
        config, manager: the configuration and the plugins to use, for programs that have them.

    Returns the result of each run, in the order of the source.

    Raises:
        UsageError: there is nothing to import, or several formats fit.
        PluginError: the importer failed. What it had read before is imported.
    """
    source = os.fspath(source)
    if not isinstance(source, str) or not source:
        raise UsageError(f"import_runs: expected a path or a URL, found {source!r}")
    if "://" not in source:
        source = os.path.expanduser(source)
    if config is None:
        config = _load_config(dir)
    data = Path(config.dir)
    if format in (None, formats.STORE) and is_pack(source):
        if follow:
            raise UsageError(
                f"import: expected a source that grows, found a packed file ({source}); leave out follow"
            )
        return _import_pack(source, data, project, dry_run, progress)
    store = tracelet_store.find_store(source) if format in (None, formats.STORE) else None
    if store is not None and (format or not tracelet_store.is_same(store, data)):

        def copy() -> list[ImportResult]:
            found = tracelet_store.find_store(source)  # again: it may have new runs
            return tracelet_store.import_store(
                found or store, data, project=project, dry_run=dry_run, progress=progress
            )

        return _follow_store(copy) if follow else copy()
    if format == formats.STORE:
        raise UsageError(
            f"import: expected a .tracelet folder, the folder of a run or a packed file, found none at {source}"
        )
    with ExitStack() as stack:
        if manager is None:
            manager = stack.enter_context(_make_manager(config))
        session = _Session(config, source, manager, format, project, dry_run=dry_run, progress=progress)
        return session.follow() if follow else session.run_once()


def _follow_store(copy: Callable[[], list[ImportResult]]) -> list[ImportResult]:
    """Copy what is added to another store, until Ctrl-C. Returns what was added in all."""
    total: dict[str, ImportResult] = {}
    try:
        while True:
            for result in copy():
                first = total.setdefault(result.id, result)
                if first is not result:
                    first.add(result)
            time.sleep(_PAUSE)
    except KeyboardInterrupt:
        return list(total.values())


def _import_pack(
    source: str, data: Path, project: str | None, dry_run: bool, progress: Progress | None
) -> list[ImportResult]:
    """Import what ``tracelet pack`` has packed: its runs are restored into a folder of their own, then copied."""
    place = data if data.is_dir() and not dry_run else None  # where the runs have room, too
    with TemporaryDirectory(prefix="import-", dir=place) as folder:
        unpack(source, folder)
        store = tracelet_store.find_store(folder)
        if store is None:
            return []
        return tracelet_store.import_store(store, data, project=project, dry_run=dry_run, progress=progress)


def _load_config(dir: str | os.PathLike[str] | None) -> Config:
    from tracelet.config import load_config
    from tracelet.run.starting import absolute_dir

    chosen = absolute_dir(dir)
    return load_config(command_line={"dir": chosen} if chosen is not None else {})


def _make_manager(config: Config) -> PluginManager:
    from tracelet.host.plugins import PluginManager

    manager = PluginManager(config=config)
    manager.discover_plugins()
    return manager


class _Session:
    """One call of :func:`import_runs`."""

    def __init__(
        self,
        config: Config,
        source: str,
        manager: PluginManager,
        format: str | None,
        project: str | None,
        *,
        dry_run: bool,
        progress: Progress | None,
    ) -> None:
        self._data, self._source, self._project = Path(config.dir), source, project
        self._default_project = config.project
        self._manager, self._format, self._dry_run, self._progress = manager, format, dry_run, progress
        self._root = formats.root_of(source)
        self._open: dict[str, RunImport] = {}
        self._results: dict[str, ImportResult] = {}
        self._counted: dict[str, Counted] = {}  # of each run, also of one that was closed meanwhile

    def run_once(self) -> list[ImportResult]:
        """Import what the source holds now."""
        opened = self._open_source(follow=False)
        try:
            for part in opened.parts:
                if part is not None:
                    self._close_others(part.key)
                    self._add(opened.format, part)
        finally:
            self._close_others(None)
        return list(self._results.values())

    def follow(self) -> list[ImportResult]:
        """Import what the source holds, and what is added to it, until Ctrl-C."""
        try:
            opened = self._open_source(follow=True)
            while True:
                for part in opened.parts:
                    if part is None:
                        self._pause()
                    else:
                        self._add(opened.format, part)
                self._pause()  # an importer that does not continue is called again
                self._close_others(None)
                opened = self._open_source(follow=True)
        except KeyboardInterrupt:
            return list(self._results.values())
        finally:
            self._close_others(None)

    def _pause(self) -> None:
        for one in self._open.values():
            one.flush()
        time.sleep(_PAUSE)

    def _open_source(self, *, follow: bool) -> formats.OpenSource:
        importers = formats.find_importers(self._manager, self._format)
        return formats.open_source(importers, self._source, follow=follow, asked=self._format is not None)

    def _add(self, format: str, part: ImportedRun) -> None:
        one = self._open.get(part.key)
        if one is None:
            while len(self._open) >= _OPEN:
                self._close(next(iter(self._open)))
            one = RunImport(
                self._data,
                format,
                self._root,
                part.key,
                project=self._project,
                default_project=self._default_project,
                dry_run=self._dry_run,
                counted=self._counted.setdefault(part.key, Counted()),
            )
            self._open[part.key] = one
            self._results[part.key] = _joined(self._results.get(part.key), one.result)
        one.add(part)
        if self._progress is not None:
            self._progress(one.result)

    def _close_others(self, key: str | None) -> None:
        for other in [one for one in self._open if one != key]:
            self._close(other)

    def _close(self, key: str) -> None:
        self._open.pop(key).close()


def _joined(earlier: ImportResult | None, result: ImportResult) -> ImportResult:
    """Return the result to continue: a run that was closed meanwhile keeps what was counted before."""
    if earlier is not None:
        for field in ("points", "files"):  # the others are counted by name
            setattr(result, field, getattr(result, field) + getattr(earlier, field))
        result.metrics, result.params, result.tags = earlier.metrics, earlier.params, earlier.tags
        result.is_new = earlier.is_new
        result.damage = {**earlier.damage}
    return result
