"""Values of runs by the names that ``where`` and ``sort`` use: ``params.lr``, ``metrics.acc.max``, ``duration``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracelet.store.goals import best_value
from tracelet.store.record import RunRecord
from tracelet.store.where import Field, parse_field


def read_columns(records: Sequence[RunRecord], columns: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of fields such as ``params.lr`` or ``metrics.acc.max``, one per run and ``None`` if missing."""
    fields = {text: parse_field(text, "column") for text in columns}
    return {text: [_read_field(record, field) for record in records] for text, field in fields.items()}


def _read_field(record: RunRecord, field: Field) -> Any:
    if field.kind == "metrics":
        known = record.summary()
        key = next((one for one in field.keys if one in known), field.key)
        summary = known.get(key)
        if summary is not None and field.statistic == "best":
            return best_value(summary, record.goal(key))
        return None if summary is None else summary[field.statistic]  # type: ignore[literal-required]
    if field.kind in ("params", "tags"):
        values = getattr(record, field.kind)
        return next((values[one] for one in field.keys if one in values), None)
    return getattr(record, {"started": "started_at", "ended": "ended_at"}.get(field.kind, field.kind))


def find_differing_params(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Return the parameters that are not the same in all runs: their values, one per run."""
    names = dict.fromkeys(name for record in records for name in record.params)
    table = {name: [record.params.get(name) for record in records] for name in names}
    return {name: cells for name, cells in table.items() if len({*map(repr, cells)}) > 1 or len(records) == 1}
