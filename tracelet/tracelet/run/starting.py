"""Starting a run: configuration, identity, folder, journal, plugins."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracelet.config import Config
from tracelet.errors import PluginError, UsageError
from tracelet.journal import NullRecorder, Writer
from tracelet.layout import runs_folder
from tracelet.run import folder
from tracelet.run.context import RunContext
from tracelet.run.run import START_TIMEOUT, DisabledRun, Run
from tracelet.run.target import choose_target
from tracelet.secrets import mask_command_line, set_readable_names


def open_run(
    config: Config,
    *,
    name: str | None = None,
    plugins: Sequence[Any] = (),
    program: Path | None = None,
    argv: Sequence[str] = (),
) -> Run:
    """Open a run's journal and begin to start its plugins. Returns before they have started."""
    if config.mode == "disabled":
        return _open_disabled(config, name)
    set_readable_names(config.settings.get("not_secret", ()))
    target = choose_target(config, name)
    run_dir = folder.make_run_folder(config.dir, target.run_id)
    started_at = time.time()
    label = name or target.name or _default_name(program, target.run_id)
    facts = {
        "run": {"id": target.run_id, "name": label, "project": config.project},
        "script": str(program) if program is not None else None,
        "argv": mask_command_line(argv),
        "cwd": os.getcwd(),
        "resumed": target.resumed,
        "python": sys.version.split()[0],
        "tracelet": sys.modules["tracelet"].__version__,
        **(target.job.facts() if target.job is not None else {}),
    }
    writer = Writer(run_dir, facts, last_steps=target.last_steps)
    context = RunContext(target.run_id, run_dir, writer, config, target.job)
    run = Run(context, name=label, started_at=started_at, plugins=plugins, program=program)
    run.last_step = target.last_step
    run.plugins.awaited = bool(plugins or config.plugins or _project_plugins(config, program))
    run.plugins.start()
    run.budget.start()
    return run


def _open_disabled(config: Config, name: str | None) -> Run:
    run_id = folder.new_run_id()
    context = RunContext(run_id, runs_folder(config.dir) / run_id, NullRecorder(), config)
    return DisabledRun(context, name=name or run_id, started_at=time.time())


def _project_plugins(config: Config, program: Path | None) -> bool:
    from tracelet.host.projectfile import project_files

    return config.autoload and bool(
        project_files(config.root, program.parent if program is not None else Path.cwd())
    )


def await_plugins(run: Run, strict: bool) -> None:
    """Wait, within limits, for the plugins that somebody asked for. With ``strict``, raises for their failures."""
    limit = float(run.config.settings.get("start_timeout", START_TIMEOUT))
    if run.plugins.awaited or strict:
        run.plugins.wait(run.plugins.asked, 3600.0 if strict else limit)
    if strict and (failures := run.plugins.failures()):
        run.finish("failed", error=failures[0])
        raise PluginError("; ".join(failures))


def _default_name(program: Path | None, run_id: str) -> str:
    file = program or Path("run")
    stem = (
        file.parent.name if file.stem in ("__main__", "__init__") else file.stem
    )  # a package run as a program
    return f"{stem}-{run_id.rpartition('-')[2]}"


def split_plugins(plugins: Any) -> tuple[list[str], list[Any]]:
    """Separate the names from the objects in what was given as ``plugins``."""
    if plugins is None:
        return [], []
    if isinstance(plugins, (str, type)) or not isinstance(plugins, Sequence):
        plugins = [plugins]
    names = [plugin for plugin in plugins if isinstance(plugin, str)]
    return names, [plugin for plugin in plugins if not isinstance(plugin, str)]


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
