"""Checks of what an event says. A journal may come from a stranger, so nothing in it has the right type by itself.

Each function returns a value that the rest of the store can use, or ``None`` if the recorded one is unusable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

MAX_TIME: Final = (
    253_402_300_800.0  # seconds since the epoch: the end of the year 9999, what datetime can hold
)
MAX_COUNT: Final = (1 << 63) - 1
MAX_DEPTH: Final = 64  # levels of nesting in a value
_COSTS: Final = ("calls", "errors", "wall_s", "cpu_s")
_OVERHEAD: Final = ("share", "call_s", "threads_cpu_s", "us_per_point")


def clean_text(text: str) -> str:
    """Return a text that UTF-8 can hold. Lone surrogates (of file names that are not Unicode) become ``\\udcXX``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def check_text(value: Any) -> str | None:
    """Return a text."""
    return value if isinstance(value, str) else None


def check_time(value: Any) -> float | None:
    """Return seconds since the epoch, between 1970 and 9999."""
    number = check_number(value)
    return number if number is not None and 0 <= number < MAX_TIME else None


def check_number(value: Any) -> float | None:
    """Return a finite float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def check_count(value: Any) -> int | None:
    """Return an integer from 0 to 2**63 - 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_COUNT else None


def check_mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping, empty if the value is something else."""
    return value if isinstance(value, Mapping) else {}


def check_value(value: Any, depth: int = 0) -> Any:
    """Return a parameter, tag or fact. Levels below the deepest one allowed are left out."""
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {str(key): check_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [check_value(item, depth + 1) for item in value]
    return value


def check_path(value: Any) -> str | None:
    """Return a relative path that does not leave the run's folder by ``..``."""
    if not isinstance(value, str) or not value or "\0" in value or "\\" in value:
        return None
    path = PurePosixPath(value)
    return None if path.is_absolute() or ".." in path.parts or path == PurePosixPath() else value


def check_artifact(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record of an artifact whose paths are all inside the run's folder, ``None`` for any other."""
    path = check_path(payload.get("path"))
    listed = payload.get("files")
    if path is None or not isinstance(listed, list):
        return None
    files = [file for each in listed if (file := _check_file(each)) is not None]
    if len(files) != len(listed):
        return None
    artifact_path = payload.get("artifact_path")
    if artifact_path and check_path(artifact_path) is None:
        return None
    rest = {key: check_value(value) for key, value in payload.items()}
    return {
        **rest,
        "path": path,
        "artifact_path": check_text(artifact_path),
        "name": check_text(payload.get("name")) or PurePosixPath(path).name,
        "media": check_text(payload.get("media")),
        "step": payload["step"] if type(payload.get("step")) is int else None,
        "files": files,
    }


def _check_file(file: Any) -> dict[str, Any] | None:
    if not isinstance(file, Mapping):
        return None
    path, size = check_path(file.get("path")), check_count(file.get("size"))
    if path is None or size is None:
        return None
    rest = {key: check_value(value) for key, value in file.items()}
    return {**rest, "path": path, "size": size, "sha256": check_text(file.get("sha256"))}


def check_plugins(value: Any) -> dict[str, dict[str, Any]]:
    """Return what the plugins of a process cost, by name."""
    return {
        str(name): {
            **{key: check_value(item) for key, item in plugin.items()},
            **{key: check_text(plugin.get(key)) for key in ("type", "version", "state", "error")},
            **{key: check_number(plugin.get(key)) or 0 for key in _COSTS},
        }
        for name, plugin in check_mapping(value).items()
        if isinstance(plugin, Mapping)
    }


def check_overhead(value: Any) -> dict[str, Any]:
    """Return what tracelet took of the program's time in one process, empty if it was not recorded."""
    overhead = check_mapping(value)
    if not overhead:
        return {}
    shed = overhead.get("shed")
    return {
        **{key: check_value(item) for key, item in overhead.items()},
        **{key: check_number(overhead.get(key)) or 0.0 for key in _OVERHEAD},
        "limit": check_number(overhead.get("limit")),
        "shed": [each for each in shed if isinstance(each, str)] if isinstance(shed, list) else [],
    }
