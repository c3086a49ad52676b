"""Putting the configuration together: user file < project file < environment < program < command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tracelet.config import files, settings
from tracelet.config.environment import read_environment
from tracelet.config.model import Config
from tracelet.core.interpolation import interpolate
from tracelet.core.secrets import seal
from tracelet.core.wording import did_you_mean
from tracelet.errors import ConfigError


class Layer(NamedTuple):
    """One source of configuration, checked."""

    label: str
    values: dict[str, Any]
    names: list[str]  # plugins to activate, or no:NAME
    tables: dict[str, dict[str, Any]]
    table_faults: dict[str, list[str]]


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
    ``resume``. ``command_line`` is what the command line gave, in the same keys; ``cli_plugins`` its ``-p``.
    Raises :class:`ConfigError` with every fault of every source; only faults in a plugin's table are
    left to :meth:`Config.plugin_config`, since they concern that plugin alone.
    """
    environ = os.environ if environ is None else environ
    root = Path(os.path.abspath(root)) if root is not None else files.find_root(start)
    file = files.project_file(root)
    faults: list[str] = []
    user = files.user_config_dir(environ)
    user_file = user / files.PROJECT_FILE if user else None
    layers = [
        *_file_layers([user_file, file], environ, faults),
        _environment_layer(environ, faults),
        _layer("start_run(...)", overrides or {}, Path.cwd(), faults, run=True),
        _layer("command line", {**(command_line or {})}, Path.cwd(), faults, run=True),
    ]
    layers.append(layers.pop()._replace(names=[*layers[-1].names, *_cli_names(cli_plugins, faults)]))
    if faults:
        raise ConfigError([*faults, *_table_faults(layers)])
    return _assemble(root, file, layers, environ, user)


def _cli_names(given: Sequence[str], faults: list[str]) -> list[str]:
    named: list[str] = []
    settings.plugin_names("-p", list(given), named)
    faults.extend(named)
    return list(given)


def _table_faults(layers: Sequence[Layer]) -> list[str]:
    return [fault for layer in layers for several in layer.table_faults.values() for fault in several]


def _file_layers(paths: Sequence[Path | None], environ: Mapping[str, str], faults: list[str]) -> list[Layer]:
    layers = []
    for path in paths:
        if path is not None and path.is_file():
            try:
                values = files.read_project_file(path)
            except ConfigError as error:
                faults.extend(error.faults if not error.source else [str(error)])
                continue
            layers.append(_layer(str(path), values, path.parent, faults, environ=environ))
    return layers


def _environment_layer(environ: Mapping[str, str], faults: list[str]) -> Layer:
    values, names = read_environment(environ, faults)
    label = "environment" + (f" ({', '.join(names)})" if names else "")
    return _layer(label, values, Path.cwd(), [], run=True, extra=("autoload",))


def _layer(
    label: str,
    given: Mapping[str, Any],
    base: Path,
    faults: list[str],
    *,
    environ: Mapping[str, str] | None = None,
    run: bool = False,
    extra: Sequence[str] = (),
) -> Layer:
    """Check one source. ``environ`` is given for files, whose strings may name variables."""
    own: list[str] = []
    rest = dict(given)
    plugins = rest.pop("plugins", None)
    names: list[str] = []
    if plugins is not None and not isinstance(plugins, Mapping):
        names, plugins = settings.plugin_names("plugins", plugins, own), {}
    tables = settings.tables("plugins", plugins or {}, own)
    if environ is not None:
        rest = interpolate(rest, environ, "", own)
    table_faults: dict[str, list[str]] = {}
    if environ is not None:
        for name, table in tables.items():
            several: list[str] = []
            tables[name] = interpolate(table, environ, f"plugins.{name}", several)
            if several:
                table_faults[name] = [f"{label}: {fault}" for fault in several]
    known = {**settings.SETTINGS, **(settings.RUN_SETTINGS if run else {})}
    values = _check(rest, known, own, extra)
    names += values.pop("activate", [])
    if "dir" in values:
        values["dir"] = base / Path(values["dir"]).expanduser()
    values["plugin_paths"] = [base / Path(each).expanduser() for each in values.get("plugin_paths", ())]
    faults.extend(f"{label}: {fault}" for fault in own)
    return Layer(label, values, names, seal(tables), table_faults)


def _check(
    given: Mapping[str, Any], known: Mapping[str, settings.Check], faults: list[str], extra: Sequence[str]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key in extra:
            values[key] = value
        elif key not in known:
            faults.append(f"unknown key {key!r}{did_you_mean(key, ['plugins', *known])}")
        else:
            values[key] = known[key](key, value, faults)
    return values


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Merge tables key by key; anything else of ``high`` replaces what ``low`` had."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


class _Selection:
    """Which plugins are on, blocked and off, as one source after the other has its say."""

    def __init__(self) -> None:
        self.on: dict[str, None] = {}
        self.blocked: set[str] = set()
        self.off: set[str] = set()

    def hear(self, layer: Layer) -> None:
        for name in layer.names:
            if name.startswith("no:"):
                self._block(name.removeprefix("no:"))
            else:
                self._activate(name)
        for name, table in layer.tables.items():
            if settings.boolean("enabled", table.get("enabled", name not in self.off), []):
                if name not in self.blocked or "enabled" in table:
                    self._activate(name)
            else:
                self.on.pop(name, None)
                self.off.add(name)

    def _activate(self, name: str) -> None:
        self.blocked.discard(name)
        self.off.discard(name)
        self.on.setdefault(name)

    def _block(self, name: str) -> None:
        self.on.pop(name, None)
        self.blocked.add(name)


def _assemble(
    root: Path, file: Path | None, layers: Sequence[Layer], environ: Mapping[str, str], user: Path | None
) -> Config:
    values: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    faults: dict[str, list[str]] = {}
    selection = _Selection()
    for layer in layers:
        values = _merge(values, layer.values)
        tables = _merge(tables, layer.tables)
        selection.hear(layer)
        for name, several in layer.table_faults.items():
            faults.setdefault(name, []).extend(several)
    plugin_paths = [path for layer in reversed(layers) for path in layer.values["plugin_paths"]]
    values.pop("plugin_paths", None)
    taking_part = [layer.label for layer in layers if layer.names or layer.tables or len(layer.values) > 1]
    return Config(
        root=root,
        file=file,
        sources=taking_part,
        project=values.pop("project", root.name or "default"),
        dir=values.pop("dir", root / ".tracelet"),
        mode=values.pop("mode", "online"),
        strict=values.pop("strict", False),
        run_id=values.pop("run_id", None),
        resume=values.pop("resume", False),
        plugins=list(selection.on),
        blocked=frozenset(selection.blocked),
        disabled=frozenset(selection.off),
        autoload=values.pop("autoload", True),
        plugin_paths=plugin_paths,
        default_plugin_paths=_default_paths(environ, user),
        tables=tables,
        table_faults=faults,
        deadlines={**settings.DEADLINES, **values.pop("deadlines", {})},
        settings=values,
    )


def _default_paths(environ: Mapping[str, str], user: Path | None) -> list[Path]:
    own = [user / "plugins"] if user else []
    named = environ.get("TRACELET_PLUGIN_PATH", "").split(os.pathsep)
    return own + [Path.cwd() / Path(each).expanduser() for each in named if each.strip()]
