"""The files that a run keeps: those given to ``save``, and those in the run's folder for files."""

from __future__ import annotations

import glob as globbing
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from tracelet.compat.wandb.errors import UsageError
from tracelet.run import Run

_POLICIES: Final = ("live", "now", "end")
_NAME: Final = "files"


class SavedFiles:
    """Keeps files as artifacts, again if they have changed at the end."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._folder: str | None = None
        self._watched: dict[str, str | None] = {}  # path -> folder among the artifacts
        self._seen: dict[str, tuple[int, int]] = {}

    @property
    def folder(self) -> str:
        """The folder for the program's files, made when it is first asked for."""
        if self._folder is None:
            if self._run.dir.is_dir():
                self._folder = str(self._run.dir / _NAME)  # after a kill, it is found here
                os.makedirs(self._folder, mode=0o700, exist_ok=True)
            else:
                self._folder = tempfile.mkdtemp(prefix=f"{self._run.id}-files-")
        return self._folder

    def save(self, pattern: Any, base_path: Any, policy: str, glob: bool) -> list[str]:
        """Keep files and return their paths.

        Raises:
            UsageError: the policy is unknown.
        """
        if policy not in _POLICIES:
            raise UsageError(f"wandb.save: policy: expected one of {', '.join(_POLICIES)}, found {policy!r}")
        text = os.fspath(pattern)
        paths = sorted(globbing.glob(text, recursive=True)) if glob else [text]
        for path in paths:
            place = self._place(path, base_path)
            if policy != "end":
                self._keep(path, place)
            if policy != "now":
                self._watched[path] = place
        return paths

    def _place(self, path: str, base_path: Any) -> str | None:
        """Return the folder among the artifacts: that of the path below its base, or of a relative path itself."""
        base = os.fspath(base_path) if base_path is not None else None
        if (
            base is None
            and self._folder is not None
            and os.path.abspath(path).startswith(self._folder + os.sep)
        ):
            base = self._folder
        if base is None:
            base = os.path.dirname(path) if os.path.isabs(path) else "."
        inner = os.path.dirname(os.path.relpath(path, base))
        return None if inner in ("", ".") or inner.startswith("..") else inner

    def _keep(self, path: str, place: str | None) -> None:
        state = os.stat(path)
        mark = (state.st_size, state.st_mtime_ns)
        if self._seen.get(path) != mark:
            self._seen[path] = mark
            self._run.log_artifact(path, place)

    def record_last(self) -> None:
        """Keep what has changed, and what is in the folder for files."""
        for path, place in self._watched.items():
            if os.path.exists(path):
                self._keep(path, place)
        if self._folder is None:
            return
        for root, _, names in os.walk(self._folder):
            inner = os.path.relpath(root, self._folder)
            for name in sorted(names):
                self._keep(os.path.join(root, name), None if inner == "." else inner)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def restore(self, name: str, run_path: str | None, root: str) -> Any:
        """Copy a file that a run has kept, and open the copy.

        Raises:
            ValueError: the run has no such file.
        """
        from tracelet.compat.starting import store_of

        store = store_of(self._run)
        key = run_path.rpartition("/")[2] if run_path else self._run.id
        records = [store.run(key)] if store is not None else []
        found = [
            record.dir / one["path"]
            for record in records
            for one in record.artifacts
            if one["media"] is None and "/".join(filter(None, (one["artifact_path"], one["name"]))) == name
        ]
        if not found:
            raise ValueError(f"File {name} not found in {run_path or key}.")
        target = Path(root) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found[-1], target)
        return target.open(encoding="utf-8", errors="replace")
