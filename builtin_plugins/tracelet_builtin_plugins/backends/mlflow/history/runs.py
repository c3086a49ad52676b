"""What all stores of MLflow have in common: how a run there becomes one here."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tracelet_builtin_plugins.numbers import is_step
from tracelet_hookspecs import ImportedFile, ImportedPoints, ImportedRun, MetricType

__all__ = [
    "DAMAGED",
    "ELSEWHERE",
    "Series",
    "artifact_folder",
    "as_series",
    "find_artifacts",
    "make_points",
    "make_run",
]

DAMAGED: Final = "damaged records"
ELSEWHERE: Final = "artifact folders outside the source"
_OUTCOMES: Final = {
    "RUNNING": "running",
    "SCHEDULED": "running",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "killed",
    "1": "running",
    "2": "running",
    "3": "finished",
    "4": "failed",
    "5": "killed",
}
_NAME, _NOTES, _PARENT = "mlflow.runName", "mlflow.note.content", "mlflow.parentRunId"
_FACTS: Final = {
    "mlflow.source.name": "script",
    "mlflow.user": "user",
    "mlflow.source.git.commit": "git_commit",
    "mlflow.source.git.repoURL": "git_remote",
}
_MOST_FILES: Final = 100_000  # of one run

Series = tuple[list[int], list[float], list[float]]  # steps, values, times


def make_run(
    run_id: str,
    experiment: str,
    about: Mapping[str, Any],
    params: Mapping[str, str],
    tags: Mapping[str, str],
    metrics: Mapping[str, Series],
) -> ImportedRun:
    """Return a run. ``about`` has ``name``, ``status``, ``start_time`` and ``end_time`` (in milliseconds)."""
    facts = {fact: tags[tag] for tag, fact in _FACTS.items() if tags.get(tag)}
    return ImportedRun(
        key=run_id,
        name=tags.get(_NAME) or about.get("name") or run_id,
        project=experiment,
        params=params,
        tags={key: value for key, value in tags.items() if key not in (_NAME, _NOTES)},
        points=make_points(metrics),
        started_at=as_seconds(about.get("start_time")),
        ended_at=as_seconds(about.get("end_time")),
        outcome=_OUTCOMES.get(str(about.get("status"))),
        parent=tags.get(_PARENT) or None,
        notes=tags.get(_NOTES) or None,
        facts=facts,
    )


def make_points(metrics: Mapping[str, Series]) -> list[ImportedPoints]:
    """Return the points of all metrics; MLflow measures the machine under ``system/``."""
    return [
        ImportedPoints(name, *columns, MetricType.SYSTEM, "mlflow")
        if name.startswith("system/")
        else ImportedPoints(name, *columns)
        for name, columns in metrics.items()
    ]


def as_seconds(milliseconds: Any) -> float | None:
    """Return seconds, ``None`` for what is no time."""
    try:
        seconds = int(milliseconds) / 1000
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if seconds > 0 and math.isfinite(seconds) else None


def artifact_folder(uri: str, root: Path) -> Path | None:
    """Return the folder of a run's artifacts, if it is inside the source."""
    parts = urlsplit(uri)
    if parts.scheme == "mlflow-artifacts":  # kept by the server, by default beside the database
        path = root / "mlartifacts" / unquote(parts.path).lstrip("/")
    elif parts.scheme in ("", "file"):
        path = Path(unquote(parts.path) if parts.scheme else uri)
    else:
        return None
    path = Path(os.path.abspath(root / path))
    return path if path.is_relative_to(root) and path != root else None


def find_artifacts(folder: Path) -> Iterator[ImportedFile]:
    """Yield the files in a run's folder of artifacts. No link is followed."""
    count = 0
    for at, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        place = Path(at).relative_to(folder).as_posix()
        for path in (Path(at, name) for name in sorted(names)):
            count += 1
            if count > _MOST_FILES:
                return
            if not path.is_symlink() and path.is_file():
                yield ImportedFile(path.name, path=str(path), artifact_path=None if place == "." else place)


def as_series(rows: Iterable[Sequence[Any]], damage: dict[str, int]) -> dict[str, Series]:
    """Return columns by metric, of rows of name, step, value and milliseconds; what is no number is counted."""
    found: dict[str, Series] = {}
    for name, step, value, milliseconds in rows:
        try:
            at, number, when = int(step), float(value), int(milliseconds) / 1000
            is_whole = is_step(at) and (isinstance(step, str) or at == step)
        except (TypeError, ValueError, ArithmeticError):
            is_whole = False
        if not is_whole:
            damage[DAMAGED] = damage.get(DAMAGED, 0) + 1
            continue
        steps, values, times = found.setdefault(str(name), ([], [], []))
        steps.append(at)
        values.append(number)
        times.append(when)
    return found
