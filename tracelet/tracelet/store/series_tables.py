"""Several series as one table, with a row per step or a row per point."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from tracelet.store.point_columns import FLOATS, INTEGERS, concatenate, load_numpy
from tracelet.store.series import Series


def wide_table(several: Sequence[Series]) -> dict[str, Any]:
    """Return a column per metric and a row per step, with the last value at that step, or NaN if there is none."""
    module = load_numpy()
    if module is None:
        return _wide_table_plainly(several)
    steps = [module.asarray(series.points.steps) for series in several]
    rows = module.unique(module.concatenate(steps)) if steps else module.zeros(0, "int64")
    table = {"iteration": rows}
    for series, own in zip(several, steps, strict=True):
        column = module.full(len(rows), module.nan)
        column[module.searchsorted(rows, own)] = series.points.values  # the last of equal steps is kept
        table[series.name] = column
    return table


def _wide_table_plainly(several: Sequence[Series]) -> dict[str, Any]:
    rows = sorted({step for series in several for step in series.points.steps})
    table: dict[str, Any] = {"iteration": array(INTEGERS, rows)}
    for series in several:
        last = dict(zip(series.points.steps, series.points.values, strict=True))
        table[series.name] = array(FLOATS, [last.get(step, float("nan")) for step in rows])
    return table


def long_table(several: Sequence[Series], *, runs: bool = False) -> dict[str, Any]:
    """Return a row per point: ``metric``, ``iteration``, ``value``, ``timestamp``, ``rank`` if there is any."""
    table: dict[str, Any] = {}
    if runs:
        table["run"] = [series.run for series in several for _ in range(len(series))]
    table["metric"] = [series.name for series in several for _ in range(len(series))]
    columns = [series.table() for series in several]
    ranked = any("rank" in one for one in columns)
    for name in ("iteration", "value", "timestamp", *(["rank"] if ranked else [])):
        parts = [one[name] if name in one else _no_rank(len(one["value"])) for one in columns]
        table[name] = concatenate(parts) if parts else array(FLOATS)
    return table


def _no_rank(count: int) -> Any:
    return array(INTEGERS, [-1]) * count
