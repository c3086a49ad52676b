"""The active run, and the module functions that record into it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.config import program_config, program_file
from tracelet.errors import NoActiveRunError
from tracelet.run import ending, starting, uncaught
from tracelet.run.run import Run

if TYPE_CHECKING:
    from tracelet.config import Config

_runs: list[Run] = []  # innermost last; the active one is the innermost that has not ended


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
    strict: bool | None = None,
) -> Run:
    """Start a run and make it the active one.

    ``plugins`` are names, classes, instances or modules to activate in addition to the configured ones; ``config``
    holds settings as in ``tracelet.toml``; ``run_id`` with ``resume`` continues a run, ``resume`` alone the newest
    one of the project (and name); ``dir`` is the data folder, instead of ``.tracelet``. Under ``tracelet run``,
    it joins the run that the command has opened.

    Nothing that a plugin raises reaches the caller, unless ``strict`` is true: then a plugin that cannot be
    started is a :class:`~tracelet.errors.PluginError`. Raises :class:`~tracelet.errors.ConfigError` for a
    faulty configuration and :class:`~tracelet.errors.UsageError` for invalid arguments.
    """
    uncaught.watch()
    names, objects = starting.split_plugins(plugins)
    given = {"project": project, "run_id": run_id, "resume": resume or None, "strict": strict}
    given["dir"] = str(Path(dir).expanduser().absolute()) if dir is not None else None
    overrides = starting.as_overrides(names=names, config=config, given=given)
    ambient = _adoptable()
    if ambient is not None:
        run = _adopt(ambient, name, project, [*names, *objects])
    else:
        program = program_file()
        loaded = program_config(program, overrides)
        run = _make_active(
            starting.open_run(loaded, name=name, plugins=objects, program=program, argv=sys.argv)
        )
    if params:
        run.log_params(params)
    if tags:
        run.set_tags(tags)
    starting.await_plugins(run, run.config.strict)
    return run


def open_ambient(config: Config, *, script: Path | None, argv: Sequence[str], name: str | None = None) -> Run:
    """Open the run that a program is run inside: its own ``start_run`` joins it."""
    run = _make_active(starting.open_run(config, name=name, program=script, argv=argv))
    run.adoptable = True
    return run


def _make_active(run: Run) -> Run:
    ending.watch(run)
    _runs.append(run)
    return run


def _adoptable() -> Run | None:
    run = active_run()
    return run if run is not None and run.adoptable else None


def _adopt(run: Run, name: str | None, project: str | None, plugins: list[Any]) -> Run:
    run.adoptable = False
    run.rename(name, project)
    for plugin in plugins:
        run.add_plugin(plugin)
    return run


def active_run() -> Run | None:
    """Return the run that the module functions record into, or ``None``."""
    while _runs and _runs[-1].outcome is not None:
        _runs.pop()
    return _runs[-1] if _runs else None


def end_run(outcome: str = "finished", timeout: float | None = None) -> None:
    """End the active run, if there is one; the one around it becomes active again."""
    run = active_run()
    if run is not None:
        run.finish(outcome, timeout)


def _current(call: str) -> Run:
    run = active_run()
    if run is None:
        uncaught.watch()
        raise NoActiveRunError(
            f"tracelet.{call}: no run is active; call tracelet.start_run() first, or run the program with"
            " `tracelet run`"
        )
    return run


def log_metric(name: str, value: Any, iteration: int | None = None, *, step: int | None = None) -> None:
    """Record one number in the active run. See :meth:`Run.log_metric`."""
    _current("log_metric").log_metric(name, value, iteration, step=step)


def log(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """Record many numbers at one step in the active run. See :meth:`Run.log`."""
    _current("log").log(metrics, step)


def log_params(params: Mapping[str, Any]) -> None:
    """Record parameters of the active run. See :meth:`Run.log_params`."""
    _current("log_params").log_params(params)


def set_tags(tags: Mapping[str, Any] | Sequence[str]) -> None:
    """Record tags of the active run. See :meth:`Run.set_tags`."""
    _current("set_tags").set_tags(tags)


def log_artifact(local_path: str | PathLike[str], artifact_path: str | None = None) -> None:
    """Copy a file or folder into the active run. See :meth:`Run.log_artifact`."""
    _current("log_artifact").log_artifact(local_path, artifact_path)


def log_text(name: str, text: str, step: int | None = None) -> None:
    """Record a text in the active run. See :meth:`Run.log_text`."""
    _current("log_text").log_text(name, text, step)


def log_table(name: str, rows: Any, columns: Sequence[str] | None = None, step: int | None = None) -> None:
    """Record a table in the active run. See :meth:`Run.log_table`."""
    _current("log_table").log_table(name, rows, columns, step)


def log_histogram(
    name: str, values: Any, step: int | None = None, *, bins: int | Sequence[float] = 64
) -> None:
    """Record a distribution in the active run. See :meth:`Run.log_histogram`."""
    _current("log_histogram").log_histogram(name, values, step, bins=bins)


def log_image(name: str, image: Any, step: int | None = None) -> None:
    """Record an image in the active run. See :meth:`Run.log_image`."""
    _current("log_image").log_image(name, image, step)


def log_figure(name: str, figure: Any, step: int | None = None) -> None:
    """Record a figure in the active run. See :meth:`Run.log_figure`."""
    _current("log_figure").log_figure(name, figure, step)


def flush(durable: bool = False) -> bool:
    """Wait, within bounds, until the backends have what the active run recorded. See :meth:`Run.flush`."""
    return _current("flush").flush(durable)


def finish(outcome: str = "finished", timeout: float | None = None) -> dict[str, Any]:
    """End the active run. See :meth:`Run.finish`."""
    return _current("finish").finish(outcome, timeout)
