"""The processors: plugins that change, drop or derive metrics on their way to a backend."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tracelet.config.validation import validate
from tracelet.errors import PluginError
from tracelet.host import discovery
from tracelet.host.plugins.registry import Registry
from tracelet.host.worker import Busy
from tracelet.journal import as_number
from tracelet.journal.format import MAX_STEP, MIN_STEP
from tracelet.logs import get_logger
from tracelet_hookspecs import MetricData, MetricType, PluginState

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginHandle, PluginManager

log = get_logger("tracelet.delivery")

HOOK: Final = "process_metric"
_TURNS: Final = 3  # deadlines that a processor may spend on other backends' batches

Process = Callable[..., Any]


class ProcessorObjects:
    """The objects that process metrics. For each processor, each backend has its own object, with its own state.

    The first backend gets the object that the host started. For each further one, the plugin's class is
    instantiated, initialized and started again, on the plugin's thread. Objects that were registered by hand, and
    modules, are shared.
    """

    def __init__(self, manager: PluginManager) -> None:
        self.manager = manager
        self._first: dict[str, tuple[Any, str]] = {}  # by processor: the host's object, and who uses it
        self._copies: dict[tuple[str, str], _Copy] = {}  # by processor and backend

    def function(self, handle: PluginHandle, backend: str) -> Process:
        """Return the hook's caller for one backend. To be called on the processor's thread."""
        plugin, user = self._first.get(handle.name, (None, ""))
        if plugin is not handle.plugin:  # new, or started again
            self._first[handle.name] = (handle.plugin, backend)
            self._copies = {key: copy for key, copy in self._copies.items() if key[0] != handle.name}
            user = backend
        if user == backend or not discovery.is_class(handle.info.instance):
            return handle.caller(HOOK)
        copy = self._copies.get((handle.name, backend))
        if copy is None:
            copy = self._copies[handle.name, backend] = _Copy(handle, self.manager.pluggy)
        return copy.function(self.manager.pluggy)

    def stop(self) -> None:
        """Stop the additional objects, each on its plugin's thread. Returns at once."""
        copies, self._copies = self._copies, {}
        for (name, _), copy in copies.items():
            handle = self.manager.handle(name)
            if handle.worker.usable:
                handle.worker.post(copy.stop, step="stop", deadline=handle.deadline("stop"))


class _Copy:
    """An additional object of a processor's class, registered apart from the others."""

    def __init__(self, handle: PluginHandle, registry: Registry) -> None:
        self._handle = handle
        self._plugin = handle.info.instance()
        schema = handle.info.metadata.config_schema
        config = validate(schema, handle.config or {}, path=f"plugins.{handle.name}")
        for attribute in ("_config", "config"):
            try:
                setattr(self._plugin, attribute, config)
            except Exception as error:  # it has slots, or a property: initialize() passes the configuration
                log.debug("plugin %r takes no attribute %r: %r", handle.name, attribute, error)
        self._rebuild(registry)
        self._call("initialize", config=config, plugin=handle.info)
        self._call("start", plugin=handle.info)

    def _rebuild(self, registry: Registry) -> None:
        """Register the object, and the plugins whose wrappers are around the hook."""
        self._epoch = registry.epoch
        self._registry = Registry()
        self._registry.register(self._plugin, self._handle.name)
        for name in registry.participants(HOOK).wrappers:
            if (wrapping := registry.get_plugin(name)) is not None:
                self._registry.register(wrapping, name)
        self._function: Process = self._handle.caller_in(self._registry, HOOK)

    def _call(self, hook: str, **arguments: Any) -> None:
        if self._handle.name in self._registry.participants(hook).implementors:
            self._handle.caller_in(self._registry, hook)(**arguments)

    def function(self, registry: Registry) -> Process:
        if self._epoch != registry.epoch:
            self._rebuild(registry)
        return self._function

    def stop(self) -> None:
        self._call("stop", plugin=self._handle.info)


class BackendProcessors:
    """The chain of active processors in front of one backend, in pluggy's order, each on its own thread."""

    def __init__(self, objects: ProcessorObjects, backend: str) -> None:
        self._objects = objects
        self._manager = objects.manager
        self._backend = backend

    def present(self) -> bool:
        """Say whether there are any."""
        return bool(names_of_processors(self._manager))

    def run(self, metrics: list[MetricData]) -> list[list[MetricData]]:
        """Return the result of the chain for each metric: the metric itself, several others, or nothing. If a
        processor fails for a metric, the metric continues unchanged, and the error counts against that processor.
        """
        groups = [[metric] for metric in metrics]
        for name in names_of_processors(self._manager):
            groups = self._apply(name, groups)
        return groups

    def _apply(self, name: str, groups: list[list[MetricData]]) -> list[list[MetricData]]:
        handle = self._manager.handle(name)
        for _ in range(_TURNS):
            try:
                return self._on_its_thread(handle, groups)
            except Busy as busy:
                log.debug("%s", busy)
            except PluginError as error:  # it hangs, or has no object for this backend: skip it
                self._manager.fail(name, HOOK, error)
                return groups
        log.warning("plugin %r: busy for too long; metrics skip it", name)
        return groups

    def _on_its_thread(self, handle: PluginHandle, groups: list[list[MetricData]]) -> list[list[MetricData]]:
        cost = handle.cost(HOOK)

        def work() -> list[list[MetricData]]:
            process = self._objects.function(handle, self._backend)
            cost.calls += sum(map(len, groups)) - 1
            return [[made for metric in group for made in one(process, metric)] for group in groups]

        def one(process: Process, metric: MetricData) -> list[MetricData]:
            untouched = copy_of(metric)
            try:
                return check_answer(process(metric=metric, backend=self._backend))
            except BaseException as error:  # also SystemExit, CancelledError: it is the plugin's own thread
                cost.errors += 1
                if cost.errors == 1:
                    what = f"plugin {handle.info.name!r}: {HOOK} failed: {discovery.describe(error)}"
                    log.warning("%s; the metric stays unchanged, and further failures are only counted", what)
                return [untouched]

        made: list[list[MetricData]] = handle.submit(work, step=HOOK)
        return made


def names_of_processors(manager: PluginManager) -> list[str]:
    """Return the active processors in the order in which pluggy calls them: the last implementation first."""
    plugins = manager.plugins
    names = reversed(list(manager.pluggy.participants(HOOK).implementors))
    return [name for name in names if name in plugins and plugins[name].state is PluginState.ACTIVE]


def copy_of(metric: MetricData) -> MetricData:
    """Return a copy of a metric."""
    return MetricData(
        *(metric.name, metric.value, metric.type, metric.iteration),
        *(metric.timestamp, metric.source, metric.metadata, metric.id),
    )


def check_answer(answer: Any) -> list[MetricData]:
    """Return a processor's result as a list of metrics with fields of the right types.

    Raises ``TypeError`` or ``ValueError`` for anything else.
    """
    if answer is None:
        return []
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()  # so that Python does not warn that nobody awaited it
        raise TypeError("expected MetricData, several or None, found a coroutine, which is never awaited")
    if isinstance(answer, MetricData):
        return [_check(answer)]
    return [_check(one) for one in (answer if isinstance(answer, Iterable) else [answer])]


def _check(metric: Any) -> MetricData:
    """Return a metric of which each field has a type that a backend may rely on."""
    if not isinstance(metric, MetricData):
        raise TypeError(f"expected MetricData, several or None, found {type(metric).__name__}")
    name, step, when = metric.name, metric.iteration, metric.timestamp
    if not isinstance(name, str) or not name:
        raise _wrong("name", "a text that is not empty", name)
    if not isinstance(metric.source, str | None):
        raise _wrong("source", "a text or None", metric.source)
    if not isinstance(metric.metadata, Mapping | None):
        raise _wrong("metadata", "a mapping or None", metric.metadata)
    if not isinstance(when, int | float | None) or isinstance(when, bool):
        raise _wrong("timestamp", "seconds since the epoch", when)
    try:
        kind = MetricType(metric.type)
    except ValueError:
        raise _wrong("type", "a MetricType", metric.type) from None
    value = metric.value if type(metric.value) in (int, float) else as_number(metric.value, name)
    step = None if step is None else operator.index(step)
    if step is not None and not MIN_STEP <= step <= MAX_STEP:
        raise ValueError(f"expected MetricData whose iteration fits 64 bits, found {step}")
    when = None if when is None else float(when)
    return MetricData(name, value, kind, step, when, metric.source, metric.metadata, metric.id)


def _wrong(field: str, expected: str, found: object) -> TypeError:
    return TypeError(f"expected MetricData whose {field} is {expected}, found {type(found).__name__}")
