"""Names for the series of several trainings in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelet.run import Run

_counts: dict[str, dict[str, int]] = {}  # by run and framework


def series_prefix(run: Run | None, framework: str, *, continued: bool = False) -> str:
    """Return what the names of a training's series start with: nothing for a run's first one, ``2/`` for its second.

    A training that continues the latest one goes on with its series.
    """
    if run is None:
        return ""
    counts = _counts.setdefault(run.id, {})
    count = counts.get(framework, 0)
    if not continued or not count:
        count += 1
        counts[framework] = count
    return numbered("", count)


def numbered(name: str, count: int) -> str:
    """Return a prefix for the names of the first, second, ... of something: ``name/``, ``name-2/``."""
    if count == 1:
        return f"{name}/" if name else ""
    return f"{name}-{count}/" if name else f"{count}/"
