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
from tracelet.journal import Writer
from tracelet.run import folder, resuming
from tracelet.run.run import START_TIMEOUT, Run


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
        from tracelet.run.disabled import DisabledRun

        return DisabledRun(config, name, time.time())
    place = resuming.place(config, name)
    run_dir = folder.make_run_folder(config.dir, place.run_id)
    started_at = time.time()
    label = name or place.name or _default_name(program, place.run_id)
    facts = {
        "run": {"id": place.run_id, "name": label, "project": config.project},
        "script": str(program) if program is not None else None,
        "argv": _masked_arguments(argv),
        "cwd": os.getcwd(),
        "resumed": place.resumed,
        "python": sys.version.split()[0],
        "tracelet": _version(),
        **(place.job.facts() if place.job is not None else {}),
    }
    writer = Writer(run_dir, facts, last_steps=place.last_steps)
    run = Run(
        run_id=place.run_id,
        name=label,
        run_dir=run_dir,
        config=config,
        writer=writer,
        started_at=started_at,
        plugins=plugins,
        program=program,
        job=place.job,
    )
    run.last_step = place.last_step
    run.host.awaited = bool(plugins or config.plugins or _project_plugins(config, program))
    run.host.start()
    run.budget.start()
    return run


def _project_plugins(config: Config, program: Path | None) -> bool:
    from tracelet.host.projectfile import project_files

    return config.autoload and bool(
        project_files(config.root, program.parent if program is not None else Path.cwd())
    )


def await_plugins(run: Run, strict: bool) -> None:
    """Wait, within bounds, for the plugins that somebody asked for. Raises for their failures when strict."""
    limit = float(run.config.settings.get("start_timeout", START_TIMEOUT))
    if run.host.awaited or strict:
        run.host.wait(run.host.asked, 3600.0 if strict else limit)
    if strict and (failures := run.host.failures()):
        run.finish("failed", error=failures[0])
        raise PluginError("; ".join(failures))


def _default_name(program: Path | None, run_id: str) -> str:
    file = program or Path("run")
    stem = file.parent.name if file.stem in ("__main__", "__init__") else file.stem  # a package that is run
    return f"{stem}-{run_id.rpartition('-')[2]}"


def _masked_arguments(argv: Sequence[str]) -> list[str]:
    """Return a command line without the values of options that name a secret."""
    from tracelet.secrets import MASK, is_secret_key, redact

    shown: list[str] = []
    hide = False
    for argument in argv:
        key, equals, _ = argument.partition("=")
        if hide and not argument.startswith("-"):
            shown.append(MASK)
        elif equals and is_secret_key(key.lstrip("-")):
            shown.append(f"{key}={MASK}")
        else:
            shown.append(redact(argument))
        hide = not equals and argument.startswith("-") and is_secret_key(argument.lstrip("-"))
    return shown


def _version() -> str:
    from tracelet import __version__

    return __version__


def split_plugins(plugins: Any) -> tuple[list[str], list[Any]]:
    """Tell names from objects in what was given as ``plugins``."""
    if plugins is None:
        return [], []
    if isinstance(plugins, (str, type)) or not isinstance(plugins, Sequence):
        plugins = [plugins]
    names = [plugin for plugin in plugins if isinstance(plugin, str)]
    return names, [plugin for plugin in plugins if not isinstance(plugin, str)]


def overrides_of(
    *, names: list[str], config: Mapping[str, Any] | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a program gave ``start_run``, in the configuration's keys."""
    if config is not None and not isinstance(config, Mapping):
        raise UsageError(f"start_run(config=...): expected a mapping, found {type(config).__name__}")
    values = {**(config or {}), **{key: value for key, value in given.items() if value is not None}}
    if names:
        values["activate"] = [*values.get("activate", ()), *names]
    return values
