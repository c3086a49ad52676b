"""What a far side has, and how that is compared with what it should have."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs


class _LeftOut:
    def __repr__(self) -> str:
        return "LEFT_OUT"


#: What a mapping hook (``far_name``, ``far_value``, ...) returns for something that the far side never gets.
LEFT_OUT: Final = _LeftOut()

#: One point at the far side: step, value, seconds since the epoch. ``None`` for a time that it does not keep.
Row = tuple[Any, Any, Any]
_SHOWN: Final = 5  # differences that a message names


@attrs.define
class FarSide:
    """What a far side has of a run, in its own reader's words. A part that is ``None`` is not compared.

    ``params``, ``tags`` and ``artifacts`` may be mappings, or pairs as the far side lists them: then a key that is
    there twice is a difference.

    ``metrics`` maps each name to its points, ``(step, value, timestamp)``, in the far side's order. ``artifacts`` maps
    each path to the file's bytes, its size, or its SHA-256 in hexadecimal. ``media`` holds ``(name, step, kind)`` or
    ``(name, step, kind, bytes)``.
    """

    metrics: Mapping[str, Sequence[Row]] | None = None
    params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None
    tags: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None
    artifacts: Mapping[str, bytes | int | str] | Iterable[tuple[str, bytes | int | str]] | None = None
    media: Iterable[tuple[Any, ...]] | None = None


def find_differences(
    expected: FarSide,
    found: FarSide,
    *,
    tolerance: float | None = None,
    ordered: bool = False,
    repeats: bool = False,
) -> list[str]:
    """Return how the two differ, in words; at most a few of each kind.

    Args:
        expected: what should be there. found: what is there.
        tolerance: seconds that timestamps may differ; ``None`` does not compare them.
        ordered: whether the points of a metric must be in the expected order.
        repeats: whether a point may be there several times.
    """
    if repeats:
        found = attrs.evolve(found, metrics=_without_repeats(expected.metrics, found.metrics), media=None)
    differences: list[str] = []
    if expected.metrics is not None and found.metrics is not None:
        differences += _metric_differences(expected.metrics, found.metrics, tolerance, ordered)
    for what in ("params", "tags", "artifacts"):
        wanted, had = getattr(expected, what), getattr(found, what)
        if wanted is not None and had is not None:
            known, repeated = _as_mapping(had)
            if repeated and not repeats:
                differences.append(
                    f"{_count(repeated, what.removesuffix('s'))} there twice: {_few(repeated)}"
                )
            if what == "artifacts":
                differences += _file_differences(wanted, known)
            else:
                differences += _value_differences(what, wanted, known)
    if expected.media is not None and found.media is not None:
        differences += _media_differences(list(expected.media), list(found.media))
    return differences


def _as_mapping(part: Any) -> tuple[Mapping[str, Any], list[str]]:
    """Return a part as a mapping, and the keys that it has more than once."""
    if isinstance(part, Mapping):
        return part, []
    pairs = list(part)
    counts = Counter(key for key, _ in pairs)
    return dict(pairs), [key for key, count in counts.items() if count > 1]


def _without_repeats(
    wanted: Mapping[str, Sequence[Row]] | None, had: Mapping[str, Sequence[Row]] | None
) -> Mapping[str, Sequence[Row]] | None:
    """Return the points without those that are there more often than expected."""
    if wanted is None or had is None:
        return had
    kept: dict[str, list[Row]] = {}
    for name, rows in had.items():
        room = Counter(_key(row) for row in wanted.get(name, ()))
        limits = {key: max(1, count) for key, count in room.items()}
        seen: Counter[Any] = Counter()
        kept[name] = []
        for row in rows:
            seen[_key(row)] += 1
            if seen[_key(row)] <= limits.get(_key(row), 1):
                kept[name].append(row)
    return kept


def _metric_differences(
    wanted: Mapping[str, Sequence[Row]],
    had: Mapping[str, Sequence[Row]],
    tolerance: float | None,
    ordered: bool,
) -> list[str]:
    differences = []
    missing = [name for name in wanted if wanted[name] and not had.get(name)]
    extra = [name for name in had if had[name] and not wanted.get(name)]
    if missing:
        differences.append(f"{_count(missing, 'metric')} missing: {_few(missing)}")
    if extra:
        differences.append(f"{_count(extra, 'metric')} that should not be there: {_few(extra)}")
    for name in wanted:
        if wanted[name] and had.get(name):
            differences += _row_differences(name, list(wanted[name]), list(had[name]), tolerance, ordered)
    return _shortened(differences)


def _row_differences(
    name: str, wanted: list[Row], had: list[Row], tolerance: float | None, ordered: bool
) -> list[str]:
    label = f"metric {short(name)}"
    expected_keys, found_keys = [_key(row) for row in wanted], [_key(row) for row in had]
    lost = Counter(expected_keys) - Counter(found_keys)
    repeated = Counter(found_keys) - Counter(expected_keys)
    if lost or repeated:
        parts = []
        if len(wanted) != len(had):
            parts.append(f"expected {len(wanted)} points, found {len(had)}")
        if lost:
            parts.append(f"missing {_few(map(_row_text, lost))}")
        if repeated:
            parts.append(f"too many {_few(map(_row_text, repeated))}")
        return [f"{label}: {'; '.join(parts)} (step, value)"]
    if ordered and expected_keys != found_keys:
        at = next(
            i for i, pair in enumerate(zip(expected_keys, found_keys, strict=True)) if pair[0] != pair[1]
        )
        return [
            f"{label}: out of order from point {at} on: expected {_row_text(expected_keys[at])},"
            f" found {_row_text(found_keys[at])}"
        ]
    return _time_differences(label, wanted, had, tolerance) if tolerance is not None else []


def _time_differences(label: str, wanted: list[Row], had: list[Row], tolerance: float) -> list[str]:
    if any(row[2] is None for row in had):
        return []
    expected_rows, found_rows = _by_key_and_time(wanted), _by_key_and_time(had)
    for one, other in zip(expected_rows, found_rows, strict=True):
        if one[2] is not None and abs(one[2] - other[2]) > tolerance:
            return [
                f"{label}: the point {_row_text(_key(one))} has the time {other[2]:.6f}, the journal's is"
                f" {one[2]:.6f}"
            ]
    return []


def _by_key_and_time(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (repr(_key(row)), row[2] or 0.0))


def _key(row: Row) -> tuple[Any, Any]:
    step, value = row[0], row[1]
    if isinstance(value, float) and math.isnan(value):
        value = "nan"
    return step, value


def _row_text(key: tuple[Any, Any]) -> str:
    return f"({key[0]}, {key[1]})"


def _value_differences(what: str, wanted: Mapping[str, Any], had: Mapping[str, Any]) -> list[str]:
    label = what.removesuffix("s")
    missing = [key for key in wanted if key not in had]
    differences = [f"{_count(missing, label)} missing: {_few(missing)}"] if missing else []
    differences += [
        f"{label} {short(key)}: expected {short(value)}, found {short(had[key])}"
        for key, value in wanted.items()
        if key in had and not _same(value, had[key])
    ]
    return _shortened(differences)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return bool(one == other)


def _file_differences(wanted: Mapping[str, Any], had: Mapping[str, Any]) -> list[str]:
    missing = [path for path in wanted if path not in had]
    differences = [f"{_count(missing, 'file')} missing: {_few(missing)}"] if missing else []
    for path, content in wanted.items():
        if path in had and (fault := _content_difference(content, had[path])):
            differences.append(f"file {short(path)}: {fault}")
    return _shortened(differences)


def _content_difference(wanted: Any, had: Any) -> str | None:
    data = wanted.read_bytes() if isinstance(wanted, Path) else wanted
    if isinstance(had, int):
        return None if len(data) == had else f"expected {len(data)} bytes, found {had}"
    if isinstance(had, str):
        digest = hashlib.sha256(data).hexdigest()
        return None if digest == had else f"expected the SHA-256 {digest}, found {had}"
    if bytes(had) != data:
        return f"expected {len(data)} bytes, found {len(had)} that differ"
    return None


def _media_differences(wanted: list[Any], had: list[Any]) -> list[str]:
    lost = Counter(tuple(one[:3]) for one in wanted) - Counter(tuple(one[:3]) for one in had)
    extra = Counter(tuple(one[:3]) for one in had) - Counter(tuple(one[:3]) for one in wanted)
    differences = [f"media missing: {_few(map(str, lost))}"] if lost else []
    differences += (
        [f"media that should not be there, or are there twice: {_few(map(str, extra))}"] if extra else []
    )
    contents = {tuple(one[:3]): one[3] for one in had if len(one) > 3 and one[3] is not None}
    for name, step, kind, path in wanted:
        if (name, step, kind) in contents and (
            fault := _content_difference(path, contents[name, step, kind])
        ):
            differences.append(f"{kind} {short(name)}: {fault}")
    return _shortened(differences)


def short(value: Any) -> str:
    """Return a value's text for a message, cut in the middle if it is long."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:40]}...{text[-12:]} ({len(text) - 2} characters)"


def _few(values: Iterable[Any]) -> str:
    found = [value if isinstance(value, str) and value.startswith("(") else short(value) for value in values]
    rest = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + rest


def _count(values: Sequence[Any], noun: str) -> str:
    return f"{len(values)} {noun}{'s' * (len(values) != 1)}"


def _shortened(differences: list[str]) -> list[str]:
    if len(differences) <= _SHOWN:
        return differences
    return [*differences[:_SHOWN], f"and {len(differences) - _SHOWN} more differences"]
