"""Load the configuration: user file < project file < environment < program < command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet.config import layers, project, settings, variables
from tracelet.config.layers import Layer
from tracelet.config.model import Config
from tracelet.config.trust import is_trusted
from tracelet.errors import ConfigError, UsageError
from tracelet.layout import DATA_FOLDER

_MARKS: Final = ("tracelet.toml", "pyproject.toml", ".git")
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})

_reported: set[str] = set()  # warnings; each is logged once


def load_config(
    start: str | Path | None = None,
    *,
    root: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    command_line: Mapping[str, Any] | None = None,
    cli_plugins: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Load the configuration for a script or folder (the current one), from every source.

    ``overrides`` is what the program gave ``start_run``: keys as in the file, and ``run_id`` and
    ``resume``; ``None`` means not given. ``command_line`` is what the command line gave, in the
    same keys; ``cli_plugins`` its ``-p``. Raises :class:`ConfigError` with every fault of every source;
    faults in a plugin's table are left to :meth:`Config.plugin_config`, because they concern that
    plugin alone.
    """
    environ = os.environ if environ is None else environ
    program = Path(start) if start is not None and os.path.isfile(start) else None
    root = Path(os.path.abspath(root)) if root is not None else project.find_root(start)
    user = project.user_config_dir(environ)
    file = project.project_file(root, program)
    faults: list[str] = []
    own = user and user / project.PROJECT_FILE
    paths = dict.fromkeys(
        [*([own] if own and own.is_file() and is_trusted(own) else []), *([file] if file else [])]
    )
    stack = [
        *(layers.from_file(path, environ, faults) for path in paths),
        layers.from_environment(environ, faults),
        layers.from_mapping("start_run(...)", overrides or {}, faults),
        layers.from_mapping("command line", command_line or {}, faults),
        Layer("-p", names=settings.plugin_names("-p", list(cli_plugins), faults)),
    ]
    if faults:
        of_tables = [each for layer in stack for several in layer.table_faults.values() for each in several]
        raise ConfigError([*faults, *of_tables])
    _report_once(variables.slips(environ))
    if (shadowed := project.shadowed_file(file)) is not None:
        _report_once(
            [f"{shadowed}: its table [tool.tracelet] is ignored, because {file} counts; keep one of them"]
        )
    return _assemble(root, file, stack, [*_user_plugins(user), *variables.plugin_path(environ)])


def _report_once(warnings: Iterable[str]) -> None:
    for warning in warnings:
        if warning not in _reported:
            from tracelet.logs import get_logger

            _reported.add(warning)
            get_logger("tracelet.config").warning("%s", warning)


def _user_plugins(user: Path | None) -> list[Path]:
    return [user / "plugins"] if user is not None and (user / "plugins").is_dir() else []


def _assemble(root: Path, file: Path | None, stack: Sequence[Layer], more_paths: list[Path]) -> Config:
    values: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    faults: dict[str, list[str]] = {}
    for layer in stack:
        values = _merge(values, layer.values)
        tables = _merge(tables, layer.tables)
        for name, several in layer.table_faults.items():
            faults.setdefault(name, []).extend(several)
    selection = Selection(stack)
    values.pop("plugin_paths", None)
    paths = [path for layer in reversed(stack) for path in layer.values.get("plugin_paths", ())]
    return Config(
        root=root,
        file=file,
        sources=[layer.label for layer in stack if not layer.silent],
        project=values.pop("project", root.name or "default"),
        dir=values.pop("dir", root / DATA_FOLDER),
        mode=values.pop("mode", "online"),
        strict=values.pop("strict", False),
        run_id=values.pop("run_id", None),
        resume=values.pop("resume", False),
        plugins=list(selection.on),
        blocked=frozenset(selection.blocked),
        disabled=frozenset(selection.off),
        autoload=not values.pop("no_autoload", False),
        plugin_paths=list(dict.fromkeys([*paths, *more_paths])),
        tables=tables,
        table_faults=faults,
        deadlines={**settings.DEADLINES, **values.pop("deadlines", {})},
        settings=values,
    )


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Merge tables key by key; any other value of ``high`` replaces that of ``low``."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merge(below, value)
        merged[key] = value
    return merged


def program_file() -> Path | None:
    """Return the file of the program being run, or ``None`` in an interactive session.

    Worker processes of joblib and similar libraries run a library module as ``__main__``; there ``sys.argv`` names
    the script.
    """
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    path = Path(file).resolve() if file else None
    if path is None or _is_installed(path):
        given = Path(os.path.abspath(sys.argv[0])) if sys.argv and os.path.isabs(sys.argv[0]) else None
        if given is not None and given.is_file() and not _is_installed(given.resolve()):
            return given.resolve()
    return path


def program_config(program: Path | None, overrides: Mapping[str, Any], **more: Any) -> Config:
    """Load the configuration that a program runs under; ``more`` is what :func:`load_config` takes.

    The project is the script's. A script outside any project, and an installed tool (a test runner, a notebook
    server), belong to the project of the current folder. If that was deleted, the data folder given in ``overrides``
    determines the project.
    """
    root = None
    if program is not None and not _is_installed(program):
        root = project.find_root(program.parent, program=program)
    if root is None or not any((root / mark).exists() for mark in _MARKS):
        root = _root_of_current_folder(root, overrides)
    return load_config(program, root=root, overrides=overrides, **more)


def _root_of_current_folder(fallback: Path | None, overrides: Mapping[str, Any]) -> Path:
    try:
        return project.find_root()
    except UsageError:
        if fallback is not None:
            return fallback
        if "dir" in overrides:
            return Path(overrides["dir"]).parent
        raise


def _is_installed(program: Path) -> bool:
    return not _INSTALLED.isdisjoint(program.parts) or program.parent == Path(sys.executable).parent


class Selection:
    """Which plugins are on, blocked and off. The strongest source decides."""

    def __init__(self, stack: Sequence[Layer]) -> None:
        self.on: dict[str, None] = {}
        self.blocked: set[str] = set()
        self.off: set[str] = set()
        for layer in stack:
            for name in layer.names:
                self._apply_name(name)
            for name, table in layer.tables.items():
                self._apply_table(name, table)

    def _apply_name(self, name: str) -> None:
        if name.startswith("no:"):
            self.on.pop(name[3:], None)
            self.blocked.add(name[3:])
        else:
            self._activate(name)

    def _apply_table(self, name: str, table: Mapping[str, Any]) -> None:
        """Activate a plugin that has a table. A table with settings only does not undo an earlier ``no:NAME``."""
        if table.get("enabled") is False:
            self.on.pop(name, None)
            self.off.add(name)
        elif table.get("enabled") or name not in self.off | self.blocked:
            self._activate(name)

    def _activate(self, name: str) -> None:
        self.blocked.discard(name)
        self.off.discard(name)
        self.on.setdefault(name)
