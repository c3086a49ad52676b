"""The configuration as the rest of the host uses it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.config.settings import PLUGIN_SETTINGS
from tracelet.errors import ConfigError
from tracelet.messages import closest
from tracelet.secrets import mask

ALWAYS_THE_HOSTS: Final = ("enabled", "deadlines")


class PluginOptions(NamedTuple):
    """What the host does with one plugin; ``None`` if it is not configured."""

    enabled: bool = True
    metrics: list[str] | None = None  # patterns of names, `!` excludes
    types: list[str] | None = None
    sources: list[str] | None = None
    ranks: tuple[int, ...] | None = None  # None: every rank
    deadlines: Mapping[str, float] = {}  # seconds; those that differ from the host's
    isolation: str | None = None
    interval: float | None = None  # seconds between two measurements of a collector


class Config(NamedTuple):
    """Everything that was configured, from all sources, checked and merged."""

    root: Path
    file: Path | None  # the project's file
    sources: list[str]  # the sources used, weakest first, for display
    project: str
    dir: Path  # the data folder
    mode: str
    strict: bool | str  # "all": any hook that fails
    run_id: str | None
    resume: bool
    plugins: list[str]  # to activate, in order
    blocked: frozenset[str]  # by no:NAME
    disabled: frozenset[str]  # by enabled = false
    autoload: bool
    plugin_paths: list[Path]  # as configured, then the user's plugin folder, then TRACELET_PLUGIN_PATH
    tables: dict[str, dict[str, Any]]  # [plugins.X], with ${NAME} resolved
    table_faults: dict[str, list[str]]  # faults in a plugin's table, which concern that plugin alone
    deadlines: dict[str, float]  # seconds, with defaults filled in
    settings: dict[str, Any]  # the other top-level keys that were given
    under_run: bool = False  # whether `tracelet run` runs the program

    @property
    def automagic(self) -> bool:
        """Whether all framework plugins are activated together."""
        return bool(self.settings.get("automagic"))

    def is_off(self, name: str) -> bool:
        """Return whether a plugin is switched off, by ``no:NAME`` or ``enabled = false``."""
        return name in self.blocked or name in self.disabled

    def plugin_config(
        self,
        name: str,
        declared: Collection[str] = (),
        *,
        check: Callable[[dict[str, Any]], Any] | None = None,
    ) -> tuple[PluginOptions, dict[str, Any]]:
        """Split a plugin's table into the host's keys and the plugin's own.

        ``declared`` are the keys of the plugin's schema: a key that it declares is its own, even if the host has a
        key of that name (``enabled`` and ``deadlines`` are always the host's). Raises :class:`ConfigError` with every
        fault of the host's part; those that ``check``, given the plugin's part, raises as a :class:`ConfigError` are
        added to them.
        """
        faults = list(self.table_faults.get(name, ()))
        options: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in self.tables.get(name, {}).items():
            path = f"plugins.{name}.{key}"
            if key in PLUGIN_SETTINGS and (key not in declared or key in ALWAYS_THE_HOSTS):
                options[key] = PLUGIN_SETTINGS[key](path, value, faults)
            elif meant := _slip(key, declared):
                faults.append(f"{path}: unknown key (did you mean {meant!r}?)")
            else:
                own[key] = value
        if faults:
            raise ConfigError([*faults, *self._more_faults(name, own, check)])
        return PluginOptions(**{**options, "enabled": not self.is_off(name)}), own

    def _more_faults(self, name: str, own: dict[str, Any], check: Callable[..., Any] | None) -> list[str]:
        """Return the faults of the plugin's own part, without those that follow from a variable that is not set."""
        if check is None:
            return []
        unresolved = {fault.split(": ")[1] for fault in self.table_faults.get(name, ())}
        try:
            check(own)
        except ConfigError as error:
            return [fault for fault in error.faults if fault.partition(": ")[0] not in unresolved]
        return []

    def masked(self) -> dict[str, Any]:
        """Return the whole configuration for display: plain values, secrets masked."""
        shown = {key: _shown(value) for key, value in self._asdict().items()}
        masked: dict[str, Any] = mask(shown)
        return masked

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{key}={value!r}' for key, value in self.masked().items())})"


def _slip(key: str, declared: Collection[str]) -> str | None:
    """Return the host's key that was meant, if the plugin declares its keys and none of them is similar."""
    if not declared or key in declared or closest(key, declared):
        return None
    return closest(key, PLUGIN_SETTINGS, cutoff=0.8)


def _shown(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, frozenset):
        return sorted(value)
    return [_shown(each) for each in value] if isinstance(value, list) else value
