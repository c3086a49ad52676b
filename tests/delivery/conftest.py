"""A stage for delivery: a run's journal, plugins on their own threads, feeds between them, all of them real."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tracelet.config import load_config
from tracelet.core.plugins import BackendPlugin, PluginManager, PluginMetadata, PluginType
from tracelet.delivery import Delivery, Settings
from tracelet.delivery.ledger.verify import verify
from tracelet.delivery.sync import RecordedRun
from tracelet.journal import Writer

#: As in production, only sooner.
QUICK = Settings(
    poll_shortest=0.005,
    poll_longest=0.02,
    retry_first=0.01,
    retry_longest=0.05,
    retry_longest_ending=0.02,
    save_every=0.0,
    save_rest=0.0,
    standby_poll=0.05,
)


class Backend(BackendPlugin):
    """Keeps what it is given. ``before`` is called with the hook's name and the batch, and may raise."""

    def __init__(self, name: str = "backend", before: Callable[[str, Any], None] | None = None) -> None:
        self.name = name
        self.before = before or (lambda hook, given: None)
        self.points: list[Any] = []
        self.params: dict[str, Any] = {}
        self.tags: dict[str, Any] = {}
        self.artifacts: list[tuple[str, str | None]] = []
        self.calls: list[str] = []
        self.runs: set[str] = set()

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(self.name, "1", PluginType.BACKEND)

    def initialize(self, config: Any) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...

    def get_status(self) -> dict[str, Any]:
        return {}

    def _take(self, hook: str, given: Any) -> None:
        self.before(hook, given)
        self.calls.append(hook)

    def log_metric(self, name: str, value: Any, iteration: int | None) -> None:
        raise AssertionError("log_metrics is preferred")

    def log_metrics(self, points: Any, run: Any) -> None:
        self._take("log_metrics", points)
        self.points += points
        self.runs.add(run.id)

    def log_params(self, params: Any) -> None:
        self._take("log_params", params)
        self.params.update(params)

    def set_tags(self, tags: Any) -> None:
        self._take("set_tags", tags)
        self.tags.update(tags)

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        self._take("log_artifact", local_path)
        self.artifacts.append((local_path, artifact_path))

    @property
    def values(self) -> list[float]:
        return [point.value for point in self.points]


class OneByOne(Backend):
    """Is given point by point."""

    log_metrics = None  # type: ignore[assignment]

    def log_metric(self, name: str, value: Any, iteration: int | None) -> None:
        self._take("log_metric", (name, value, iteration))
        self.points.append((name, value, iteration))

    @property
    def values(self) -> list[float]:
        return [value for _, value, _ in self.points]


class Stage:
    """One run, its plugins and its delivery."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_dir = path / "runs" / "run-1"
        self.writer = Writer(self.run_dir, {"run": {"id": "run-1", "name": "first", "project": "p"}})
        self.settings = QUICK
        self.manager = self._manager({})
        self.delivery = self._delivery()
        self._closing: list[Callable[[], Any]] = []

    def _manager(self, tables: dict[str, Any], **settings: Any) -> PluginManager:
        config = load_config(root=self.path, overrides={"plugins": tables, **settings}, environ={})
        return PluginManager(use_default_paths=False, config=config)

    def _delivery(self, **options: Any) -> Delivery:
        run = RecordedRun(self.run_dir)
        return Delivery(self.manager, run, self.run_dir, settings=self.settings, **options)

    def configure(self, tables: dict[str, Any] | None = None, **settings: Any) -> None:
        """Give plugins a configuration; to be called before any is added."""
        self.manager = self._manager(tables or {}, **settings)
        self.delivery = self._delivery()

    def again(self, *plugins: Any, **options: Any) -> None:
        """Start again on the same run, as another process would."""
        self.close()
        self.manager = self._manager({})
        self.delivery = self._delivery(**options)
        for plugin in plugins:
            self.add(plugin)

    def again_configured(self, tables: dict[str, Any]) -> None:
        """Start again on the same run, with a configuration."""
        self.close()
        self.configure(tables)

    def add(self, plugin: Any, *, deliver: bool = True) -> Any:
        """Register and start a plugin, and deliver to it."""
        name = self.manager.register_plugin(plugin).name
        assert self.manager.start_plugins([name]) == {name: True}, self.manager.plugins[name].error
        if deliver:
            self.delivery.add(name)
        return plugin

    def log(self, count: int, name: str = "loss", start: int = 0) -> list[float]:
        """Record numbers, and return them."""
        values = [float(at) for at in range(start, start + count)]
        for at, value in enumerate(values):
            self.writer.point(name, value, start + at)
        return values

    def flush(self, timeout: float = 40.0) -> None:
        assert self.delivery.flush(timeout), self.delivery.status()

    def status(self, name: str = "backend") -> dict[str, Any]:
        return self.delivery.status()[name]

    def wait_for(self, condition: Callable[[], Any], timeout: float = 40.0) -> Any:
        """Wait until something holds, and return what it is."""
        end = time.monotonic() + timeout
        while not (found := condition()):
            assert time.monotonic() < end, self.delivery.status()
            time.sleep(0.005)
        return found

    def verified(self) -> Any:
        """Reconcile; the accounts have to agree."""
        found = verify(self.run_dir)
        assert found.agrees, found
        return found

    def close(self) -> None:
        self.delivery.finish(0.1)
        self.manager.stop_all_plugins(1.0)


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[Callable[[], Stage]]:
    """Return what makes stages, each in a folder of its own."""
    made: list[Stage] = []

    def make() -> Stage:
        made.append(Stage(tmp_path / str(len(made))))
        return made[-1]

    yield make
    for stage in made:
        stage.close()
        stage.writer.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a stage with an open journal."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()
    stage.writer.close()


@pytest.fixture
def backend() -> type[Backend]:
    """Return the backend that keeps batches."""
    return Backend


@pytest.fixture
def one_by_one() -> type[OneByOne]:
    """Return the backend that keeps points given one by one."""
    return OneByOne
