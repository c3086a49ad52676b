"""The collector ``console``: records what the program and its children print.

``docs/plugins/console.md`` describes the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_hookspecs import CollectorPlugin, PluginMetadata, PluginType, RunView, hookimpl

__all__ = ["ConsoleCollector"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "limit": {
        "type": "number",
        "default": 8,
        "description": "size of the transcript in MB; beyond, lines in the middle are left out",
    },
}


class ConsoleCollector(CollectorPlugin):
    """Puts a process between the program's standard streams and where they lead, which passes on and records."""

    _collection_interval = 3600
    _capture: Any = None

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="console",
            version=VERSION,
            type=PluginType.COLLECTOR,
            description="Standard output and standard error, as a terminal would show them",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"files"},
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration. Raises ``ValueError`` for a limit that is not positive."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)
        if not self._config["limit"] > 0:
            raise ValueError(
                f"plugins.console.limit: expected a size in MB above 0, found {self._config['limit']}"
            )

    @hookimpl
    def start(self) -> None:
        """Nothing to prepare: capturing begins with the run."""

    @hookimpl
    def stop(self) -> None:
        """Give the standard streams back."""
        self._end()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return whether the streams are captured, and why not."""
        capture = self._capture
        status: dict[str, Any] = {"capturing": capture is not None and capture.is_active}
        if capture is not None and capture.failure:
            status["failure"] = capture.failure
        return status

    @hookimpl
    def collect(self) -> dict[str, Any]:
        """Return nothing: the transcript is in the run's folder."""
        return {}

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Begin to capture. Raises ``OSError`` if the standard streams are closed."""
        from tracelet_builtin_plugins.collectors.console.capture import Capture

        capture = Capture(Path(run.dir) / "console", int(self._config["limit"] * 1_000_000))
        capture.start()
        self._capture = capture

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Give the standard streams back, once everything printed has been passed on."""
        self._end()

    def _end(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.stop()
