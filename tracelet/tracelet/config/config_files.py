"""Read configuration files. Every fault names its file, line and column."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.config.interpolation import interpolate
from tracelet.config.project import PYPROJECT, parse_toml
from tracelet.errors import ConfigError
from tracelet.secrets import seal

_PLACE: Final = r" \(at line (\d+), column (\d+)\)$"


class MissingFileError(ConfigError, FileNotFoundError):
    """A configuration file does not exist."""


def read_project_file(path: Path) -> dict[str, Any]:
    """Return the settings in a ``tracelet.toml``, or in a ``pyproject.toml`` under ``[tool.tracelet]``."""
    if path.name != PYPROJECT:
        return read_toml(path)
    table = read_toml(path).get("tool", {}).get("tracelet", {})
    if not isinstance(table, dict):
        raise ConfigError([f"{path}: tool.tracelet: expected a table, found {table!r}"])
    return table


def read_toml(path: Path) -> dict[str, Any]:
    """Return the contents of a TOML file, in which ``plugins`` may be a list and tables at once.

    The list is then found under ``activate``. A ``pyproject.toml`` is parsed as plain TOML, because other tools read
    it, too.
    """
    from tracelet.config.toml_text import PLUGIN_LIST, rename_plugin_list

    text = _read_text(path)
    try:
        values = parse_toml(text if path.name == PYPROJECT else rename_plugin_list(text))
    except ValueError as error:
        raise ConfigError([_toml_fault(path, text, error)]) from None
    if PLUGIN_LIST in values:
        names = values.pop(PLUGIN_LIST)
        if "plugins" in values:
            values["activate"] = [*names, *values.get("activate", [])]
        else:
            values["plugins"] = names
    return values


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: expected UTF-8 text, found {error.reason}"]) from None
    except FileNotFoundError:
        raise MissingFileError([f"{path}: no such file"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror or error}"]) from None


def _toml_fault(path: Path, text: str, error: ValueError) -> str:
    from tracelet.config.toml_text import second_plugins

    if path.name == PYPROJECT and (lines := second_plugins(text)):
        return (
            f"{path}:{lines[1]}: `plugins` is a list in line {lines[0]} and a table here, which TOML does not"
            ' allow; name the plugins in `activate = ["..."]`'
        )
    message = str(error).replace(" (at end of document)", _end_of(text))
    place = re.search(_PLACE, message)
    if place is None:
        return f"{path}: not valid TOML: {message}"
    return f"{path}:{place[1]}:{place[2]}: not valid TOML: {message[: place.start()]}"


def _end_of(text: str) -> str:
    lines = text.split("\n")
    return f" (at line {len(lines)}, column {len(lines[-1]) + 1})"


def load_mapping(path: str | Path, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the contents of a JSON or TOML file, by its suffix, with ``${NAME}`` resolved.

    Raises :class:`ConfigError` for a file that is missing, malformed or of another kind, naming the
    place; and for variables that are not set, all of them.
    """
    path = Path(path)
    readers = {".toml": read_toml, ".json": _read_json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        found = path.suffix or path.name
        raise ConfigError([f"{path}: expected a file named *.json or *.toml, found {found!r}"])
    faults: list[str] = []
    values = interpolate(reader(path), os.environ if environ is None else environ, "", faults)
    if faults:
        raise ConfigError(faults, source=str(path))
    sealed: dict[str, Any] = seal(values)
    return sealed


def _read_json(path: Path) -> dict[str, Any]:
    import json

    try:
        values = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise ConfigError([f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}"]) from None
    if not isinstance(values, dict):
        raise ConfigError([f"{path}: expected a JSON object, found {type(values).__name__}"])
    return values
