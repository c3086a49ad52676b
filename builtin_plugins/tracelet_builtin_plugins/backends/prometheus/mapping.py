"""How points become samples of Prometheus series: names, labels, times. Nothing here talks to a server."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tracelet_builtin_plugins.naming import MARK_LENGTH, fit_name
from tracelet_hookspecs import MetricData

__all__ = [
    "INFO",
    "MAPPING",
    "RESERVED",
    "SeriesKey",
    "check_labels",
    "clean_value",
    "info_key",
    "key_of",
    "label_text",
    "metric_name",
    "milliseconds",
    "series_labels",
]

MAPPING: Final[dict[str, str]] = {
    "metric names": "anything but letters, digits, '_', ':' becomes '_'; the label 'metric' has a changed name",
    "the step": "a second series, NAME_step, with the label 'step_of' and the same time",
    "the run and its writers": "the labels 'run', 'project' and 'writer'; its name: tracelet_run_info{name=...}",
    "points of a series within a millisecond, or out of order": "one millisecond apart, up to a minute",
    "times further out of order, or older than the server accepts": "left out, and counted in the status",
    "parameters, tags, artifacts, media": "not sent",
}

#: Labels that tracelet sets itself.
RESERVED: Final = frozenset({"run", "project", "writer", "metric", "step_of", "source", "kind", "name"})
INFO: Final = "tracelet_run_info"

_REFUSED: Final = re.compile("[^a-zA-Z0-9_:]")
_LABEL: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LARGEST: Final = 9.2e15  # seconds; Prometheus has 64-bit milliseconds

Labels = tuple[tuple[str, str], ...]


class SeriesKey(NamedTuple):
    """What distinguishes one series of a run from another."""

    name: str
    kind: str
    source: str | None
    writer: str
    is_step: bool = False


def metric_name(name: str) -> str:
    """Return a name that every version of Prometheus accepts."""
    fitted = _REFUSED.sub("_", name) or "_"
    return f"_{fitted}" if fitted[0].isdigit() else fitted


def label_text(text: str) -> str:
    """Return a label's value: any valid UTF-8. A lone surrogate becomes U+FFFD, with a hash of the text at the end."""
    if _SURROGATE.search(text) is None:
        return text
    return fit_name(text, refused=_SURROGATE, limit=len(text) + MARK_LENGTH, replacement="\ufffd")


def series_labels(key: SeriesKey, more: Mapping[str, str]) -> Labels:
    """Return all labels of a series, its name included, sorted as remote write wants them.

    Labels that are empty are left out: to Prometheus they mean the same as none. A name that was changed is kept in a
    label, so that two names which look the same afterwards are still two series.
    """
    fitted = metric_name(key.name)
    labels = {
        **more,
        "__name__": f"{fitted}_step" if key.is_step else fitted,
        "metric": label_text(key.name) or "''" if fitted != key.name else "",
        "step_of": (label_text(key.name) or "''") if key.is_step else "",
        "writer": label_text(key.writer),
        "source": label_text(key.source or ""),
        "kind": "" if key.kind in ("scalar", INFO) else key.kind,
    }
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def check_labels(labels: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels that a user wants on every series. Raises ``ValueError`` for what cannot be one."""
    for name, value in labels.items():
        if not _LABEL.fullmatch(name) or name.startswith("__"):
            raise ValueError(
                f"plugins.prometheus.labels: expected names of letters, digits and '_', found {name!r}"
            )
        if name in RESERVED:
            raise ValueError(f"plugins.prometheus.labels: {name!r} is set by tracelet; choose another name")
        if isinstance(value, (Mapping, list, tuple)):
            raise TypeError(
                f"plugins.prometheus.labels.{name}: expected a text, found {type(value).__name__}"
            )
    return {name: label_text(str(value)) for name, value in labels.items()}


def milliseconds(timestamp: float | None) -> int | None:
    """Return a time as Prometheus stores it; ``None`` for one that it cannot have."""
    if timestamp is None or not abs(timestamp) < _LARGEST:
        return None
    return round(timestamp * 1000)


def clean_value(value: Any) -> float:
    """Return a value as a double. Raises ``TypeError`` for what is not a number.

    Every NaN becomes the ordinary one: one of the others tells Prometheus that a series has ended.
    """
    try:
        number = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        raise TypeError(f"expected a number, found {type(value).__name__}") from None
    return math.nan if number != number else number


def info_key(writer: str) -> SeriesKey:
    """Return the series that says the run's name. Its kind tells it from a metric that somebody calls the same."""
    return SeriesKey(INFO, INFO, None, writer)


def key_of(point: MetricData, *, is_step: bool = False) -> SeriesKey:
    """Return the series that a point belongs to."""
    writer = point.id[0] if point.id else ""
    return SeriesKey(point.name, point.type.value, point.source, writer, is_step)
