"""How records become OTLP: names, attributes, times. Nothing here needs a package or talks to a server."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from tracelet_builtin_plugins.naming import MARK_LENGTH, fit_name, mark_of

__all__ = [
    "MAPPING",
    "clean_text",
    "double",
    "is_like_step",
    "nanoseconds",
    "plain_value",
    "resource_attributes",
    "step_name",
    "valid_name",
]

MAPPING: Final[dict[str, str]] = {
    "metric names over 250 characters, or with others than A-Z a-z 0-9 _ . - /": (
        "replaced by '_', shortened, with a hash at the end; the attribute tracelet.name has the name"
    ),
    "the step": "a second gauge, NAME.step, with the same time",
    "the run, its project and the process": "resource attributes: tracelet.run.id, tracelet.project, tracelet.writer",
    "parameters, tags, artifacts, media, changes": "log records, if the receiver takes logs",
    "times before 1970 or after 2262": "the first and the last nanosecond of that range",
    "values": "doubles, NaN and infinities included",
}

_REFUSED: Final = re.compile(r"[^A-Za-z0-9_.\-/]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_STEP: Final = ".step"
_LONGEST: Final = 255 - len(_STEP)  # OpenTelemetry's limit, less room for the step's gauge
_LAST: Final = (1 << 63) - 1
_DEEPEST: Final = 30  # levels of nesting; protobuf readers stop at about 100, with three messages per level


def valid_name(name: str) -> str:
    """Return a name that OpenTelemetry's rules for instruments allow: it begins with a letter."""
    if name[:1].isascii() and name[:1].isalpha():
        return fit_name(name, refused=_REFUSED, limit=_LONGEST)
    return "m" + _REFUSED.sub("_", name)[: _LONGEST - 1 - MARK_LENGTH] + mark_of(name)


def step_name(name: str) -> str:
    """Return the name of the gauge that has a metric's steps."""
    return valid_name(name) + _STEP


def is_like_step(name: str) -> bool:
    """Say whether a metric's name looks like that of another metric's steps."""
    return name.endswith(_STEP)


def clean_text(text: str) -> str:
    """Return text that is valid UTF-8. A lone surrogate becomes U+FFFD, with a hash of the text at the end."""
    if _SURROGATE.search(text) is None:
        return text
    return fit_name(text, refused=_SURROGATE, limit=len(text) + MARK_LENGTH, replacement="\ufffd")


def nanoseconds(timestamp: float | None) -> int:
    """Return a time in nanoseconds since 1970; 0, which means unknown, for none. Different times stay different."""
    if timestamp is not None and 0 < timestamp < 9e9:  # nearly all of them
        seconds = int(timestamp)
        return max(1, seconds * 1_000_000_000 + round((timestamp - seconds) * 1e9))
    if timestamp is None or timestamp != timestamp:
        return 0
    if not abs(timestamp) < _LAST / 1e9:
        return _LAST if timestamp > 0 else 1
    return min(_LAST, math.floor(timestamp) * 1_000_000_000) if timestamp > 0 else 1


def double(value: Any) -> float:
    """Return a value as a double. Raises ``TypeError`` for what is not a number."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        raise TypeError(f"expected a number, found {type(value).__name__}") from None


def plain_value(value: Any, depth: int = 0) -> Any:
    """Return a value in the types that OTLP has: None, bool, int (64 bits), float, str, list and dict."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -_LAST <= value <= _LAST else str(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {clean_text(str(key)): plain_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEEPEST:
        return [plain_value(item, depth + 1) for item in value]
    if callable(tolist := getattr(value, "tolist", None)) and depth < _DEEPEST:
        return plain_value(tolist(), depth + 1)
    return clean_text(str(value))


def resource_attributes(
    run_id: str, run_name: str, project: str, writer: str, more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a resource says about a run. ``more`` comes from the user, and wins."""
    attributes = {
        "service.name": clean_text(project) or "tracelet",
        "tracelet.run.id": clean_text(run_id),
        "tracelet.run.name": clean_text(run_name),
        "tracelet.project": clean_text(project),
        "tracelet.writer": clean_text(writer),
    }
    return {**attributes, **{clean_text(str(key)): plain_value(value) for key, value in more.items()}}
