"""The collector ``environment``: records the program's environment once per run.

``docs/plugins/environment.md`` lists every fact.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.collectors.environment.facts import (
    Facts,
    command,
    cpu,
    host,
    memory,
    packages,
    printable,
    python,
    system,
    variables,
)
from tracelet_builtin_plugins.collectors.environment.repository import git
from tracelet_hookspecs import CollectorPlugin, PluginMetadata, PluginType, hookimpl

__all__ = ["EnvironmentCollector"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "packages": {"type": "boolean", "default": True, "description": "installed packages and their versions"},
    "git": {
        "type": "boolean",
        "default": True,
        "description": "commit, branch, remote, and whether there are changes",
    },
    "git_timeout": {
        "type": "number",
        "default": 5,
        "description": "time limit of one git command, in seconds",
    },
    "directory": {"type": "string", "default": ".", "description": "the folder to run git in"},
    "env": {"type": "array", "default": [], "description": "environment variables to record; * is allowed"},
}


class EnvironmentCollector(CollectorPlugin):
    """Returns all facts at the first ``collect``, and nothing later. Every leaf is a string."""

    _collection_interval = 3600
    _absent: dict[str, str] = {}
    _collected = False

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="environment",
            version=VERSION,
            type=PluginType.COLLECTOR,
            description="Command line, Python, packages, host and git commit, once per run",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"facts"},
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)

    @hookimpl
    def start(self) -> None:
        """Prepare to collect once more."""
        self._collected, self._absent = False, {}

    @hookimpl
    def stop(self) -> None:
        """Nothing to release."""

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return whether the facts were collected, and why some are absent."""
        return {"collected": self._collected, "absent": dict(self._absent)}

    @hookimpl
    def collect(self) -> dict[str, Any]:
        """Return the facts, the first time; facts that are not available here are absent."""
        if self._collected:
            return {}
        found: Facts = {}
        for name, read in self._readers().items():
            try:
                found |= read()
            except (
                Exception
            ) as error:  # without git, /proc or a current folder, the other facts are still there
                self._absent[name] = f"{type(error).__name__}: {error}"
        self._collected = True
        return {"environment": printable(found)}

    def _readers(self) -> dict[str, Callable[[], Facts]]:
        config = self._config
        readers: dict[str, Callable[[], Facts]] = {
            "command": command,
            "directory": lambda: {"directory": os.getcwd()},
            "python": python,
            "host": host,
            "platform": system,
            "cpu": cpu,
            "memory": memory,
            "env": lambda: {"env": variables(config["env"])},
        }
        if config["packages"]:
            readers["packages"] = lambda: {"packages": packages()}
        if config["git"]:
            readers["git"] = lambda: {"git": git(config["directory"], config["git_timeout"])}
        return readers
