"""The keys of a configuration, and the check for each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tracelet import messages
from tracelet.config.interpolation import from_environment
from tracelet.messages import did_you_mean, mismatch, suggest_choice, unknown_key

MODES: Final = ("online", "offline", "disabled")
ISOLATIONS: Final = ("thread", "process")
DEADLINES: Final[Mapping[str, float]] = {
    "import": 30.0,
    "addhooks": 10.0,
    "initialize": 30.0,
    "start": 30.0,
    "stop": 10.0,
    "get_status": 2.0,
    "log": 30.0,
    "collect": 30.0,
    "process": 30.0,
    "run_started": 10.0,
    "run_ended": 10.0,
    "plugin_state_changed": 10.0,
    "report": 5.0,
    "import_runs": 3600.0,
    "ui_panels": 10.0,
}
#: Steps and hooks whose deadline has another name, or is shared.
DEADLINE_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(("log_metric", "log_metrics", "log_columns", "log_params", "log_artifact"), "log"),
    **dict.fromkeys(("log_media", "set_tags", "run_changed", "log_event"), "log"),
    **dict.fromkeys(("report_header", "report_summary"), "report"),
    **dict.fromkeys(("get_metadata", "validate"), "import"),
    "can_handle_type": "log",
    "is_available": "start",
    "process_metric": "process",
    "register": "addhooks",
}
GOALS: Final = ("min", "max", "last")  # which value of a metric counts
METRIC_TYPES: Final = (
    *("scalar", "tensor", "artifact", "parameter", "system", "custom", "histogram", "image"),
    *("text", "figure", "embedding", "video", "audio", "mesh", "hparams"),
)

#: A run's identifier, which names its folder.
RUN_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
RUN_ID_FORM: Final = "1 to 128 letters, digits, '.', '_' or '-', starting with a letter or digit"


def is_run_id(value: object) -> bool:
    """Return whether a run may have this identifier."""
    return isinstance(value, str) and re.fullmatch(RUN_ID, value) is not None


Check = Callable[[str, Any, list[str]], Any]  # (path, value, faults) -> the value to use


def text(path: str, value: Any, faults: list[str]) -> str:
    """Check for a string that is not empty."""
    if isinstance(value, str) and value.strip():
        return str.__str__(value)
    faults.append(mismatch(path, "a string that is not empty", value))
    return ""


def boolean(path: str, value: Any, faults: list[str]) -> bool:
    """Check for true or false; in a variable, also yes, no, on, off, 1 and 0."""
    value = from_environment(value, "boolean")
    if not isinstance(value, bool):
        faults.append(mismatch(path, "boolean", value))
    return value is True


def strictness(path: str, value: Any, faults: list[str]) -> bool | str:
    """Check for true, false or ``"all"``."""
    if value == "all":
        return "all"
    return boolean(path, value, faults)


def seconds(path: str, value: Any, faults: list[str]) -> float:
    """Check for a duration in seconds, above 0; ``inf`` is allowed."""
    number = from_environment(value, "number")
    if isinstance(number, (int, float)) and not isinstance(number, bool) and number > 0:
        return float(number)
    faults.append(mismatch(path, "a number above 0", value))
    return 0.0


def _percentage(text: str) -> float | None:
    try:
        return float(text.strip().removesuffix("%")) / 100
    except ValueError:
        return None


def share(path: str, value: Any, faults: list[str]) -> float:
    """Check for a part of a whole: from 0 to 1, or from "0%" to "100%"."""
    part = (
        _percentage(value) if isinstance(value, str) and "%" in value else from_environment(value, "number")
    )
    if isinstance(part, (int, float)) and not isinstance(part, bool) and 0 <= part <= 1:
        return float(part)
    faults.append(mismatch(path, 'a share, such as "0.5%" or 0.005', value))
    return 0.0


def texts(path: str, value: Any, faults: list[str]) -> list[str]:
    """Check for a list of strings; a single string is a list of one."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)):
        faults.append(mismatch(path, "array of strings", value))
        return []
    return [text(f"{path}[{at}]", each, faults) for at, each in enumerate(value)]


def path(path: str, value: Any, faults: list[str]) -> str:
    """Check for a path."""
    return text(path, os.fspath(value) if isinstance(value, os.PathLike) else value, faults)


def folder(path: str, value: Any, faults: list[str]) -> str:
    """Check for the path of a folder."""
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(given, str) and "://" in given:
        faults.append(
            f"{path}: expected a folder, found a URL; runs are recorded into a folder, and a backend copies them to"
            " other places"
        )
        return "."
    return text(path, given, faults)


def paths(path: str, value: Any, faults: list[str]) -> list[str]:
    """Check for a list of paths; a single one is a list of one."""
    given = value if isinstance(value, (list, tuple)) else [value]
    plain = [os.fspath(each) if isinstance(each, os.PathLike) else each for each in given]
    return texts(path, plain, faults)


def one_of(*allowed: str) -> Check:
    """Return the check for one of the given words."""

    def check(path: str, value: Any, faults: list[str]) -> str:
        if isinstance(value, str) and value in allowed:
            return str.__str__(value)
        faults.append(mismatch(path, messages.one_of(allowed), value) + suggest_choice(value, allowed))
        return allowed[0]

    return check


def is_plugin_name(name: object) -> bool:
    """Return whether plugins may have this name: whatever can be written after ``-p`` and in ``TRACELET_PLUGINS``."""
    return (
        isinstance(name, str)
        and bool(name)
        and name == name.strip()
        and name.isprintable()
        and "," not in name
        and not name.startswith(("-", "no:"))
    )


def plugin_names(path: str, value: Any, faults: list[str]) -> list[str]:
    """Check for plugin names: of an entry point, a module or a file; ``no:NAME`` blocks one."""
    names = texts(path, value, faults)
    for at, name in enumerate(names):
        if name and not is_plugin_name(name.removeprefix("no:")):
            faults.append(mismatch(f"{path}[{at}]", "the name of a plugin or module, or no:NAME", name))
    return names


def run_id(path: str, value: Any, faults: list[str]) -> str:
    """Check for a run's identifier, which names its folder."""
    if isinstance(value, str) and re.fullmatch(RUN_ID, value):
        return str.__str__(value)
    faults.append(mismatch(path, RUN_ID_FORM, value))
    return ""


def recording_ranks(path: str, value: Any, faults: list[str]) -> tuple[int, ...] | str | None:
    """Check for the ranks that record: as :func:`ranks`, or ``"separate"`` for one run per rank."""
    if value == "separate":
        return "separate"
    found: list[str] = []
    checked = ranks(path, value, found)
    faults += [fault.replace("'all', a rank", "'all', 'separate', a rank") for fault in found]
    return checked


def ranks(path: str, value: Any, faults: list[str]) -> tuple[int, ...] | None:
    """Check for ``"all"`` (``None``) or ranks: one number or a list of them."""
    if value == "all":
        return None
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    given = [from_environment(each, "integer") for each in given]
    if all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in given):
        return tuple(given)
    faults.append(mismatch(path, "'all', a rank or an array of ranks", value))
    return None


def metric_types(path: str, value: Any, faults: list[str]) -> list[str]:
    """Check for types of metrics; ``!`` before a type excludes it."""
    names = texts(path, value, faults)
    for at, name in enumerate(names):
        if name and name.removeprefix("!").strip() not in METRIC_TYPES:
            hint = did_you_mean(name.lstrip("!"), METRIC_TYPES)
            faults.append(f"{path}[{at}]: unknown type {name!r}{hint}")
    return names


def goals(path: str, value: Any, faults: list[str]) -> dict[str, str]:
    """Check for a table of goals, by name or pattern of metrics."""
    if not isinstance(value, Mapping):
        faults.append(mismatch(path, "a table of goals", value))
        return {}
    check = one_of(*GOALS)
    return {name: check(f"{path}.{name}", goal, faults) for name, goal in value.items()}


def deadlines(path: str, value: Any, faults: list[str]) -> dict[str, float]:
    """Check for a table of deadlines, in seconds."""
    if not isinstance(value, Mapping):
        faults.append(mismatch(path, "a table of seconds", value))
        return {}
    checked: dict[str, float] = {}
    for step, limit in value.items():
        if step in DEADLINES:
            checked[step] = seconds(f"{path}.{step}", limit, faults)
        else:
            faults.append(unknown_key(f"{path}.{step}", DEADLINE_OF.get(step, step), DEADLINES))
    return checked


def tables(path: str, value: Mapping[str, Any], faults: list[str]) -> dict[str, dict[str, Any]]:
    """Check for a table per plugin, or true or false instead, for ``enabled``."""
    checked: dict[str, dict[str, Any]] = {}
    for name, table in value.items():
        at = f"{path}.{name}"
        if not is_plugin_name(name):
            faults.append(mismatch(at, "the name of a plugin or module", name))
        elif isinstance(table, Mapping):
            checked[name] = dict(table)
        elif isinstance(table, bool):
            checked[name] = {"enabled": table}
        else:
            faults.append(mismatch(at, "a table", table))
    return checked


SETTINGS: Final[Mapping[str, Check]] = {
    "project": text,
    "activate": plugin_names,
    "plugin_paths": paths,
    "dir": folder,
    "mode": one_of(*MODES),
    "not_secret": texts,
    "strict": strictness,
    "budget": share,
    "deadlines": deadlines,
    "goals": goals,
    "start_timeout": seconds,
    "finish_timeout": seconds,
    "quiet": boolean,
    "automagic": boolean,
    "ranks": recording_ranks,
}
RUN_SETTINGS: Final[Mapping[str, Check]] = {"run_id": run_id, "resume": boolean}
PLUGIN_SETTINGS: Final[Mapping[str, Check]] = {
    "enabled": boolean,
    "metrics": texts,
    "types": metric_types,
    "sources": texts,
    "ranks": ranks,
    "deadlines": deadlines,
    "isolation": one_of(*ISOLATIONS),
    "interval": seconds,
}
