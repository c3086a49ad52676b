"""What the tests of these frameworks share: digits, a run in this process, and what was recorded in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import tracelet

# Threads that wait for each other take longer than the tiny trainings here, on a busy machine many times.
os.environ.setdefault("OMP_NUM_THREADS", "1")

QUIET = ["no:system", "no:environment", "no:gpu"]


class Digits(NamedTuple):
    """Images of digits in two parts, and whether each is a large one."""

    x: Any
    y: Any
    x_test: Any
    y_test: Any


@pytest.fixture(scope="session")
def digits() -> Digits:
    """Return the digits as a task with two classes."""
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    large = (y > 4).astype(int)
    return Digits(x[:400], large[:400], x[400:600], large[400:600])


class Recorded:
    """A run and what was recorded in it, as a reader sees it."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.params: dict[str, Any] = record.params
        self.tags: dict[str, Any] = record.tags
        self.outcome: str = record.outcome

    @property
    def names(self) -> set[str]:
        """The names of the metrics."""
        return set(self.record.metrics())

    def steps(self, name: str) -> list[int]:
        """Return the steps of a metric."""
        return list(map(int, self.record.metric(name).iterations))

    def values(self, name: str) -> list[float]:
        """Return the values of a metric."""
        return list(map(float, self.record.metric(name).values))

    @property
    def artifacts(self) -> list[str]:
        """The paths of the artifacts, media left out."""
        return [one["path"] for one in self.record.artifacts if not one["media"]]


class Store:
    """A store of the test's own."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder

    def start(self, name: str = "run", **options: Any) -> Any:
        """Start a run without collectors."""
        return tracelet.start_run(name, dir=self.folder, plugins=QUIET, **options)

    def read(self, run: Any) -> Recorded:
        """Return what was recorded in a run so far."""
        return Recorded(tracelet.open_store(self.folder).run(getattr(run, "id", run)))

    def all(self) -> list[Recorded]:
        """Return all runs, the oldest first."""
        runs = sorted(tracelet.open_store(self.folder).runs(), key=lambda each: each.started_at)
        return [Recorded(each) for each in runs]


@pytest.fixture
def store(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Return a store, which is also what a run that an object starts goes to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACELET_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRACELET_QUIET", "1")
    yield Store(tmp_path / "data")
    while tracelet.active_run() is not None:
        tracelet.end_run()


@pytest.fixture
def recorded(store: Store) -> Callable[[Callable[[], Any]], Recorded]:
    """Return a function that calls another one inside a run, and returns what was recorded."""

    def record(train: Callable[[], Any]) -> Recorded:
        with store.start() as run:
            train()
        return store.read(run)

    return record


@pytest.fixture
def record_with(store: Store) -> Callable[..., Callable[..., Recorded]]:
    """Return a function that takes names of plugins, and returns one that records what another one trains."""

    def choose(*plugins: str) -> Callable[..., Recorded]:
        def record(train: Callable[[], Any], strict: Any = "all") -> Recorded:
            names = [*plugins, "no:system", "no:environment"]
            with tracelet.start_run("run", plugins=names, strict=strict) as run:
                train()
            return store.read(run)

        return record

    return choose
