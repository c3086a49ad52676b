"""What a store reads: a folder with journals, or a lake. Both answer the same questions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.errors import UsageError
from tracelet.store.data_folder import RunsLocation, locate_runs
from tracelet.store.run_source import Location

if TYPE_CHECKING:
    from tracelet.store.index.updating import Updater


def locate_store(
    given: str | os.PathLike[str] | None, storage_options: Mapping[str, Any] | None = None
) -> Location:
    """Return the runs that a path or a URL refers to. Raises :class:`StoreError` if there is nothing."""
    if given is not None and refers_to_lake(given):
        from tracelet.store.lake_runs import LakeLocation

        return LakeLocation(os.fspath(given), storage_options)
    if storage_options is not None:
        raise UsageError(f"open_store: storage_options are for a lake, found {given!r}")
    return locate_runs(given)


def refers_to_lake(given: str | os.PathLike[str]) -> bool:
    """Return whether this is the URL of a lake, or the path of a folder that is one."""
    from tracelet.lake.recognize import is_lake, is_url

    return is_url(given) or is_lake(Path(given).expanduser())


def make_updater(location: Location) -> Updater:
    """Return what brings an index of these runs up to date."""
    from tracelet.store.index.run_updates import RunUpdater

    if isinstance(location, RunsLocation):
        return RunUpdater()
    from tracelet.store.index.lake_updates import LakeUpdater
    from tracelet.store.lake_runs import LakeLocation

    assert isinstance(location, LakeLocation)
    return LakeUpdater(location)
