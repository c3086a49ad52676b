"""One run in a repository of Aim."""

from __future__ import annotations

import datetime
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.aim import mapping
from tracelet_builtin_plugins.extras import import_extra
from tracelet_hookspecs import MetricData, RunView

__all__ = ["AimRun", "Preparation", "import_aim", "require_aim"]

MINIMUM: Final = "3.29"


def import_aim(module: str) -> Any:
    """Import a module of Aim."""
    return import_extra(module, plugin="aim", distribution="aim", minimum=MINIMUM)


def require_aim() -> None:
    """Raise an error that says what to install if Aim is missing or too old; importing it is left for later."""
    import_extra("importlib.metadata", plugin="aim", distribution="aim", minimum=MINIMUM)


class AimRun:
    """A run of Aim that is open for writing. Each call returns when RocksDB or SQLite have the data."""

    def __init__(self, folder: Path, run: RunView, experiment: str) -> None:
        self.hash = mapping.run_hash(run.id)
        self.folder = folder
        self.end_time: float | None = None
        with errors(folder):
            self._repo = import_aim("aim.sdk.repo").Repo.from_path(os.fspath(folder))
            self._run = self._open(run, experiment)
            self._run["tracelet"] = {"run_id": mapping.text(run.id), "project": mapping.text(run.project)}
            self.set_name(run.name)
        self._started_at = run.started_at

    def _open(self, run: RunView, experiment: str) -> Any:
        # Aim gives new runs a random hash. It opens one with a given hash if the run's folder exists.
        Path(self._repo.path, "meta", "chunks", self.hash).mkdir(parents=True, exist_ok=True)
        forget = getattr(self._repo._all_run_hashes, "cache_clear", None)
        if forget is not None:  # Aim remembers for half a second which runs there are
            forget()
        # Only this plugin writes this run, in one process at a time (tracelet's lease): a lock is left from a kill.
        with suppress(FileNotFoundError):
            Path(self._repo.path, "locks", f"{self.hash}.softlock").unlink()
        created = datetime.datetime.fromtimestamp(run.started_at, datetime.timezone.utc).replace(tzinfo=None)
        self._repo.request_props(self.hash, False, created)
        there = import_aim("aim.sdk.run").Run(
            self.hash,
            repo=self._repo,
            experiment=mapping.text(experiment),
            system_tracking_interval=None,
            log_system_params=False,
            capture_terminal_logs=False,
        )
        there._resources.set_run_end_time = (
            self._write_end_time
        )  # Aim writes the time at which it closes the run
        return there

    def close(self) -> None:
        """Close the databases."""
        with errors(self.folder):
            self._run.close()

    def _write_end_time(self) -> None:
        self._run.meta_run_tree["end_time"] = self.end_time

    def end(self, outcome: str, when: float) -> None:
        """Store how and when the run ended."""
        with errors(self.folder):
            self.end_time = when
            self._run["tracelet", "outcome"] = mapping.text(outcome)
            self._write_end_time()

    def track(self, points: Iterable[MetricData]) -> None:
        """Store points, with their own time; Aim's public ``track`` stamps the current one."""
        track = self._run._tracker._track
        with errors(self.folder):
            for point in points:
                step = mapping.step_of(point.iteration, point.timestamp, self._started_at)
                track(float(point.value), point.timestamp, mapping.sequence_name(point.name), step)

    def track_object(
        self, value: Any, name: str, step: int | None, timestamp: float, context: Mapping[str, str]
    ) -> None:
        """Store an image, a text or another of Aim's objects."""
        at = mapping.step_of(step, timestamp, self._started_at)
        with errors(self.folder):
            self._run._tracker._track(
                value, timestamp, mapping.sequence_name(name), at, context=dict(context)
            )

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Store parameters; a later value replaces an earlier one."""
        with errors(self.folder):
            for key, value in params.items():
                self._run["hparams", mapping.parameter_key(key)] = mapping.parameter_value(value)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Store tags; a new value replaces the earlier one of the same key."""
        with errors(self.folder):
            keys = {mapping.tag_key(key) for key in tags}
            wanted = [mapping.tag_text(key, value) for key, value in tags.items()]
            present = list(self._run.tags)
            for tag in present:
                if tag.partition("=")[0] in keys and tag not in wanted:
                    self._run.remove_tag(tag)
            for tag in dict.fromkeys(wanted):
                if tag not in present:
                    self._run.add_tag(tag)
            for key, value in tags.items():
                self._run["tags", mapping.tag_key(key)] = mapping.parameter_value(value)

    def remove_tags(self, names: Iterable[str]) -> None:
        """Remove tags."""
        keys = {mapping.tag_key(name) for name in names}
        if not keys:
            return
        with errors(self.folder):
            for tag in list(self._run.tags):
                if tag.partition("=")[0] in keys:
                    self._run.remove_tag(tag)
            for key in keys:
                if self._run.get(("tags", key)) is not None:
                    del self._run["tags", key]

    def set_facts(self, facts: Mapping[str, Any]) -> None:
        """Store the run's group, parent and kind of work, which Aim's search finds as ``run.group``."""
        with errors(self.folder):
            for key, value in facts.items():
                self._run[key] = mapping.text(str(value))

    def add_artifact(self, key: str, file: Path) -> None:
        """List a file by reference."""
        with errors(self.folder):
            artifact = import_aim("aim.sdk.objects.artifact").Artifact(
                str(file), uri=file.parent.as_uri(), name=mapping.text(key)
            )
            artifact.storage["uri"] = file.absolute().as_uri()
            self._run.meta_run_tree.subtree("artifacts")[mapping.text(key)] = artifact

    def set_name(self, name: str) -> None:
        """Rename the run."""
        if self._run.name != mapping.text(name):
            self._run.name = mapping.text(name)

    def set_notes(self, notes: str) -> None:
        """Describe the run."""
        self._run.description = mapping.text(notes)

    def set_experiment(self, experiment: str) -> None:
        """Move the run to another experiment."""
        self._run.experiment = mapping.text(experiment)


class Preparation:
    """Imports Aim and creates the repository if there is none, on a thread of its own: both take seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done = threading.Event()
        self._error: BaseException | None = None
        threading.Thread(target=self._prepare, name="tracelet-aim", daemon=True).start()

    def wait(self, within: float) -> None:
        """Wait until the repository is there. Raises ``TimeoutError`` if it is not ready yet, so that it is retried."""
        if not self._done.wait(within):
            raise TimeoutError(f"plugin 'aim': the repository in {self.folder} is not ready yet")
        if self._error is not None:
            raise self._error

    def _prepare(self) -> None:
        try:
            with errors(self.folder):
                import_aim("aim.sdk.run")
                if is_missing(self.folder):
                    create_repository(self.folder)
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()


def is_missing(folder: Path) -> bool:
    """Say whether there is no repository. Raises ``ValueError`` for one of a version before Aim 3."""
    module = import_aim("aim.sdk.repo")
    status = module.Repo.check_repo_status(str(folder))
    if status == module.RepoStatus.UPDATE_REQUIRED:
        raise ValueError(f"{folder}: expected a repository of Aim 3, found an older or an incomplete one")
    return bool(status == module.RepoStatus.MISSING)


def create_repository(folder: Path) -> None:
    """Create a repository, whole or not at all: a kill in between would leave one that Aim takes for an old one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".aim-new-") as new:
        repo = import_aim("aim.sdk.repo").Repo(new, init=True)
        repo._resources.close()
        del repo
        try:
            os.rename(Path(new, ".aim"), folder / ".aim")
        except OSError:
            if is_missing(folder):  # that is: nobody else has created it meanwhile
                raise


@contextmanager
def errors(folder: Path) -> Iterator[None]:
    """Report a database that is locked or full as an outage."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.startswith(("aimrocks", "sqlalchemy", "sqlite3", "filelock")):
            raise OSError(
                f"plugin 'aim': cannot write to {folder}: {type(error).__name__}: {error}"
            ) from error
        raise
