"""The collector ``code``: keeps what is needed to find the program's code again.

``docs/plugins/code.md`` describes the files.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_hookspecs import CollectorPlugin, PluginMetadata, PluginType, RunView, hookimpl

__all__ = ["CodeCollector"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "untracked_limit": {
        "type": "number",
        "default": 0.1,
        "description": "largest untracked file in the patch, in MB; 0 leaves untracked files out",
    },
    "patch_limit": {"type": "number", "default": 10, "description": "largest patch, in MB"},
    "script": {"type": "boolean", "default": True, "description": "keep the script itself"},
    "git_timeout": {
        "type": "number",
        "default": 5,
        "description": "time limit of one git command, in seconds",
    },
}


class CodeCollector(CollectorPlugin):
    """Records the script, and the difference between the working tree and its commit, as artifacts in ``code``."""

    _collection_interval = 3600
    _notes: dict[str, str] = {}

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="code",
            version=VERSION,
            type=PluginType.COLLECTOR,
            description="The script, and how the working tree differs from its commit",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"files"},
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)

    @hookimpl
    def start(self) -> None:
        """Forget the last run."""
        self._notes = {}

    @hookimpl
    def stop(self) -> None:
        """Nothing to release."""

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return what was recorded, or why not."""
        return dict(self._notes)

    @hookimpl
    def collect(self) -> dict[str, Any]:
        """Return nothing: the collector ``environment`` records the commit, the branch and the remote."""
        return {}

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Record the files. A part that cannot be had is noted in the status."""
        with tempfile.TemporaryDirectory(prefix="tracelet-code-") as folder:
            for name, record in (("script", self._script), ("patch", self._patch)):
                try:
                    self._notes[name] = record(run, Path(folder))
                except Exception as error:  # without git, say, the script is recorded all the same
                    self._notes[name] = f"{type(error).__name__}: {error}"

    def _script(self, run: RunView, folder: Path) -> str:
        """Record a copy of the script without its secrets."""
        from tracelet_builtin_plugins.collectors.code.patch import mask_lines

        path = find_script(run)
        if path is None or not self._config["script"]:
            return "none"
        copy = folder / path.name
        copy.write_bytes(mask_lines(path.read_bytes()))
        run.log_artifact(str(copy), "code")
        return path.name

    def _patch(self, run: RunView, folder: Path) -> str:
        from tracelet_builtin_plugins.collectors.code.patch import make_patch

        path = find_script(run)
        patch = make_patch(
            str(path.parent) if path is not None else os.getcwd(),
            timeout=self._config["git_timeout"],
            untracked_limit=int(self._config["untracked_limit"] * 1_000_000),
            limit=int(self._config["patch_limit"] * 1_000_000),
        )
        if not patch.data:
            return "no differences"
        file = folder / "diff.patch"
        file.write_bytes(patch.data)
        run.log_artifact(str(file), "code")
        return f"{len(patch.data)} bytes" + "".join(f"; {note}" for note in patch.left_out)


def find_script(run: RunView) -> Path | None:
    """Return the file that the program was started with, if it is one."""
    script = getattr(run, "script", None) or getattr(sys.modules.get("__main__"), "__file__", None)
    path = Path(script).absolute() if script else None
    return path if path is not None and path.is_file() else None
