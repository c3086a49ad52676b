"""Starting a run: configuration, identity, folder, journal, plugins."""

from __future__ import annotations

import itertools
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence, Set, ValuesView
from pathlib import Path
from typing import Any, Final

from tracelet.config import Config
from tracelet.errors import PluginError, UsageError
from tracelet.journal import NullRecorder, Writer
from tracelet.layout import runs_folder
from tracelet.logs import get_logger
from tracelet.run import folder
from tracelet.run.batch import array_task
from tracelet.run.context import RunContext
from tracelet.run.job import Job, ancestors
from tracelet.run.run import START_TIMEOUT, DisabledRun, Run, outcome_of
from tracelet.run.target import choose_target
from tracelet.secrets import mask_command_line, redact, set_readable_names

log = get_logger("tracelet.run")

_GENERATIONS: Final = 6  # processes above this one that the journal names

_notified: set[str] = set()  # kinds of launchers whose silent ranks this process has reported


def open_run(
    config: Config,
    *,
    name: str | None = None,
    project: str | None = None,
    plugins: Sequence[Any] = (),
    program: Path | None = None,
    argv: Sequence[str] = (),
    ambient: bool = False,
) -> Run:
    """Open a run's journal and begin to start its plugins. Returns before they have started.

    ``project`` is the one that the program gave itself; a resumed run moves there. ``ambient`` marks a run that
    ``tracelet run`` opens around a program.
    """
    set_readable_names(config.settings.get("not_secret", ()))
    if config.mode == "disabled":
        return _open_disabled(config, name)
    target = choose_target(config, name)
    run_dir = folder.make_run_folder(config.dir, target.run_id)
    label = target.name or name or _default_name(program, target.run_id)
    facts = {
        "run": {"id": target.run_id, "name": label, "project": target.project or config.project},
        "script": str(program) if program is not None else None,
        "argv": mask_command_line(argv),
        "cwd": _current_folder(),
        "resumed": target.resumed,
        **({"attempt": target.attempt} if target.attempt else {}),
        "python": sys.version.split()[0],
        "tracelet": sys.modules["tracelet"].__version__,
        "parents": list(itertools.islice(ancestors(), _GENERATIONS)),
        **({"ambient": True} if ambient else {}),
        **({"array_task": task} if (task := array_task()) is not None else {}),
        **(target.job.facts() if target.job is not None else {}),
    }
    started_at = time.time()
    writer = Writer(run_dir, facts, last_steps=target.last_steps)
    try:
        job = target.job if target.shared else None
        context = RunContext(target.run_id, run_dir, writer, config, job, target.hosted)
        run = Run(context, name=label, started_at=started_at, plugins=plugins, program=program)
        run.last_step = target.last_step
        run.project = target.project or config.project
        run.take_over(target.about, target.given)
        if target.exists and (target.resumed or target.hosted):
            run.rename(**run.without_known({"name": name, "project": project}))
        if job is not None and not context.records:
            _report_silent_rank(job)
        run.plugins.awaited = bool(
            plugins or config.plugins or config.automagic or _project_plugins(config, program)
        )
        if ambient:
            run.plugins.naming.expect()
        run.plugins.start()
        run.budget.start()
    except BaseException as error:
        writer.close(*outcome_of(error))
        raise
    return run


def _open_disabled(config: Config, name: str | None) -> Run:
    run_id = folder.new_run_id()
    context = RunContext(run_id, runs_folder(config.dir) / run_id, NullRecorder(), config)
    return DisabledRun(context, name=name or run_id, started_at=time.time())


def _report_silent_rank(job: Job) -> None:
    """Report, once, that this process records nothing: eight independent programs under srun look like a job, too."""
    level = logging.WARNING if job.launcher in ("slurm", "mpi") else logging.INFO
    if job.launcher not in _notified:
        _notified.add(job.launcher)
        log.log(
            level,
            'rank %d of %d (%s) records nothing, rank 0 does; ranks = "all" (TRACELET_RANKS) records every rank,'
            ' ranks = "separate" gives each process a run of its own',
            job.rank,
            job.world_size,
            job.launcher,
        )


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None


def _project_plugins(config: Config, program: Path | None) -> bool:
    from tracelet.host.projectfile import project_files

    if not config.autoload:
        return False
    start = str(program.parent) if program is not None else _current_folder()
    return start is not None and bool(project_files(config.root, Path(start)))


def await_plugins(run: Run, strict: bool) -> None:
    """Wait, within limits, for the requested plugins. With ``strict``, raises for their failures."""
    limit = float(run.config.settings.get("start_timeout", START_TIMEOUT))
    if run.plugins.awaited or strict:
        run.plugins.wait(run.plugins.asked, 3600.0 if strict else limit)
    if strict and (failures := run.plugins.failures(strict=True)):
        run.finish("failed", error=failures[0])
        raise PluginError("; ".join(failures))


def _default_name(program: Path | None, run_id: str) -> str:
    file = program or Path("run")
    stem = (
        file.parent.name if file.stem in ("__main__", "__init__") else file.stem
    )  # a package run as a program
    return f"{stem}-{run_id.rpartition('-')[2]}"


def split_plugins(plugins: Any) -> tuple[list[str], list[Any]]:
    """Separate the names from the objects in what was given as ``plugins``: one plugin, or any collection of them."""
    given = list(_each_plugin(plugins))
    # Only types are asked: isinstance() would ask a plugin's object for its __class__, which may raise.
    names = [plugin for plugin in given if issubclass(type(plugin), str)]
    return names, [plugin for plugin in given if not issubclass(type(plugin), str)]


def _each_plugin(plugins: Any) -> Iterator[Any]:
    if issubclass(type(plugins), Mapping) and not hasattr(type(plugins), "get_metadata"):
        raise UsageError(
            "start_run(plugins=...): expected names, classes, instances or modules, found a mapping; name them in"
            " plugins=[...], and give their settings as config={'plugins': {...}}"
        )
    if _is_collection(plugins):
        for plugin in plugins:
            yield from _each_plugin(plugin) if _is_collection(plugin) else [plugin]
    elif plugins is not None:
        yield plugins


def _is_collection(value: Any) -> bool:
    """Return whether a value holds plugins rather than being one."""
    if issubclass(type(value), str) or hasattr(type(value), "get_metadata"):
        return False
    return issubclass(type(value), (Sequence, Set, Iterator, ValuesView))


def as_overrides(
    *, names: list[str], config: Mapping[str, Any] | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of ``start_run`` as a layer of the configuration."""
    if config is not None and not isinstance(config, Mapping):
        raise UsageError(f"start_run(config=...): expected a mapping, found {type(config).__name__}")
    values = {**(config or {}), **{key: value for key, value in given.items() if value is not None}}
    if names:
        values["activate"] = [*values.get("activate", ()), *names]
    return values


def absolute_dir(path: str | os.PathLike[str] | None) -> str | None:
    """Return the data folder given to ``start_run``, absolute. Raises :class:`UsageError` if that is impossible."""
    if path is None:
        return None
    if isinstance(path, str) and "://" in path:
        raise UsageError(
            f"start_run: dir: expected a folder, found a URL ({redact(path)}); runs are recorded into a folder, and a"
            " backend copies them to other places"
        )
    try:
        return str(Path(path).expanduser().absolute())
    except FileNotFoundError:
        raise UsageError(
            f"start_run(dir={os.fspath(path)!r}): the current folder was deleted; give an absolute path"
        ) from None
    except TypeError:
        raise UsageError(
            f"start_run: dir: expected the path of a folder, found {path!r} of type {type(path).__qualname__}"
        ) from None
