"""Values of events, completed. The journal's schema has checked the type of each known key that is there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

MAX_TIME: Final = (
    253_402_300_800.0  # seconds since the epoch: the end of the year 9999, what datetime can hold
)
_COSTS: Final = ("calls", "errors", "wall_s", "cpu_s")
_OVERHEAD: Final = ("share", "call_s", "threads_cpu_s", "us_per_point")


def clean_text(text: str) -> str:
    """Return a text that UTF-8 can hold. Lone surrogates (of file names that are not Unicode) become ``\\udcXX``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def check_time(value: Any) -> float | None:
    """Return seconds since the epoch if they are between 1970 and 9999, else ``None``."""
    number = check_number(value)
    return number if number is not None and 0 <= number < MAX_TIME else None


def check_number(value: Any) -> float | None:
    """Return a finite float, or ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def complete_artifact(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of an artifact with all of its keys."""
    path = payload["path"]
    return {
        **payload,
        "artifact_path": payload.get("artifact_path"),
        "name": payload.get("name") or PurePosixPath(path).name,
        "media": payload.get("media"),
        "step": payload.get("step"),
        "files": complete_files(payload.get("files") or []),
    }


def complete_files(files: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of files with all of their keys."""
    return [{"size": 0, "sha256": None, **file} for file in files]


def complete_costs(plugins: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what each plugin cost, with all keys."""
    return {
        name: {
            **plugin,
            **{key: plugin.get(key) for key in ("type", "version", "state", "error")},
            **{key: plugin.get(key) or 0 for key in _COSTS},
        }
        for name, plugin in (plugins or {}).items()
    }


def complete_overhead(overhead: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what tracelet took of the program's time with all keys, empty if nothing is known of it."""
    if not overhead:
        return {}
    shed = overhead.get("shed")
    return {
        **overhead,
        **{key: check_number(overhead.get(key)) or 0.0 for key in _OVERHEAD},
        "limit": check_number(overhead.get("limit")),
        "shed": [each for each in shed if isinstance(each, str)] if isinstance(shed, list) else [],
    }
