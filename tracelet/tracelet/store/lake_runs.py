"""The runs of a lake, as a store reads them: in place of a folder with journals."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final

from tracelet.errors import StoreError, UsageError
from tracelet.journal import Columns, Damage, EventRecord
from tracelet.lake.cache import DEFAULT_LIMIT
from tracelet.lake.documents import Document
from tracelet.lake.lake import Lake, LakeRun, RunEntry
from tracelet.layout import RUNS_FOLDER
from tracelet.safe_files import split_path
from tracelet.store.accumulator import MetricAccumulator, Summary, summarize
from tracelet.store.details import Details, build_details, describe_problem
from tracelet.store.history import History
from tracelet.store.index.index_folder import make_private_folder, private_folders
from tracelet.store.lake_tail import LakeTail
from tracelet.store.metric_keys import metric_keys
from tracelet.store.outcome import KILLED, RUNNING, LastSeen
from tracelet.store.point_columns import Points
from tracelet.store.tail import Tail

LIMIT: Final = "TRACELET_LAKE_CACHE"  # the variable with the size of the cache
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", re.IGNORECASE)
_UNITS: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "FSSPEC_S3_ENDPOINT_URL",
    "STORAGE_EMULATOR_HOST",
)


class LakeLocation:
    """Where a store finds the runs of a lake: the same questions as of a folder, answered by a lake.

    ``data`` is a private folder on this machine for what was copied here, the index included.
    """

    has_journals = False
    only: str | None = None
    patience = 5.0  # each look is a request per 1000 runs

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.data = _cache_folder(url, options or {})
        self.runs = self.data / RUNS_FOLDER
        self.lake = Lake(url, self.data, options, _cache_limit(os.environ))
        self.entries: dict[str, RunEntry] = {}

    @property
    def shown(self) -> str:
        """The URL, for people."""
        return self.lake.shown

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, sorted, from a new list of the lake."""
        self.entries = self.lake.entries()
        return sorted(self.entries)

    def has_runs(self) -> bool:
        """Return whether there may be runs: to find out would take as long as listing them."""
        return True

    def has(self, run_id: str) -> bool:
        """Return whether there is a run of this id."""
        return run_id in self.entries or run_id in self.run_ids()

    def source(self, run_id: str) -> LakeSource:
        """Return where a run's data comes from."""
        if not self.has(run_id):
            raise StoreError(f"store: no run {run_id!r} in {self.shown}", run=run_id)
        return LakeSource(self, self.lake.run(self.entries[run_id]), self.runs / run_id)

    def check_writable(self, what: str) -> None:
        """Raise: the files of a lake do not change."""
        raise UsageError(
            f"{what}: expected a data folder, found the lake {self.shown}, which can only be read; {what} the run in"
            " the folder that it was recorded in"
        )


class LakeSource:
    """Where the data of one run of a lake comes from."""

    is_selective = True

    def __init__(self, location: LakeLocation, run: LakeRun, run_dir: Path) -> None:
        self.dir = run_dir
        self._location = location
        self._run = run

    @property
    def location(self) -> str:
        """The URL of the run's folder."""
        return self._run.location

    def renew(self) -> LakeSource:
        """Return the run as it is now."""
        return self._location.source(self.dir.name)

    def check_journal(self, what: str) -> None:
        """Raise: a lake has files in place of journals."""
        raise UsageError(
            f"{what}: expected a run in a data folder, found {self.location}; use the folder that it was recorded in"
        )

    def read(
        self, last_time: Callable[[str], float], history: History | None = None
    ) -> tuple[Details, History | None]:
        """Return what the run's document says. The history takes more files, so it is read when it is needed."""
        return details_of(self.dir, self._run.document), history

    def history(self) -> History:
        """Return what all events of the run add up to."""
        return history_of(self.events(), brief=False)

    def events(self) -> dict[str, list[EventRecord]]:
        """Return the events of each process."""
        return self._run.events()

    def columns(self, names: Iterable[str] | None, damage: Damage) -> dict[str, Columns]:
        """Return points from the files."""
        return self._run.columns(None if names is None else list(names))

    def summaries(self) -> dict[str, Summary] | None:
        """Return the statistics of each metric: the document's, and those of points that it does not know yet."""
        return self._summaries

    @cached_property
    def _summaries(self) -> dict[str, Summary]:
        metrics = accumulators_of(self._run.document)
        attempts = self._attempts
        for new in self._run.points_behind_document():
            by_writer = metrics.setdefault(new.name, {}).setdefault(new.source, {})
            known = by_writer.get(new.writer)
            if known is None:
                attempt = attempts.get(new.writer, 0)
                known = by_writer[new.writer] = MetricAccumulator(new.type, new.source, attempt)
            known.add(Points(new.steps, new.values, new.times))
        found: dict[str, Summary] = {}
        for name, by_source in sorted(metrics.items()):
            for source, key in metric_keys(name, by_source).items():
                found[key] = summarize(by_source[source][writer] for writer in sorted(by_source[source]))
        return dict(sorted(found.items()))

    @cached_property
    def _attempts(self) -> dict[str, int]:
        history = history_of({writer: one.events for writer, one in self._run.document.writers.items()})
        return {process.id: process.attempt for process in history.processes.values()}

    def state(self) -> Any:
        """Return the version of the run's document."""
        return self._run.version()

    def tail(self) -> Tail:
        """Follow the files of the run."""
        return LakeTail(lambda: self.renew()._run)

    def open(self, path: str, sha256: str | None) -> BinaryIO:
        """Open a file of an artifact; it is streamed from the lake."""
        if sha256 is None:
            raise FileNotFoundError(f"{path}: its SHA-256 was not recorded, so the lake does not have it")
        return self._run.open_content(sha256)

    def fetch(self, path: str, sha256: str | None) -> None:
        """Copy a file of an artifact to this machine, unless it is here."""
        target = self.dir.joinpath(*split_path(self.dir, path))
        if target.exists():
            return
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, part = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        try:
            with os.fdopen(fd, "wb") as file, self.open(path, sha256) as stream:
                shutil.copyfileobj(stream, file)
            os.replace(part, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise


# --- documents in the store's terms ----------------------------------------------------------------------


def history_of(events: Mapping[str, Iterable[EventRecord]], *, brief: bool = True) -> History:
    """Return what events add up to."""
    history = History(brief=brief)
    for writer, several in events.items():
        for event in several:
            history.add_event(writer, event)
    return history


def accumulators_of(document: Document) -> dict[str, dict[str | None, dict[str, MetricAccumulator]]]:
    """Return the statistics of a document by recorded name, source and process."""
    found: dict[str, dict[str | None, dict[str, MetricAccumulator]]] = {}
    for writer, one in document.writers.items():
        for name, accumulator in one.metrics:
            by_writer = found.setdefault(name, {}).setdefault(accumulator.source, {})
            known = by_writer.get(writer)
            by_writer[writer] = accumulator if known is None else known.joined(accumulator)
    return found


def last_seen_of(document: Document) -> dict[str, LastSeen]:
    """Return the last sign of life of each process. One that was silent for long counts as killed.

    A heartbeat is a sign of life of the whole run: other processes say something only when they record.
    """
    last_times: dict[str, float] = {}
    for writer, one in document.writers.items():
        last_times[writer] = max((each.last_time for _, each in one.metrics), default=0.0)
    now = time.time()
    found: dict[str, LastSeen] = {}
    for writer, one in document.writers.items():
        seen, state = one.seen_at, one.state
        latest = max(seen, last_times[writer])
        if state == RUNNING:
            latest = max(latest, document.alive_at)
            state = KILLED if now - latest > document.alive_for else RUNNING
        found[writer] = LastSeen(state, latest if state == KILLED else seen)
    return found


def details_of(run_dir: Path, document: Document) -> Details:
    """Return the details that a document says."""
    if document.problem is not None:
        return describe_problem(run_dir, document.problem)
    history = history_of({writer: one.events for writer, one in document.writers.items()})
    return build_details(run_dir, history, last_seen_of(document))


# --- folders on this machine -----------------------------------------------------------------------------


def _cache_folder(url: str, options: Mapping[str, Any]) -> Path:
    """Return a private folder for a lake. Another endpoint or other credentials are another lake."""
    about = [url.rstrip("/"), sorted((str(key), repr(value)) for key, value in options.items())]
    about += [os.environ.get(name, "") for name in _ENDPOINTS]
    name = hashlib.sha256(repr(about).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    for folder in private_folders(os.environ):
        data = folder / "lake" / name
        if make_private_folder(data) and make_private_folder(data / RUNS_FOLDER):
            return data
    return Path(tempfile.mkdtemp(prefix="tracelet-lake-"))


def _cache_limit(environ: Mapping[str, str]) -> int:
    text = environ.get(LIMIT, "").strip()
    if not text:
        return DEFAULT_LIMIT
    found = _SIZE.fullmatch(text)
    if found is None:
        raise UsageError(f"{LIMIT}: expected a size such as 20GB, found {text!r}")
    return int(float(found[1]) * (1 << _UNITS[found[2].lower()]))
