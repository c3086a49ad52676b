"""How names, values, parameters and media appear in ClearML. Pure rules, without input or output."""

from __future__ import annotations

import json
import math
import mimetypes
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from tracelet_builtin_plugins.naming import fit_name
from tracelet_hookspecs import MetricData

__all__ = [
    "MAPPING",
    "TASK_TYPES",
    "clean_text",
    "content_type",
    "far_path",
    "is_number_of_clearml",
    "iteration_of",
    "log_event",
    "media_event",
    "milliseconds",
    "parameter",
    "plot_event",
    "plot_of",
    "run_tag",
    "scalar_events",
    "status_of",
    "tag_key",
    "tag_text",
    "task_name",
    "title_and_series",
]

#: Elasticsearch refuses longer keywords (32,766 bytes), and a page shows a fraction of this.
NAME_LIMIT: Final = 1000
LARGEST_FLOAT: Final = 3.4028234663852886e38  # scalars are indexed as float32; larger ones are refused
MOST_ITERATION: Final = 2**63 - 1
SECTION: Final = "General"  # where ClearML's own task.connect() puts parameters
FACTS_SECTION: Final = "tracelet"  # where facts of the run are that ClearML has no field for
FACTS: Final = ("group", "job_type")
TASK_TYPES: Final = (
    *("training", "testing", "inference", "data_processing", "application", "monitor"),
    *("controller", "optimizer", "service", "qc", "custom"),
)

MAPPING: Final[Mapping[str, str]] = {
    "metrics": "'a/b/c' is series c of title a/b; a name without a slash is both title and series",
    "names over 1,000 characters": "shortened, with a hash at the end; half surrogates become '_'",
    "a repeated iteration": "ClearML keeps the last value of a series at an iteration",
    "a missing step": "whole seconds since the run's start, as ClearML counts for its own system metrics",
    "NaN, infinities and numbers beyond float32": "no scalar, where ClearML shows 0; a line of the console has them",
    "timestamps": "milliseconds, of the journal",
    "parameters": "texts with their type, in section General; the last value counts; lists and mappings as JSON",
    "tags": "key=value, or the key alone; tag tracelet=ID identifies the run",
    "group and kind of job": "hyperparameters of the section tracelet, by which tasks can be filtered",
    "media": "tables and histograms are plots, everything else is a debug sample",
    "artifacts": "each file is an artifact; its key is its path",
    "names of runs and projects": "extended with '_' to three characters, the least that ClearML accepts",
    "outcomes": "finished: completed, failed: failed, any other: stopped",
}

_UNENCODABLE: Final = re.compile(r"[\ud800-\udfff\0]")
_NO_TAG_KEY: Final = re.compile(r"[\ud800-\udfff\0=]")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.\-]|^\.+$")


def title_and_series(name: str) -> tuple[str, str]:
    """Return the title and the series of a metric.

    A name is split at its last slash, unless a part would be empty or both would be equal. Then both are the whole
    name, so that different names never meet: parts that are equal always stand for a name that was not split.
    """
    name = fit_name(name, refused=_UNENCODABLE, limit=NAME_LIMIT)
    title, _, series = name.rpartition("/")
    return (title, series) if title and series and title != series else (name, name)


def is_number_of_clearml(value: float) -> bool:
    """Say whether ClearML can store a number as a scalar."""
    return math.isfinite(value) and abs(value) <= LARGEST_FLOAT


def milliseconds(seconds: float | None) -> int:
    """Return a time in milliseconds."""
    return round((seconds or 0.0) * 1000)


def iteration_of(step: int | None, timestamp: float | None, started_at: float) -> int:
    """Return the iteration of a point; without a step, the whole seconds since the run's start."""
    if step is None:
        step = max(0, int((timestamp or started_at) - started_at))
    return max(-MOST_ITERATION - 1, min(MOST_ITERATION, int(step)))


def scalar_events(points: Iterable[MetricData], task: str, started_at: float) -> list[dict[str, Any]]:
    """Return the events for points, in order: scalars, and lines of the console for what no scalar can hold."""
    events = []
    for point in points:
        iteration = iteration_of(point.iteration, point.timestamp, started_at)
        when = milliseconds(point.timestamp)
        value = float(point.value)
        if not is_number_of_clearml(value):
            events.append(log_event(f"{point.name} = {value!r} at iteration {iteration}", task, when))
            continue
        title, series = title_and_series(point.name)
        events.append(
            _event("training_stats_scalar", task, when, iteration, title, series) | {"value": value}
        )
    return events


def log_event(text: str, task: str, when: int) -> dict[str, Any]:
    """Return a line of the task's console."""
    return {"type": "log", "task": task, "timestamp": when, "level": "warning", "msg": clean_text(text)}


def media_event(name: str, iteration: int, when: int, task: str, *, key: str, url: str) -> dict[str, Any]:
    """Return a debug sample: an image, a text, audio or another file."""
    title, series = title_and_series(name)
    return _event("training_debug_image", task, when, iteration, title, series) | {"key": key, "url": url}


def plot_event(name: str, iteration: int, when: int, task: str, plot: str) -> dict[str, Any]:
    """Return a plot; ``plot`` is a Plotly figure as JSON."""
    title, series = title_and_series(name)
    return _event("plot", task, when, iteration, title, series) | {"plot_str": plot}


def _event(kind: str, task: str, when: int, iteration: int, title: str, series: str) -> dict[str, Any]:
    return {
        "type": kind,
        "task": task,
        "timestamp": when,
        "iter": iteration,
        "metric": title,
        "variant": series,
    }


def plot_of(kind: str, name: str, content: bytes) -> str | None:
    """Return a medium as a Plotly figure, or ``None`` if it is none: then it is a debug sample."""
    makers = {"table": _table_plot, "histogram": _histogram_plot}
    if kind not in makers:
        return None
    try:
        trace = makers[kind](json.loads(content))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    layout = {"title": clean_text(name)}
    return json.dumps({"data": [trace], "layout": layout}, allow_nan=False, default=str)


def _table_plot(table: Mapping[str, Any]) -> dict[str, Any]:
    rows = [[_cell(cell) for cell in row] for row in table["rows"]]
    columns = [clean_text(str(column)) for column in table["columns"]]
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    return {"type": "table", "header": {"values": columns}, "cells": {"values": values}}


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return clean_text(value) if isinstance(value, str) else value


def _histogram_plot(histogram: Mapping[str, Any]) -> dict[str, Any]:
    edges = [float(edge) for edge in histogram["edges"]]
    pairs = list(pairwise(edges))
    return {
        "type": "bar",
        "x": [(low + high) / 2 for low, high in pairs],
        "width": [high - low for low, high in pairs],
        "y": list(histogram["counts"]),
    }


def parameter(key: str, value: Any, section: str = SECTION) -> dict[str, str]:
    """Return a parameter as ClearML describes it: a text, and the type that it had."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, list | tuple | dict):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    return {
        "section": section,
        "name": fit_name(key, refused=_UNENCODABLE, limit=NAME_LIMIT),
        "value": clean_text(text),
        "type": type(value).__name__,
        "description": "",
    }


def tag_text(key: str, value: Any) -> str:
    """Return a tag: ``key=value``, or the key alone if the value is empty."""
    text = tag_key(key)
    return text if value in ("", None, True) else clean_text(f"{text}={value}")


def tag_key(key: str) -> str:
    """Return a tag's key; a ``=`` in it would be taken for the beginning of the value."""
    return fit_name(key, refused=_NO_TAG_KEY, limit=NAME_LIMIT)


def run_tag(run_id: str) -> str:
    """Return the tag by which a run is found again."""
    return f"tracelet={run_id}"


def task_name(name: str) -> str:
    """Return the name of a task or a project; ClearML refuses names of fewer than three characters."""
    return clean_text(name).strip().ljust(3, "_")


def status_of(outcome: str) -> str:
    """Return the action by which a task ends with an outcome."""
    return {"finished": "completed", "failed": "failed"}.get(outcome, "stopped")


def clean_text(text: str) -> str:
    r"""Return a text without what UTF-8 or a database cannot hold: ``\0``, and half of a surrogate pair."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def far_path(*parts: str) -> str:
    """Return a path of plain ASCII, for a URL and for every storage; a changed part ends in a hash and its suffix."""
    return "/".join(_far_part(part) for whole in parts for part in whole.split("/") if part)


def _far_part(part: str) -> str:
    dot = part.rfind(".", 1)
    suffix = part[dot:] if dot > 0 and len(part) - dot <= 10 and not _UNSAFE.search(part[dot:]) else ""
    stem = part[: len(part) - len(suffix)]
    return fit_name(stem, refused=_UNSAFE, limit=120) + suffix


def content_type(name: str) -> str:
    """Return the media type of a file, from its name."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
