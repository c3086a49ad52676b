"""The hooks. An implementation takes only the arguments it names, in any order.

All implementations of one plugin run on that plugin's own thread, one call at a time, each within a deadline.
An exception (``SystemExit`` included) counts against that plugin alone and never keeps other plugins from being
called. ``tryfirst``, ``trylast`` and ``wrapper=True`` order and wrap implementations as in pluggy. A wrapper runs
on the thread of the plugin whose call it wraps, once per call; lifecycle hooks pass it that plugin as ``plugin``.
As in pluggy, its ``yield`` returns a list, here with the result of that one plugin, or an empty list for ``None``.
If a wrapper fails, it is reported itself, and the call that it wrapped continues without it. Methods of a
``PluginBase`` need no decorator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracelet_hookspecs._markers import hookspec
from tracelet_hookspecs._versions import since

if TYPE_CHECKING:
    import pluggy

    from tracelet_hookspecs._columns import MetricColumns
    from tracelet_hookspecs._imports import ImportedRun
    from tracelet_hookspecs._records import MetricData, PluginInfo, PluginState, RecordId, RunView


@hookspec
def initialize(config: Any, plugin: PluginInfo | None = None) -> None:
    """Receive the plugin's configuration.

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
    """Start working.

    When: once, after ``initialize``. Thread: the plugin's own. Order: dependencies first. Return: nothing.
    Exception: the state becomes ERROR, dependents do not start. Deadline: 30 s, ``deadlines.start``.

    .. code-block:: python

        @tracelet.hookimpl
        def start():
            connection.open()
    """


@hookspec
def stop(plugin: PluginInfo | None = None) -> None:
    """Stop working and release all resources.

    When: once, when the run ends or the host closes. Thread: the plugin's own. Order: the reverse of
    starting; every plugin is stopped, even if others fail. Return: nothing. Exception: the state becomes
    ERROR, and the other plugins are still stopped. Deadline: 10 s, ``deadlines.stop``.

    .. code-block:: python

        @tracelet.hookimpl
        def stop():
            connection.close()
    """


@hookspec
def get_status() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Return the plugin's current status, for people.

    When: on request (``manager.get_status()``, ``run.status()``, ``tracelet plugins``). Thread: the plugin's
    own, so it waits for the call in progress. Order: unspecified. Return: a mapping that JSON can represent.
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
    id: RecordId | None = None,
) -> None:
    """Receive one point.

    When: for every point that the routes send to this backend, unless it implements ``log_metrics`` or
    ``log_columns``. Thread: the plugin's own, never the training program's. Order: as recorded, per writer.
    ``timestamp`` is in seconds since the epoch; ``id`` is the same each time the point is delivered. Return:
    nothing. Exception: the point is retried; it may then arrive twice. Deadline: 30 s for a batch of calls,
    ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_metric(name, value, iteration):
            print(iteration, name, value)
    """


@hookspec
def log_metrics(points: Sequence[MetricData], run: RunView | None = None) -> None:
    """Receive a batch of points, in place of ``log_metric``.

    When: whenever there are points for this backend, unless it implements ``log_columns``. Thread: the plugin's
    own. Order: as recorded, per writer. ``points`` is a list of :class:`MetricData`, made for this call: change it
    as you like. Each point has an ``id`` that identifies a repeat. Return: nothing; returning means that the
    backend has the batch. Exception: the whole batch is retried. Deadline: 30 s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_metrics(points):
            database.insert([(p.iteration, p.name, p.value) for p in points])
    """


@since("1.3")
@hookspec
def log_columns(columns: MetricColumns, run: RunView | None = None) -> None:
    """Receive a batch of points as columns, in place of ``log_metrics`` and ``log_metric``.

    When: whenever there are points for this backend. Thread: the plugin's own. Order: as recorded, per writer; all
    points of a call are of one writer. ``columns`` is a :class:`MetricColumns`: no object is made for a point, so that
    a far side that takes many points at once (a table, a file, an array) gets them several times faster. It is
    read-only, and ``columns.points()`` returns what ``log_metrics`` would get. Return: nothing; returning means that
    the backend has the batch. Exception: the whole batch is retried. Deadline: 30 s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_columns(columns):
            names = [columns.keys[at].name for at in columns.key_indices]
            database.insert_columns(name=names, step=columns.steps, value=columns.values)
    """


@hookspec
def log_params(params: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None) -> None:
    """Receive parameters of the run.

    When: after each ``run.log_params``, in order with the points. Thread: the plugin's own. Order: as recorded, per
    writer. ``id`` is the same each time the call is repeated. Return: nothing. Exception: retried. Deadline: 30 s,
    ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_params(params):
            print(params)
    """


@hookspec
def log_artifact(
    local_path: str,
    artifact_path: str | None,
    run: RunView | None = None,
    id: RecordId | None = None,
) -> None:
    """Receive a file or folder that the run has recorded.

    When: after each ``run.log_artifact``, and for each media file if the backend lacks ``log_media``. Thread:
    the plugin's own. Order: as recorded, per writer. ``local_path`` is the copy under the run's folder,
    ``artifact_path`` the folder among the run's artifacts that it belongs in. ``id`` is the same each time the
    call is repeated. Return: nothing. Exception: retried. Deadline: 30 s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_artifact(local_path, artifact_path):
            upload(local_path, artifact_path)
    """


@hookspec
def log_media(
    name: str,
    step: int | None,
    kind: str,
    path: str,
    metadata: Mapping[str, Any],
    run: RunView | None = None,
    id: RecordId | None = None,
) -> None:
    """Receive an image, a table, a histogram or another medium that the run has recorded.

    When: for each media file, in order with the points. A backend without this hook gets ``log_artifact``
    instead. Thread: the plugin's own. Order: as recorded, per writer. ``kind`` is ``"image"``, ``"histogram"``,
    ``"text"``, ``"figure"``, ``"audio"``, ``"video"``, ``"mesh"``, ``"embedding"``, ``"table"``, ``"html"``,
    ``"confusion_matrix"``, ``"pr_curve"``, ``"roc_curve"``, or another word; ``path`` is the absolute
    path of the file, under the run's folder; ``metadata`` has ``artifact_path``, the place of the file among the
    run's artifacts, and, if known, ``size`` (bytes), ``sha256`` and ``timestamp``. ``id`` is
    the same each time the call is repeated. Return: nothing. Exception: retried.
    Deadline: 30 s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_media(name, step, kind, path):
            if kind == "image":
                upload_image(name, step, path)
    """


@hookspec
def set_tags(tags: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None) -> None:
    """Receive tags of the run.

    When: after each ``run.set_tags``, in order with the points. Thread: the plugin's own. Order: as recorded,
    per writer. ``id`` is the same each time the call is repeated. Return: nothing. Exception: retried.
    Deadline: 30 s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def set_tags(tags):
            print(tags)
    """


@hookspec
def run_changed(run: RunView, changes: Mapping[str, Any], id: RecordId | None = None) -> None:
    """Receive a change of the run itself: a new name, project, note or group.

    When: after each change, in order with the points. A backend without ``set_tags`` also gets tags this way,
    as ``{"tags": {...}}``. Thread: the plugin's own. Order: as recorded, per writer. ``changes`` maps what has
    changed (``"name"``, ``"project"``, ``"notes"``, ``"group"``, ``"parent"``, ``"job_type"``, ``"archived"``) to its
    new value; ``"untag"`` lists the names of tags that were removed. ``id`` is the same each
    time the call is repeated. Return: nothing. Exception: retried. Deadline: 30 s, ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def run_changed(run, changes):
            if "name" in changes:
                rename(run.id, changes["name"])
    """


@since("1.2")
@hookspec
def log_event(
    type: str,
    payload: Mapping[str, Any],
    timestamp: float,
    run: RunView | None = None,
    id: RecordId | None = None,
) -> None:
    """Receive an event as the journal has it, in place of other event hooks.

    When: for everything that a run records besides points, in order with the points: also what no other hook
    receives. A backend with this hook does not get ``log_params``, ``set_tags``, ``log_artifact``, ``log_media`` and
    ``run_changed``; it is for those that keep a complete copy of the run. Thread: the plugin's own. Order: as recorded,
    per writer; the first event of each writer is ``"writer"``. ``type`` is ``"writer"``, ``"run"``, ``"params"``,
    ``"tags"``, ``"untag"``, ``"metric"``, ``"fact"``, ``"artifact"``, ``"artifact_files"``, ``"drops"``,
    ``"plugins"``, ``"outcome"`` or a later one; ``docs/journal-format.md`` describes the payload of each. The path of
    an artifact is relative to ``run.dir``, and has been checked to stay in it. ``timestamp`` is in seconds since the
    epoch; ``id`` is the same each time the call is repeated. Return: nothing. Exception: retried. Deadline: 30 s,
    ``deadlines.log``.

    .. code-block:: python

        @tracelet.hookimpl
        def log_event(type, payload, timestamp):
            print(timestamp, type, payload)
    """


@hookspec
def collect() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Return measurements.

    When: at the run's start, at the collector's interval, and once at the end. Thread: the plugin's own.
    Order: unspecified between collectors. Return: a mapping; nested mappings and lists are flattened
    with ``/``; numbers become metrics of type SYSTEM, strings become facts of the run. Exception: this
    measurement is skipped. If a call takes longer than the interval, ticks are skipped. Deadline: 30 s,
    ``deadlines.collect``.

    .. code-block:: python

        @tracelet.hookimpl
        def collect():
            return {"load": os.getloadavg()[0]}
    """


@hookspec
def process_metric(metric: MetricData, backend: str = "") -> MetricData | Iterable[MetricData] | None:
    """Change, drop or derive a metric on its way to a backend.

    When: per point and backend, between the journal and the routes; the recorded values do not change. Thread: the
    plugin's own. Order: as pluggy orders implementations; each receives the result of the one before. State: kept per
    backend. A plugin class is instantiated, initialized and started once for each backend; an object or a module is
    shared, and may use ``backend``, the backend's name, to keep separate state. Return: a metric, several, or
    ``None`` to drop it. Exception: the metric continues unchanged, and the error is counted. So does an answer with a
    field of a wrong type. Deadline: 30 s for a batch, ``deadlines.process``.

    .. code-block:: python

        @tracelet.hookimpl
        def process_metric(metric):
            return None if metric.name.startswith("debug/") else metric
    """


@hookspec
def run_started(run: RunView) -> None:
    """Called when a run has started.

    When: once per run, after the plugin was started; under ``tracelet run``, for backends, when the program has named
    the run. Thread: the plugin's own. Order: as pluggy orders implementations, but plugins do not wait for each
    other. Return: nothing. Exception: counted. Deadline: 10 s, ``deadlines.run_started``.

    .. code-block:: python

        @tracelet.hookimpl
        def run_started(run):
            run.set_tags({"team": "vision"})
    """


@hookspec
def run_ended(run: RunView, outcome: str) -> None:
    """Called when a run has ended.

    When: once per run, after its last point was recorded and before ``stop``. Thread: the plugin's own.
    Order: as for ``run_started``. In a job, backends get it on rank zero only. ``outcome`` is ``"finished"``,
    ``"failed"`` or what the program passed to ``finish``. Return: nothing. Exception: counted. Deadline: 10 s,
    ``deadlines.run_ended``.

    .. code-block:: python

        @tracelet.hookimpl
        def run_ended(run, outcome):
            notify(f"{run.name}: {outcome}")
    """


@hookspec
def plugin_state_changed(plugin: PluginInfo, old: PluginState, new: PluginState) -> None:
    """Called when the state of a plugin has changed.

    When: after each change of any plugin's state, this one's own included. Thread: the listener's own; nothing waits
    for it. Order: as the changes happened. Return: nothing. Exception: counted. Deadline: 10 s,
    ``deadlines.plugin_state_changed``.

    .. code-block:: python

        @tracelet.hookimpl
        def plugin_state_changed(plugin, old, new):
            print(plugin.name, old.name, new.name)
    """


@since("1.1")
@hookspec
def import_runs(source: str, follow: bool = False) -> Iterable[ImportedRun | None] | None:
    """Read runs that another tracker has recorded.

    When: by ``tracelet import`` and :func:`tracelet.importers.import_runs`. The plugin is neither initialized nor
    started for it. Thread: the plugin's own, also for each step of an iterator. Order: unspecified between plugins.
    ``source`` is the path of a file or folder, or a URL, as the user has given it. Return: ``None`` if the source is
    not of the plugin's format, otherwise the runs that it holds, best one after the other from a generator. What an
    earlier import has recorded is recognized and left out, so the importer always yields all there is. With
    ``follow``, an importer may continue: it yields ``None`` when there is nothing new at the moment, and is asked again
    a moment later. One that ends is called again instead. Exception: the import of this source ends; what was
    yielded before is kept. Deadline: 3600 s for each step, ``deadlines.import_runs``.

    .. code-block:: python

        @tracelet.hookimpl
        def import_runs(source):
            if not source.endswith(".log.json"):
                return None
            rows = json.loads(Path(source).read_text())
            columns = [[row[key] for row in rows] for key in ("step", "loss", "time")]
            return [ImportedRun(source, points=[ImportedPoints("loss", *columns)])]
    """


@since("1.1")
@hookspec
def ui_panels(run: Any) -> Iterable[Mapping[str, Any]] | None:
    """Return panels that ``tracelet ui`` shows on the page of a run.

    When: each time somebody opens or refreshes the panels of a run. The plugin is neither initialized nor started for
    it. Thread: the plugin's own. Order: as the plugins were found. ``run`` is the record of the run, as
    ``open_store().run(id)`` returns it. Return: ``None``, or mappings with ``title`` (a text), ``data`` (rows as
    mappings, or a function of the run that returns them) and ``chart``: ``"table"``, ``"text"``, or a mapping with
    ``type`` (``"line"``, ``"bar"``, ``"scatter"``), ``x`` and ``y`` (names in the rows; ``y`` may be several).
    Exception: the page shows it in place of the panels. Deadline: 10 s, ``deadlines.ui_panels``.

    .. code-block:: python

        @tracelet.hookimpl
        def ui_panels(run):
            rows = [{"epoch": step, "cost": value * 0.12} for step, value, _ in run.metric("energy")]
            return [{"title": "Cost", "data": rows, "chart": {"type": "line", "x": "epoch", "y": "cost"}}]
    """


@hookspec
def report_header(config: Mapping[str, Any]) -> str | Sequence[str] | None:
    """Return lines for the header of ``tracelet run``.

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
    """Return lines for the summary of ``tracelet run``.

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
    """Add the plugin's own hookspecs.

    When: as the plugin is registered, before its implementations are checked. Thread: the plugin's own.
    Order: that of registration. Return: nothing. Exception: the plugin's state becomes ERROR. Deadline: 10 s,
    ``deadlines.addhooks``.

    .. code-block:: python

        @tracelet.hookimpl
        def addhooks(pluginmanager):
            pluginmanager.add_hookspecs(my_hookspecs)
    """
