"""The hooks. An implementation takes only the arguments it names, in any order.

Common to all of them: every implementation of one plugin runs on that plugin's own thread, one call at a
time, within a deadline; an exception (``SystemExit`` included) is counted against that plugin alone and
never keeps the others from being called; ``tryfirst``, ``trylast`` and ``wrapper=True`` order and wrap
them as in pluggy. A wrapper runs on the thread of the plugin whose call it wraps, once per call; the
lifecycle hooks offer it ``plugin``, the one whose call it is. Its ``yield`` gives what pluggy's does: a list,
here of that one plugin's answer, or an empty one for ``None``. A wrapper that fails is blamed itself and
the call that it wrapped goes on without it. Methods of a ``PluginBase`` need no decorator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracelet_hookspecs._markers import hookspec

if TYPE_CHECKING:
    import pluggy

    from tracelet_hookspecs._records import MetricData, PluginInfo, PluginState, RunView


@hookspec
def initialize(config: Any, plugin: PluginInfo | None = None) -> None:
    """Take the plugin's own configuration.

    When: once before each start. Thread: the plugin's own. Order: dependencies first. ``config`` is
    validated, with defaults filled in: a mapping, or an instance of the attrs class that the metadata's
    ``config_schema`` names. Return: nothing. Exception: the plugin's state becomes ERROR and neither it nor
    its dependents start. Deadline: 30 s, ``deadlines.initialize``.

    .. code-block:: python

        @tracelet.hookimpl
        def initialize(config):
            global url
            url = config["url"]
    """


@hookspec
def start(plugin: PluginInfo | None = None) -> None:
    """Begin work.

    When: once, after ``initialize``. Thread: the plugin's own. Order: dependencies first. Return: nothing.
    Exception: the state becomes ERROR, dependents do not start. Deadline: 30 s, ``deadlines.start``.

    .. code-block:: python

        @tracelet.hookimpl
        def start():
            connection.open()
    """


@hookspec
def stop(plugin: PluginInfo | None = None) -> None:
    """End work and let go of every resource.

    When: once, when the run ends or the host closes. Thread: the plugin's own. Order: the reverse of
    starting; every plugin is tried, whatever the others do. Return: nothing. Exception: the state becomes
    ERROR, the others are stopped all the same. Deadline: 10 s, ``deadlines.stop``.

    .. code-block:: python

        @tracelet.hookimpl
        def stop():
            connection.close()
    """


@hookspec
def get_status() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Say what a person would want to know of the plugin now.

    When: on request (``manager.get_status()``, ``run.status()``, ``tracelet plugins``). Thread: the plugin's
    own, so it waits for the call in progress. Order: none is promised. Return: a mapping that JSON can hold.
    Exception: shown as ``status_error``; nothing else changes. Deadline: 2 s, ``deadlines.get_status``.

    .. code-block:: python

        @tracelet.hookimpl
        def get_status():
            return {"sent": sent}
    """


@hookspec
def log_metric(
    name: str,
    value: Any,
    iteration: int | None,
    timestamp: float | None = None,
    run: RunView | None = None,
) -> None:
    """Take one point.

    When: for every point that the routes send to this backend, unless it implements ``log_metrics``. Thread:
    the plugin's own, never the training program's. Order: as recorded, per writer. ``timestamp`` is seconds
    since the epoch. Return: nothing. Exception: the point's batch is tried again; it may then arrive twice.
    Deadline: 30 s for a batch of calls, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_metric(name, value, iteration):
            print(iteration, name, value)
    """


@hookspec
def log_metrics(points: Sequence[MetricData], run: RunView | None = None) -> None:
    """Take a batch of points, in place of ``log_metric``.

    When: whenever there are points for this backend. Thread: the plugin's own. Order: as recorded, per
    writer. ``points`` holds :class:`MetricData`, each with an ``id`` by which a repeat can be told. Return:
    nothing; returning means that the batch is taken. Exception: the whole batch is tried again. Deadline: 30
    s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_metrics(points):
            database.insert([(p.iteration, p.name, p.value) for p in points])
    """


@hookspec
def log_params(params: Mapping[str, Any], run: RunView | None = None) -> None:
    """Take parameters of the run.

    When: after each ``run.log_params``, in order with the points. Thread: the plugin's own. Order: as
    recorded, per writer. Return: nothing. Exception: tried again. Deadline: 30 s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_params(params):
            print(params)
    """


@hookspec
def log_artifact(local_path: str, artifact_path: str | None, run: RunView | None = None) -> None:
    """Take a file or folder that the run has recorded.

    When: after each ``run.log_artifact``, and for each media file. Thread: the plugin's own. Order: as
    recorded, per writer. ``local_path`` is the copy under the run's folder, ``artifact_path`` where it
    belongs among the run's artifacts. Return: nothing. Exception: tried again. Deadline: 30 s,
    ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_artifact(local_path, artifact_path):
            upload(local_path, artifact_path)
    """


@hookspec
def set_tags(tags: Mapping[str, Any], run: RunView | None = None) -> None:
    """Take tags of the run.

    When: after each ``run.set_tags``, in order with the points. Thread: the plugin's own. Order: as recorded,
    per writer. Return: nothing. Exception: tried again. Deadline: 30 s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def set_tags(tags):
            print(tags)
    """


@hookspec
def collect() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Measure.

    When: at the run's start, at the collector's interval, and once at the end. Thread: the plugin's own.
    Order: none is promised between collectors. Return: a mapping; nested mappings and lists are flattened
    with ``/``; numbers become metrics of type SYSTEM, strings are kept as facts of the run. Exception: this
    measurement is skipped. An overrun skips ticks. Deadline: 30 s, ``deadlines.collect``.

    .. code-block:: python

        @tracelet.hookimpl
        def collect():
            return {"load": os.getloadavg()[0]}
    """


@hookspec
def process_metric(metric: MetricData) -> MetricData | Iterable[MetricData] | None:
    """Change, drop or derive a metric on its way to the backends.

    When: per point and backend, between the journal and the routes; what the run has recorded is not touched.
    Thread: the plugin's own. Order: as pluggy orders implementations; each gets what the one before returned.
    Return: a metric, several, or ``None`` to drop it. Exception: the metric goes on unchanged, and the error
    is counted. Deadline: 30 s for a batch, ``deadlines.process``.

    .. code-block:: python

        @tracelet.hookimpl
        def process_metric(metric):
            return None if metric.name.startswith("debug/") else metric
    """


@hookspec
def run_started(run: RunView) -> None:
    """Hear that a run has begun.

    When: once per run, after every plugin was started. Thread: the plugin's own. Order: as pluggy orders
    implementations, though plugins do not wait for each other. Return: nothing. Exception: counted. Deadline:
    10 s, ``deadlines.run_started``.

    .. code-block:: python

        @tracelet.hookimpl
        def run_started(run):
            run.set_tags({"team": "vision"})
    """


@hookspec
def run_ended(run: RunView, outcome: str) -> None:
    """Hear that a run has ended.

    When: once per run, after its last point was recorded and before ``stop``. Thread: the plugin's own.
    Order: as for ``run_started``. ``outcome`` is ``"finished"``, ``"failed"`` or what the program gave
    ``finish``. Return: nothing. Exception: counted. Deadline: 10 s, ``deadlines.run_ended``.

    .. code-block:: python

        @tracelet.hookimpl
        def run_ended(run, outcome):
            notify(f"{run.name}: {outcome}")
    """


@hookspec
def plugin_state_changed(plugin: PluginInfo, old: PluginState, new: PluginState) -> None:
    """Hear that a plugin's state has changed.

    When: after each change of any plugin's state, this one's own included. Thread: the listener's own; nobody
    waits for it. Order: as the changes happened. Return: nothing. Exception: counted. Deadline: 10 s,
    ``deadlines.plugin_state_changed``.

    .. code-block:: python

        @tracelet.hookimpl
        def plugin_state_changed(plugin, old, new):
            print(plugin.name, old.name, new.name)
    """


@hookspec
def report_header(config: Mapping[str, Any]) -> str | Sequence[str] | None:
    """Give lines for the header of ``tracelet run``.

    When: after the plugins have started, before the program runs. Thread: the plugin's own. Order: as pluggy
    orders implementations. ``config`` is the whole configuration with secrets masked. Return: a line,
    several, or ``None``. Exception: counted. Deadline: 5 s, ``deadlines.report``.

    .. code-block:: python

        @tracelet.hookimpl
        def report_header():
            return f"cluster: {cluster}"
    """


@hookspec
def report_summary(run: RunView) -> str | Sequence[str] | None:
    """Give lines for the summary of ``tracelet run``.

    When: after ``run_ended``, before ``stop``. Thread: the plugin's own. Order: as pluggy orders
    implementations. Return: a line, several, or ``None``. Exception: counted. Deadline: 5 s,
    ``deadlines.report``.

    .. code-block:: python

        @tracelet.hookimpl
        def report_summary(run):
            return f"dashboard: https://example.org/{run.id}"
    """


@hookspec
def addhooks(pluginmanager: pluggy.PluginManager) -> None:
    """Bring hookspecs of one's own.

    When: as the plugin is registered, before its implementations are checked. Thread: the plugin's own.
    Order: that of registration. Return: nothing. Exception: the plugin's state becomes ERROR. Deadline: 10 s,
    ``deadlines.addhooks``.

    .. code-block:: python

        @tracelet.hookimpl
        def addhooks(pluginmanager):
            pluginmanager.add_hookspecs(my_hookspecs)
    """
