"""Which hook receives an event, and with which arguments.

The journal may have come from someone else. A path in it is used only if it is relative and leads, without any
symbolic link, to a regular file or a folder inside the run's folder.
"""

from __future__ import annotations

import copy
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tracelet.journal import EventRecord
from tracelet.layout import media_kind

#: Why an event cannot be delivered at all; the record is counted as dropped with this reason.
UNSAFE_PATH: Final = "unsafe path"
UNREADABLE: Final = "unreadable"
GONE: Final = "file is gone"

_DRIVE: Final = re.compile(r"[A-Za-z]:")  # at the beginning, for a service on Windows


class UndeliverableError(Exception):
    """An event must not, or cannot, be delivered. It is counted under ``reason``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def hook_for(event: EventRecord, implements: Callable[[str], bool]) -> str:
    """Return the hook that receives an event, among those that the backend implements; "" if there is none."""
    if event.type == "artifact" and event.payload.get("media"):
        hooks: tuple[str, ...] = ("log_media", "log_artifact")
    else:
        hooks = _HOOKS.get(event.type, ())
    hooks = ("log_event", *hooks) if event.type not in _INTERNAL else ()
    return next((hook for hook in hooks if implements(hook)), "")


#: Events that concern only the journal itself.
_INTERNAL: Final = frozenset({"name", "columns", "dictionary", "skip"})
_HOOKS: Final = {
    "params": ("log_params",),
    "tags": ("set_tags", "run_changed"),
    "artifact": ("log_artifact",),
    "run": ("run_changed",),
    "untag": ("run_changed",),
}


def arguments_for(hook: str, event: EventRecord, run_dir: Path) -> dict[str, Any]:
    """Return the arguments of the call that delivers an event. They are the backend's own, to change as it likes.

    Raises :class:`UndeliverableError` for an event that says nothing usable, or leads out of the run's folder.
    """
    event = event._replace(payload=copy.deepcopy(event.payload))
    payload = event.payload
    if hook == "log_event":
        if event.type == "artifact":
            _inside(run_dir, payload.get("path"))
            _target(payload.get("artifact_path"))
        return {"type": event.type, "payload": payload, "timestamp": event.time}
    if hook == "log_params":
        return {"params": _mapping(event, "params")}
    if hook == "set_tags":
        return {"tags": _mapping(event, "tags")}
    if hook == "run_changed":
        if event.type == "untag":
            return {"changes": {"untag": payload["tags"]}}
        return {"changes": {"tags": _mapping(event, "tags")} if event.type == "tags" else payload}
    path = str(_inside(run_dir, payload.get("path")))
    target = _target(payload.get("artifact_path"))
    if hook == "log_artifact":
        return {"local_path": path, "artifact_path": target}
    name, step, kind = payload.get("name"), payload.get("step"), payload["media"]
    if not isinstance(kind, str):
        raise UndeliverableError(UNREADABLE, f"expected a kind of media, found {type(kind).__name__}")
    return {
        "name": name if isinstance(name, str) else os.path.basename(path),
        "step": int(step) if isinstance(step, int | float) and step == step // 1 else None,
        "kind": media_kind(kind, path),
        "path": path,
        "metadata": _metadata(event, target),
    }


def _mapping(event: EventRecord, key: str) -> dict[str, Any]:
    value = event.payload.get(key)
    if not isinstance(value, dict):
        raise UndeliverableError(UNREADABLE, f"expected a mapping of {key}, found {type(value).__name__}")
    return value


def _metadata(event: EventRecord, target: str | None) -> dict[str, Any]:
    """Return a record's data about a media file, other than its name."""
    payload, metadata = event.payload, {"artifact_path": target, "timestamp": event.time}
    files = payload.get("files")
    if isinstance(files, list) and len(files) == 1 and isinstance(files[0], dict):
        metadata |= {key: files[0][key] for key in ("size", "sha256") if key in files[0]}
    more = payload.get("metadata")
    return {**metadata, **more} if isinstance(more, dict) else metadata


def _target(path: Any) -> str | None:
    """Return an artifact's path among the run's artifacts."""
    if path is None:
        return None
    if not isinstance(path, str) or not _is_relative(path):
        raise UndeliverableError(
            UNSAFE_PATH, f"expected an artifact path below the run's artifacts, found {path!r}"
        )
    return path


def _inside(run_dir: Path, path: Any) -> Path:
    """Return the file or folder of an artifact, once nothing on the way to it, or in it, leads elsewhere."""
    if not isinstance(path, str):
        raise UndeliverableError(UNREADABLE, f"expected the path of an artifact, found {type(path).__name__}")
    if not path or not _is_relative(path):
        raise UndeliverableError(UNSAFE_PATH, f"expected a path inside the run's folder, found {path!r}")
    file = run_dir
    for part in PurePosixPath(path).parts:
        file = file / part
        _check(file, path)
    return file


def _is_relative(path: str) -> bool:
    """Say whether a path stays where it is joined to. Control characters are allowed: users have such files."""
    parts = path.replace("\\", "/").split("/")
    return not (parts[0] == "" or ".." in parts or "\0" in path or _DRIVE.fullmatch(parts[0]))


def _check(file: Path, path: str) -> None:
    try:
        mode = os.lstat(file).st_mode
    except FileNotFoundError:
        raise UndeliverableError(GONE, f"{path!r} is gone") from None
    except (OSError, ValueError) as error:
        raise UndeliverableError(UNREADABLE, f"{path!r}: {error}") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UndeliverableError(
            UNSAFE_PATH, f"expected a regular file or a folder, found {_kind_of(mode)} at {path!r}"
        )


def _kind_of(mode: int) -> str:
    return "a symbolic link" if stat.S_ISLNK(mode) else "a device or pipe"


def check_contents(path: str) -> None:
    """Check everything in a folder, right before a backend gets it. Raises :class:`UndeliverableError`."""
    if not os.path.isdir(path):
        return
    try:
        for entry in _walk(path):
            if not (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
                raise UndeliverableError(
                    UNSAFE_PATH,
                    "expected regular files and folders only, found a symbolic link, device or pipe at"
                    f" {entry.path!r}",
                )
    except OSError as error:
        raise UndeliverableError(UNREADABLE, str(error)) from None


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
