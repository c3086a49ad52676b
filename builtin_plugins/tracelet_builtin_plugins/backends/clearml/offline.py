"""A task in ClearML's offline session: the folder that ``Task.import_offline_session`` uploads later."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.clearml import mapping
from tracelet_hookspecs import RunView

__all__ = ["FOLDER", "OfflineTask"]

FOLDER: Final = "clearml-offline"  # inside the run's folder
_TASK: Final = "task.json"
_METRICS: Final = "metrics.jsonl"
_LOG: Final = "log.jsonl"
_NO_FOLLOW: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class OfflineTask:
    """Appends to an offline session: each batch is one line, and a line that a kill has cut is removed."""

    def __init__(self, run: RunView, project: str, task_type: str) -> None:
        self.folder = safe_folder(run.dir)
        self.id = f"offline-{run.id}"
        for name in (_METRICS, _LOG):
            _remove_torn_line(self.folder / name)
        self._data = self._read() or self._new(run, project, task_type)
        self._write()

    @property
    def place(self) -> str:
        """The folder, for people."""
        return str(self.folder)

    @property
    def tags(self) -> list[str]:
        """The task's tags."""
        return list(self._data["tags"])

    def start(self) -> None:
        """Mark the task as running."""
        self._change({"status": "in_progress"})

    def end(self, outcome: str) -> None:
        """Note how the run ended. The import marks every task as completed."""
        self._change({"status": mapping.status_of(outcome), "status_reason": mapping.clean_text(outcome)})

    def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Append events: lines of the console to one file, all others to another."""
        for name, lines in (
            (_METRICS, [event for event in events if event["type"] != "log"]),
            (_LOG, [event for event in events if event["type"] == "log"]),
        ):
            if lines:
                _append(self.folder / name, json.dumps(lines, allow_nan=False) + "\n")

    def set_params(self, items: Sequence[Mapping[str, str]]) -> None:
        """Store parameters; a later value replaces an earlier one."""
        sections = self._data["hyperparams"]
        for item in items:
            sections.setdefault(item["section"], {})[item["name"]] = dict(item)
        self._write()

    def set_tags(self, tags: Sequence[str]) -> None:
        """Replace all tags."""
        self._change({"tags": list(tags)})

    def set_fields(self, fields: Mapping[str, Any]) -> None:
        """Change the name, the comment or the project."""
        renamed = {"project": "project_name"}
        self._change({renamed.get(key, key): value for key, value in fields.items()})

    def set_parent(self, run_id: str) -> None:
        """Put the task below that of another run, as if that had been recorded to a file, too."""
        self._change({"parent": f"offline-{run_id}"})

    def upload(self, source: Path, path: str) -> str:
        """Copy a file into the session, and return its address there."""
        target = self.folder / "data" / path
        _make_folders(self.folder, target.parent)
        part = target.with_name(f".{target.name}.part")
        with suppress(FileNotFoundError):
            part.unlink()
        with (
            open(source, "rb") as file,
            open(_open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as copy,
        ):
            shutil.copyfileobj(file, copy)
        os.replace(part, target)
        return str(target)

    def add_artifacts(self, artifacts: Sequence[Mapping[str, Any]]) -> None:
        """List artifacts; a later one replaces an earlier one with the same key."""
        listed = {item["key"]: item for item in self._data["execution"]["artifacts"]}
        listed.update({item["key"]: dict(item) for item in artifacts})
        self._data["execution"]["artifacts"] = list(listed.values())
        self._write()

    # -- the file that describes the task ---------------------------------------------------------------

    def _new(self, run: RunView, project: str, task_type: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": mapping.task_name(run.name),
            "project_name": mapping.task_name(project),
            "type": task_type,
            "status": "in_progress",
            "comment": "",
            "tags": [mapping.run_tag(run.id)],
            "hyperparams": {},
            "execution": {"artifacts": [], "parameters": {}, "model_desc": {}, "model_labels": {}},
            "output": {},
            "offline_folder": str(self.folder),
            "offline_output_models": [],
        }

    def _read(self) -> dict[str, Any] | None:
        """Return what an earlier process has stored, or None if there is nothing, or something else."""
        try:
            with open(_open(self.folder / _TASK, os.O_RDONLY), encoding="utf-8") as file:
                data = json.load(file)
        except FileNotFoundError:
            return None
        except ValueError:
            data = None
        if not _is_task(data, self.id):
            raise ValueError(
                f"{self.folder / _TASK}: expected a task of run {self.id.removeprefix('offline-')},"
                " found something else; move the folder away"
            )
        return {**data, "offline_folder": str(self.folder), **self._moved(data)}

    def _moved(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the artifacts with the addresses that they have after the run's folder was moved or copied."""
        before, after = f"{data['offline_folder']}/", f"{self.folder}/"
        artifacts = [
            {**item, "uri": after + item["uri"].removeprefix(before)}
            if str(item.get("uri")).startswith(before)
            else item
            for item in data["execution"]["artifacts"]
        ]
        return {"execution": {**data["execution"], "artifacts": artifacts}}

    def _change(self, changes: Mapping[str, Any]) -> None:
        if any(self._data.get(key) != value for key, value in changes.items()):
            self._data.update(changes)
            self._write()

    def _write(self) -> None:
        """Replace the file: a reader sees the old or the new one."""
        part = self.folder / f".{_TASK}.part"
        with suppress(FileNotFoundError):
            part.unlink()
        with open(_open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as file:
            json.dump(self._data, file)
        os.replace(part, self.folder / _TASK)


def _is_task(data: Any, task: str) -> bool:
    return (
        isinstance(data, dict)
        and data.get("id") == task
        and isinstance(data.get("offline_folder"), str)
        and isinstance(data.get("tags"), list)
        and isinstance(data.get("hyperparams"), dict)
        and isinstance(data.get("execution"), dict)
        and isinstance(data["execution"].get("artifacts"), list)
    )


def safe_folder(run_dir: Path) -> Path:
    """Create the session's folder. Raises ``ValueError`` if a link or a file is in its place.

    A run's folder may come from someone else; a link in it could lead to any folder of the user.
    """
    if not run_dir.is_dir():
        raise FileNotFoundError(f"the run's folder is gone: {run_dir}")
    folder = run_dir.absolute() / FOLDER
    _make_folders(run_dir.absolute(), folder)
    return folder


def _make_folders(base: Path, folder: Path) -> None:
    """Create a folder below another, and refuse links on the way."""
    path = base
    for part in folder.relative_to(base).parts:
        path = path / part
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise ValueError(f"{path}: expected a folder, found a link or a file; move it away")


def _open(path: Path, flags: int) -> int:
    """Open a regular file; never through a link."""
    try:
        fd = os.open(path, flags | _NO_FOLLOW, 0o600)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink() or not path.is_file():
            raise ValueError(f"{path}: expected a regular file ({error.strerror}); move it away") from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ValueError(f"{path}: expected a regular file; move it away")
    return fd


def _append(path: Path, text: str) -> None:
    """Append a line: all of it, or nothing after a failure such as a full disk."""
    fd = _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        end = os.fstat(fd).st_size
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except BaseException:
            os.ftruncate(fd, end)
            raise
    finally:
        os.close(fd)


def _remove_torn_line(path: Path) -> None:
    """Remove what follows the last newline: a batch that was not acknowledged, so it comes again."""
    try:
        fd = _open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        end = size = os.fstat(fd).st_size
        while end and os.pread(fd, 1, end - 1) != b"\n":
            start = max(0, end - 65_536)
            end = start + os.pread(fd, end - start, start).rfind(b"\n") + 1
        if end < size:
            os.ftruncate(fd, end)
    finally:
        os.close(fd)
