"""The arguments of log_artifact: the path of a file or folder, and its path among the run's artifacts."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from tracelet.errors import RecordingError
from tracelet.run.run_files import fit_name, stored_name


def find_source(local_path: Any) -> tuple[Path, str]:
    """Return the file or folder that a program named, and its name: of a link, the link's own.

    Raises:
        RecordingError: it is not a path, it is empty, or nothing is there.
    """
    try:
        given = os.fsdecode(os.fspath(local_path))
    except Exception:  # also from an object's own __fspath__
        kind = type(local_path).__name__
        raise RecordingError(f"log_artifact: expected the path of a file or folder, found {kind}") from None
    if not given.strip() or "\0" in given:
        raise RecordingError(f"log_artifact: expected the path of a file or folder, found {given!r}")
    source = _existing(given)
    if source is None:
        raise RecordingError(f"log_artifact: expected a file or folder, found nothing at {given}")
    name = os.path.basename(given.rstrip("/"))
    if name in ("", ".", ".."):
        name = os.path.basename(os.path.realpath(given))
    if not name:
        raise RecordingError(f"log_artifact: expected a file or folder, found the root folder {given}")
    return source, stored_name(name)


def _existing(given: str) -> Path | None:
    """Return the path as given, or with a home folder in place of ``~`` if only that is there."""
    for path in (given, os.path.expanduser(given)):
        try:
            if os.path.lexists(path):
                return Path(path)
        except ValueError:
            return None
    return None


def check_artifact_path(artifact_path: Any) -> PurePosixPath:
    """Return a relative path below the artifacts.

    Raises:
        RecordingError: it leads outside, or is not a path.
    """
    try:
        given = os.fsdecode(os.fspath("" if artifact_path is None else artifact_path)).replace("\\", "/")
    except Exception:  # also from an object's own __fspath__
        given = "/"
    path = PurePosixPath(given)
    is_drive = len(path.parts[0]) == 2 and path.parts[0][1] == ":" if path.parts else False
    if path.is_absolute() or is_drive or ".." in path.parts or not _is_encodable(given):
        raise RecordingError(
            f"artifact_path: expected a relative path below the run's artifacts, found {artifact_path!r}"
        )
    return PurePosixPath(*(fit_name(part) for part in path.parts))


def _is_encodable(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeError:
        return False
