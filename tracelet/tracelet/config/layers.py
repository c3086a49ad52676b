"""Read and check one source of configuration at a time, and seal its secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tracelet.config import config_files, settings, variables
from tracelet.config.interpolation import interpolate
from tracelet.config.project import absolute
from tracelet.errors import ConfigError
from tracelet.messages import did_you_mean
from tracelet.secrets import seal


class Layer(NamedTuple):
    """The settings of one source."""

    label: str
    values: Mapping[str, Any] = {}
    names: Sequence[str] = ()  # plugins to activate, or no:NAME
    tables: Mapping[str, dict[str, Any]] = {}
    table_faults: Mapping[str, list[str]] = {}

    @property
    def silent(self) -> bool:
        """Whether the source has no settings."""
        return not (self.values or self.names or self.tables)


def from_file(path: Path, environ: Mapping[str, str], faults: list[str]) -> Layer:
    """Read a configuration file and resolve the variables in it."""
    try:
        given = config_files.read_project_file(path)
    except ConfigError as error:
        faults.extend(error.faults)
        return Layer(str(path))
    own: list[str] = []
    plugins = given.pop("plugins", {})
    if isinstance(plugins, list):
        plugins = interpolate(plugins, environ, "plugins", own)
    layer = _layer(str(path), interpolate(given, environ, "", own), plugins, path.parent, own)
    faults.extend(f"{path}: {fault}" for fault in own)
    return _interpolated(layer, environ, faults)


def _interpolated(layer: Layer, environ: Mapping[str, str], faults: list[str]) -> Layer:
    """Resolve the variables in plugins' tables. One that is not set is a fault of that plugin alone."""
    tables: dict[str, dict[str, Any]] = {}
    table_faults: dict[str, list[str]] = {}
    for name, table in layer.tables.items():
        own: list[str] = []
        tables[name] = seal(interpolate(table, environ, f"plugins.{name}", own))
        if own:
            table_faults[name] = [f"{layer.label}: {fault}" for fault in own]
    _check_enabled(layer.label, tables, faults)
    return layer._replace(tables=tables, table_faults=table_faults)


def from_mapping(label: str, given: Mapping[str, Any], faults: list[str]) -> Layer:
    """Check what the program or the command line gave: keys as in a file, and ``run_id`` and ``resume``.

    ``None`` and ``resume=False`` are the defaults of their arguments, so they do not count as given.
    """
    own: list[str] = []
    rest = {key: value for key, value in given.items() if value is not None}
    if rest.get("resume") is False:
        del rest["resume"]
    plugins = rest.pop("plugins", {})
    layer = _layer(label, rest, plugins, None, own, settings.RUN_SETTINGS)
    faults.extend(f"{label}: {fault}" for fault in own)
    _check_enabled(label, layer.tables, faults)
    return layer._replace(tables=seal(layer.tables))


def _check_enabled(label: str, tables: Mapping[str, dict[str, Any]], faults: list[str]) -> None:
    """Check the only key of a table that is needed before plugins are known."""
    for name, table in tables.items():
        if "enabled" in table:
            own: list[str] = []
            table["enabled"] = settings.boolean(f"plugins.{name}.enabled", table["enabled"], own)
            faults.extend(f"{label}: {fault}" for fault in own)


def _layer(
    label: str,
    given: Mapping[str, Any],
    plugins: Any,
    base: Path | None,
    faults: list[str],
    more: Mapping[str, settings.Check] = {},
) -> Layer:
    """Check the keys of one source; ``base`` is the folder of its relative paths, by default the current one."""
    known = {**settings.SETTINGS, **more}
    names: list[str] = []
    tables: dict[str, dict[str, Any]] = {}
    if isinstance(plugins, Mapping):
        tables = settings.tables("plugins", plugins, faults)
    else:
        names = settings.plugin_names("plugins", plugins, faults)
    for key in given:
        if key not in known:
            known_keys = did_you_mean(key, ["plugins", *known])
            is_typo = "did you mean" in known_keys
            hint = "" if is_typo or not label.startswith("start_run") else "; pass hyperparameters as params="
            faults.append(f"unknown key {key!r}{known_keys}{hint}")
    values = {key: known[key](key, value, faults) for key, value in given.items() if key in known}
    names += values.pop("activate", [])
    if "dir" in values:
        values["dir"] = absolute(values["dir"], base)
    if "plugin_paths" in values:
        values["plugin_paths"] = [absolute(each, base) for each in values["plugin_paths"]]
    return Layer(label, values, names, tables)


def from_environment(environ: Mapping[str, str], faults: list[str]) -> Layer:
    """Check the variables ``TRACELET_*``."""
    read = variables.read_environment(environ, faults)
    values = {variables.VARIABLES[variable][0]: value for variable, value in read.items()}
    names = variables.named_plugins(environ, faults)
    if "dir" in values:
        values["dir"] = absolute(values["dir"])
    taking_part = [*read, *(["TRACELET_PLUGINS"] if names else [])]
    return Layer("environment: " + ", ".join(taking_part), values, names)
