"""Finding the data folder and the runs in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tracelet.errors import ConfigError, StoreError
from tracelet.journal.format import FOLDER as JOURNAL_FOLDER
from tracelet.layout import DATA_FOLDER, RUNS_FOLDER
from tracelet.store.run_source import JournalSource


class RunsLocation(NamedTuple):
    """Where a store finds its runs: the data folder, the folder of the runs, and the only one of them, if any."""

    data: Path
    runs: Path
    only: str | None = None

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, sorted; none if the folder does not exist. Each is a folder's name."""
        if self.only is not None:
            return [self.only] if (self.runs / self.only).is_dir() else []
        try:
            with os.scandir(self.runs) as entries:
                return sorted(entry.name for entry in entries if _is_run(entry))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._unreadable(error) from None

    def has_runs(self) -> bool:
        """Return whether there is any run."""
        if self.only is not None:
            return bool(self.run_ids())
        try:
            with os.scandir(self.runs) as entries:
                return any(map(_is_run, entries))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._unreadable(error) from None

    @property
    def shown(self) -> str:
        """The data folder, for people."""
        return str(self.data)

    @property
    def has_journals(self) -> bool:
        """Each run is a folder with a journal."""
        return True

    @property
    def patience(self) -> float:
        """To look again costs little."""
        return 0.0

    def has(self, run_id: str) -> bool:
        """Return whether there is a run of this id."""
        return self.only in (None, run_id) and _is_folder(self.runs / run_id)

    def source(self, run_id: str) -> JournalSource:
        """Return where a run's data comes from."""
        return JournalSource(self.runs / run_id)

    def check_writable(self, what: str) -> None:
        """Do nothing: the runs of a folder can be changed."""

    def _unreadable(self, error: OSError) -> StoreError:
        return StoreError(
            f"store: expected a folder of runs that can be read at {self.runs}, found: {error.strerror}; check its"
            " owner and its permissions"
        )


def locate_runs(given: str | os.PathLike[str] | None = None) -> RunsLocation:
    """Return the runs that a path refers to.

    The path is a data folder, a project that holds one, or the folder of a single run. Without a path it is where the
    running program records: ``TRACELET_DIR``, or what the project of its script says, else that of the current
    folder; that folder need not exist yet. Raises :class:`StoreError` if the path is not a folder.
    """
    if given is None:
        from tracelet.config import program_config, program_file

        data = program_config(program_file(), {}).dir
        return RunsLocation(data, data / RUNS_FOLDER)
    path = Path(given).expanduser().absolute()
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise StoreError(
            f"store: expected a {DATA_FOLDER} folder, a project with one or the folder of a run, found {found} at"
            f" {path}"
        )
    if is_run_folder(path):
        path = Path(os.path.normpath(path))
        data = path.parent.parent if path.parent.name == RUNS_FOLDER else path
        return RunsLocation(data, path.parent, path.name)
    data = _resolve(path)
    return RunsLocation(data, data / RUNS_FOLDER)


def is_run_folder(path: Path) -> bool:
    """Return whether a folder is that of a single run."""
    return (path / JOURNAL_FOLDER).is_dir() and not (path / RUNS_FOLDER).is_dir()


def _resolve(path: Path) -> Path:
    if path.name == DATA_FOLDER:
        return path
    if (path / DATA_FOLDER).is_dir():
        return path / DATA_FOLDER
    if not (path / RUNS_FOLDER).is_dir() and (configured := _configured(path)) is not None:
        return configured
    return path


def _configured(project: Path) -> Path | None:
    from tracelet.config import load_config
    from tracelet.config.project import project_file

    return load_config(root=project).dir if project_file(project) is not None else None


def _is_run(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:  # a link to something that cannot be reached
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long, or with a null character
        return False


def configured_goals(data: Path) -> dict[str, str]:
    """Return which value of a metric counts, as the configuration of a data folder's project says."""
    from tracelet.config import load_config
    from tracelet.config.project import project_file

    project = data.parent
    if project_file(project) is None:
        return {}
    try:
        goals: dict[str, str] = load_config(root=project).settings.get("goals", {})
    except ConfigError:  # a fault of the configuration must not keep anybody from reading runs
        return {}
    return goals
