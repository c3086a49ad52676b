"""The functions of the module: start a run, and record into the active one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tracelet.config import program_config, program_file
from tracelet.errors import NoActiveRunError
from tracelet.host.worker import refuse_in_plugin
from tracelet.run import announcing, current, ending, starting, uncaught
from tracelet.run.current import active_run
from tracelet.run.describing import check_about, check_run_name
from tracelet.run.parameters import check_start_parameters
from tracelet.run.run import Run, outcome_of

if TYPE_CHECKING:
    from tracelet.config import Config

_GIVING_UP: Final = 5.0  # seconds for the end of a run that could not be started


def start_run(
    name: str | None = None,
    *,
    project: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | Sequence[str] | None = None,
    plugins: Any = None,
    config: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    resume: bool = False,
    dir: str | PathLike[str] | None = None,
    strict: bool | str | None = None,
    group: str | None = None,
    parent: Any = None,
    job_type: str | None = None,
    notes: str | None = None,
) -> Run:
    """Start a run and make it the active one.

    ``plugins`` are names, classes, instances or modules to activate in addition to the configured ones; ``config``
    holds settings as in ``tracelet.toml``; ``run_id`` with ``resume`` continues a run, ``resume`` alone the newest
    one of the project (and name); ``dir`` is the data folder, instead of ``.tracelet``. Under ``tracelet run``,
    it joins the run that the command has opened.

    ``group`` (a sweep, say), ``parent`` (a run or its id), ``job_type`` (``"train"``, ``"eval"``) and ``notes``
    (Markdown) say where the run belongs; they can be changed later.

    Nothing that a plugin raises reaches the caller, unless ``strict`` is true: then a plugin that cannot be
    started is a :class:`~tracelet.errors.PluginError`. Raises :class:`~tracelet.errors.ConfigError` for a
    faulty configuration and :class:`~tracelet.errors.UsageError` for invalid arguments.
    """
    refuse_in_plugin("start_run", "record into the run that the hook gets as 'run'")
    name = check_run_name(name)
    about = check_about({"group": group, "parent": parent, "job_type": job_type, "notes": notes})
    uncaught.watch()
    names, objects = starting.split_plugins(plugins)
    given = {"project": project, "run_id": run_id, "resume": resume or None, "strict": strict}
    given["dir"] = starting.absolute_dir(dir)
    overrides = starting.as_overrides(names=names, config=config, given=given)
    ambient = current.adoptable_run()
    if ambient is not None:
        with _restored_on_failure(ambient):
            _adopt(ambient, name, project, [*names, *objects])
            if (config or {}).get("automagic") is True:
                ambient.add_automagic()
            _complete(ambient, params, tags, about)
            ambient.settle_name()
            return ambient
    program = program_file()
    loaded = program_config(program, overrides)
    current.finish_runs_of_cells(name, loaded.project)
    run = starting.open_run(
        loaded, name=name, project=project, plugins=objects, program=program, argv=sys.argv
    )
    with _ended_on_failure(run):
        ending.watch(run)
        current.add(run, name)
        _complete(run, params, tags, run.without_known(about))
        announcing.announce(run)
        starting.await_plugins(run, bool(run.config.strict))
    return run


def _complete(run: Run, params: Mapping[str, Any] | None, tags: Any, about: Mapping[str, str]) -> Run:
    run.record_about(about)
    if params:
        check_start_parameters(params)
        run.log_params(params)
    if tags:
        run.set_tags(tags)
    return run


@contextmanager
def _ended_on_failure(run: Run) -> Iterator[None]:
    """End a run as failed if its start raises: later calls must not record into it."""
    try:
        yield
    except BaseException as error:
        outcome, text = outcome_of(error)
        run.finish(outcome, _GIVING_UP, error=text)
        raise


@contextmanager
def _restored_on_failure(run: Run) -> Iterator[None]:
    try:
        yield
    except BaseException:
        run.adoptable = True
        raise


def open_ambient(config: Config, *, script: Path | None, argv: Sequence[str], name: str | None = None) -> Run:
    """Open the run that a program runs inside: its own ``start_run`` joins it."""
    run = starting.open_run(config, name=name, program=script, argv=argv, ambient=True)
    ending.watch(run)
    current.add(run, name)
    run.adoptable = True
    return run


def _adopt(run: Run, name: str | None, project: str | None, plugins: list[Any]) -> None:
    run.adopt()
    current.add(run, name)
    run.rename(name, project)
    for plugin in plugins:
        if isinstance(plugin, str) and plugin.startswith("no:"):
            run.block_plugin(plugin.removeprefix("no:"))
        else:
            run.add_plugin(plugin)


def end_run(outcome: str = "finished", timeout: float | None = None) -> None:
    """End the active run, if there is one; the one around it becomes active again."""
    run = active_run()
    if run is not None:
        run.finish(outcome, timeout)


def require_run(call: str) -> Run:
    """Return the active run. Raises :class:`NoActiveRunError`, naming the call, if there is none."""
    return active_run() or _refuse(call)


def _refuse(call: str) -> NoReturn:
    uncaught.watch()
    raise NoActiveRunError(
        f"tracelet.{call}: no run is active; call tracelet.start_run() first, or run the program with `tracelet run`"
    )


def log_metric(
    name: str,
    value: Any,
    iteration: int | None = None,
    *,
    step: int | None = None,
    timestamp: float | None = None,
) -> None:
    """Record one number in the active run. See :meth:`Run.log_metric`."""
    run = active_run() or _refuse("log_metric")
    run.log_metric(name, value, iteration, step=step, timestamp=timestamp)


def log(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """Record many numbers at one step in the active run. See :meth:`Run.log`."""
    (active_run() or _refuse("log")).log(metrics, step)


def log_params(params: Mapping[str, Any]) -> None:
    """Record parameters of the active run. See :meth:`Run.log_params`."""
    (active_run() or _refuse("log_params")).log_params(params)


def set_tags(tags: Mapping[str, Any] | Sequence[str]) -> None:
    """Record tags of the active run. See :meth:`Run.set_tags`."""
    (active_run() or _refuse("set_tags")).set_tags(tags)


def log_artifact(local_path: str | PathLike[str], artifact_path: str | None = None) -> None:
    """Copy a file or folder into the active run. See :meth:`Run.log_artifact`."""
    (active_run() or _refuse("log_artifact")).log_artifact(local_path, artifact_path)


def log_text(name: str, text: str, step: int | None = None) -> None:
    """Record a text in the active run. See :meth:`Run.log_text`."""
    (active_run() or _refuse("log_text")).log_text(name, text, step)


def log_table(name: str, rows: Any, columns: Sequence[str] | None = None, step: int | None = None) -> None:
    """Record a table in the active run. See :meth:`Run.log_table`."""
    (active_run() or _refuse("log_table")).log_table(name, rows, columns, step)


def log_histogram(
    name: str, values: Any, step: int | None = None, *, bins: int | Sequence[float] = 64
) -> None:
    """Record a distribution in the active run. See :meth:`Run.log_histogram`."""
    (active_run() or _refuse("log_histogram")).log_histogram(name, values, step, bins=bins)


def log_image(name: str, image: Any, step: int | None = None) -> None:
    """Record an image in the active run. See :meth:`Run.log_image`."""
    (active_run() or _refuse("log_image")).log_image(name, image, step)


def log_figure(name: str, figure: Any, step: int | None = None) -> None:
    """Record a figure in the active run. See :meth:`Run.log_figure`."""
    (active_run() or _refuse("log_figure")).log_figure(name, figure, step)


def define_metric(name: str, *, goal: str) -> None:
    """Say which value of a metric counts in the active run. See :meth:`Run.define_metric`."""
    (active_run() or _refuse("define_metric")).define_metric(name, goal=goal)


def flush(durable: bool = False) -> bool:
    """Wait, within bounds, until the backends have what the active run recorded. See :meth:`Run.flush`."""
    return (active_run() or _refuse("flush")).flush(durable)


def finish(outcome: str = "finished", timeout: float | None = None) -> dict[str, Any]:
    """End the active run. See :meth:`Run.finish`."""
    return (active_run() or _refuse("finish")).finish(outcome, timeout)
