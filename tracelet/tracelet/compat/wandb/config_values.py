"""``run.config``: what a run was configured with, recorded as its parameters."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from tracelet.compat.offered import note_once
from tracelet.compat.wandb.attribute_values import AttributeValues
from tracelet.compat.wandb.errors import ConfigError, UsageError


class Config(AttributeValues):
    """A mapping that also has its values as attributes. A value may be set once, unless a change is allowed."""

    def __init__(
        self, record: Callable[[Mapping[str, Any]], None], *, allow_val_change: bool = False
    ) -> None:
        super().__init__(record)
        object.__setattr__(self, "_locked", {})
        object.__setattr__(self, "_may_change", allow_val_change)

    def update(self, d: Any, allow_val_change: bool | None = None) -> None:
        """Set values: of a mapping, an ``argparse.Namespace`` or the like, or a YAML or JSON file.

        Raises:
            ConfigError: a value is there already, and a change is not allowed. Nothing is set then.
        """
        self._set(read_config(d), bool(allow_val_change))

    def setdefaults(self, d: Any) -> None:
        """Set the values that are not there yet."""
        self._set({key: value for key, value in read_config(d).items() if key not in self._values}, True)

    def update_locked(self, d: Any, user: str | None = None, _allow_val_change: bool | None = None) -> None:
        """Set values that the program does not change later, such as those of a sweep."""
        values = read_config(d)
        self._set(values, True)
        self._locked.update(dict.fromkeys(values, user or "sweep"))

    def _set(self, given: Mapping[str, Any], may_change: bool) -> None:
        values = {}
        for key, value in given.items():
            if key in self._locked:
                note_once(
                    f"wandb.config: {key!r} is set by the {self._locked[key]}; the program's value is ignored"
                )
            elif not (may_change or self._may_change) and self._differs(key, value):
                raise ConfigError(
                    f'Attempted to change value of key "{key}" from {self._values[key]!r} to {value!r}\n'
                    "If you really want to do this, pass allow_val_change=True to config.update()"
                )
            else:
                values[key] = value
        self._values.update(values)
        if values:
            self._record(values)

    def _differs(self, key: str, value: Any) -> bool:
        if key not in self._values:
            return False
        same = self._values[key] == value
        return not (bool(same) if not hasattr(same, "all") else bool(same.all()))

    def persist(self) -> None:
        """Do nothing: values are recorded when they are set."""

    def __setitem__(self, key: str, value: Any) -> None:
        self._set({key: value}, False)


def read_config(given: Any) -> dict[str, Any]:
    """Return the values of a mapping, of an object that holds some, or of a file.

    Raises:
        UsageError: it is nothing of that kind.
    """
    if given is None:
        return {}
    if isinstance(given, (str, os.PathLike)):
        return _read_file(Path(given))
    if isinstance(given, Mapping):
        return {str(key): value for key, value in given.items()}
    if hasattr(given, "as_dict"):
        return dict(given.as_dict())
    if callable(getattr(given, "flag_values_dict", None)):  # absl
        return dict(given.flag_values_dict())
    if callable(getattr(given, "keys", None)) and hasattr(given, "__getitem__"):
        return {str(key): given[key] for key in given.keys()}  # noqa: SIM118 - not every such object iterates over keys
    if hasattr(given, "__dict__"):
        return dict(vars(given))
    raise UsageError(f"wandb: config: expected a mapping, found {type(given).__name__}")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"wandb: config file {path} cannot be read: {error.strerror}") from None
    values = _parse(text, path)
    if not isinstance(values, dict):
        raise UsageError(f"wandb: config file {path}: expected a mapping, found {type(values).__name__}")
    # W&B's own files have a description and a value for each key.
    return {
        str(key): value["value"]
        if isinstance(value, dict) and set(value) in ({"value"}, {"value", "desc"})
        else value
        for key, value in values.items()
        if key != "wandb_version"
    }


def _parse(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        import yaml
    except ImportError:
        raise UsageError(
            f"wandb: config file {path} is not JSON, and YAML needs PyYAML: pip install pyyaml"
        ) from None
    return yaml.safe_load(text)


def choose_keys(
    config: Mapping[str, Any], include: Collection[str] | None, exclude: Collection[str] | None
) -> dict[str, Any]:
    """Return the values that ``config_include_keys`` and ``config_exclude_keys`` leave.

    Raises:
        UsageError: both are given.
    """
    if include and exclude:
        raise UsageError("Expected at most only one of config_include_keys or config_exclude_keys")
    if include:
        return {key: value for key, value in config.items() if key in include}
    return {key: value for key, value in config.items() if key not in (exclude or ())}
