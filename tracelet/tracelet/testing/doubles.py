"""For unit tests of a plugin's own code: points with ids, a run double, and a plugin driven on the calling thread."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tracelet.testing.plugins import find_plugin
from tracelet_hookspecs import MetricData, MetricType

_EPOCH = 1_700_000_000.0


def make_points(
    points: Iterable[Any], *, writer: str = "writer-1", first: int = 0, start: float = _EPOCH
) -> list[MetricData]:
    """Return points as a backend gets them: with ids that count up, and times a millisecond apart.

    ``points`` holds ``(name, value)`` or ``(name, value, step)``.
    """
    made = []
    for at, (name, value, *step) in enumerate(points, first):
        iteration = step[0] if step else None
        when = start + at / 1000
        made.append(MetricData(name, value, MetricType.SCALAR, iteration, when, id=(writer, at, 0)))
    return made


class RunDouble:
    """A run that keeps what a plugin records into it, in place of a journal."""

    def __init__(
        self, dir: Path | str = ".", *, id: str = "run-1", name: str = "a run", project: str = "test"
    ) -> None:
        self.id, self.name, self.project = id, name, project
        self.dir = Path(dir)
        self.started_at = time.time()
        self.metrics: list[tuple[str, Any, int | None]] = []
        self.params: dict[str, Any] = {}
        self.tags: dict[str, Any] = {}
        self.artifacts: list[tuple[str, str | None]] = []

    def log_metric(
        self, name: str, value: Any, iteration: int | None = None, *, step: int | None = None
    ) -> None:
        """Keep one number."""
        self.metrics.append((name, value, iteration if step is None else step))

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Keep many numbers."""
        for name, value in metrics.items():
            self.log_metric(name, value, step)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep parameters."""
        self.params.update(params)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Keep tags."""
        self.tags.update(tags)

    def log_artifact(self, local_path: Any, artifact_path: str | None = None) -> None:
        """Keep the path of a file or folder."""
        self.artifacts.append((str(local_path), artifact_path))


class Driven:
    """A plugin whose hooks are called on the calling thread, so that a debugger and a traceback show it all."""

    def __init__(self, plugin: Any, config: Mapping[str, Any]) -> None:
        from tracelet.config.validation import validate
        from tracelet.host.plugins import PluginManager
        from tracelet.host.plugins.calling import PluginCaller
        from tracelet.host.plugins.registry import Registry

        info = PluginManager(use_default_paths=False).register_plugin(plugin)
        if info.instance is None:
            raise RuntimeError(info.error)
        self.name = info.name
        #: The plugin's object.
        self.plugin = plugin() if isinstance(plugin, type) else plugin
        #: Its configuration, validated, with defaults filled in.
        self.config = validate(info.metadata.config_schema, dict(config), path=f"plugins.{info.name}")
        self._info = info
        self._registry = Registry()
        self._registry.register(self.plugin, self.name)
        self._caller = PluginCaller
        if hasattr(type(self.plugin), "config"):
            self.plugin.config = self.config

    def call(self, hook: str, **given: Any) -> Any:
        """Call a hook with all arguments that the host would offer, those that it does not name left out."""
        known = self._registry.caller(hook).spec
        names = known.argnames if known is not None else ()
        filled = {name: given.get(name, self._info if name == "plugin" else None) for name in names}
        if self.name not in self._registry.participants(hook).implementors:
            return None
        return self._caller(self._registry, self.name, hook, _raise)(**{**filled, **given})


def _raise(plugin: str, hook: str, error: BaseException) -> None:
    raise error


@contextmanager
def drive(plugin: Any, config: Mapping[str, Any] | None = None) -> Iterator[Driven]:
    """Initialize and start a plugin on the calling thread, and stop it at the end.

    In the block, ``driven.call("log_metrics", points=make_points([("loss", 0.5, 0)]))`` calls a hook.
    """
    driven = Driven(find_plugin(plugin), config or {})
    driven.call("initialize", config=driven.config)
    driven.call("start")
    try:
        yield driven
    finally:
        driven.call("stop")
