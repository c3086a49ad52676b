"""What postgres makes of names, texts, times and numbers: injective, stable, and accepted by the format."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.postgres.copying import (
    FOOTER,
    HEADER,
    are_usual,
    encode_columns,
    encode_points,
    join_rows,
)
from tracelet_builtin_plugins.backends.postgres.mapping import (
    fit_text,
    json_text,
    make_name,
    microseconds,
    original_of,
    series_digest,
    tag_text,
    writer_uuid,
)
from tracelet_hookspecs import MetricColumns, MetricData

ODD_TEXT = st.text(st.sampled_from("a\x00\ufffd\ud800\udfff\u2400_0"), max_size=8)
TEXT = ODD_TEXT | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)


def is_accepted(text: str) -> bool:
    return "\x00" not in text and text == text.encode("utf-8", "ignore").decode()


@given(TEXT, TEXT)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert is_accepted(make_name(one))
    assert (make_name(one) == make_name(other)) == (one == other)


@given(TEXT)
def test_a_name_that_fits_stays_and_the_original_of_any_other_is_kept(name: str) -> None:
    if is_accepted(name):
        assert make_name(name) == name
        assert original_of(name) is None
    else:
        assert is_accepted(original_of(name))
        joined = name.encode("utf-16", "surrogatepass").decode(
            "utf-16", "surrogatepass"
        )  # as JSON does with pairs
        assert json.loads(original_of(name)) == joined


@given(JSON)
def test_any_parameter_becomes_strict_json_without_what_jsonb_refuses(value: Any) -> None:
    text = json_text(value)
    assert is_accepted(text)
    assert "\\u0000" not in text.replace("\\\\", "")
    json.loads(text, parse_constant=lambda word: 1 / 0)


@given(JSON)
def test_tags_are_text(value: Any) -> None:
    text = tag_text(value)
    assert (text is None) == (value is None)
    assert text is None or is_accepted(text)
    if isinstance(value, str):
        assert text == fit_text(value)


@given(st.floats(allow_nan=True) | st.none())
def test_times_are_within_what_timestamptz_holds(timestamp: float | None) -> None:
    found = microseconds(timestamp)
    if timestamp is None or math.isnan(timestamp):
        assert found is None
        return
    struct.pack(">q", found)
    if -2e11 < timestamp < 9e12:
        assert abs(found / 1e6 + 946_684_800 - timestamp) <= max(1e-5, abs(timestamp) * 1e-9)


@given(st.lists(TEXT, min_size=3, max_size=3), st.lists(TEXT, min_size=3, max_size=3), st.none() | TEXT)
def test_series_have_different_digests(one: list[str], other: list[str], source: str | None) -> None:
    assert (series_digest(*one, source) == series_digest(*other, source)) == (one == other)
    assert series_digest(*one, None) != series_digest(*one, "")


@given(st.uuids(), TEXT)
def test_writers_become_uuids(journal_id: Any, other: str) -> None:
    assert writer_uuid(journal_id.hex) == journal_id
    assert writer_uuid(other) == writer_uuid(other)


@given(
    st.lists(
        st.tuples(
            st.floats() | st.integers(),
            st.none() | st.integers(),
            st.floats(),
            st.integers(0, 2**63 - 1),
            st.integers(0, 2**31 - 1),
        ),
        max_size=5,
    )
)
def test_rows_can_be_read_back_by_the_format(points: list[tuple[Any, ...]]) -> None:
    given = [
        MetricData("m", value, iteration=step, timestamp=when, id=("w", sequence, index))
        for value, step, when, sequence, index in points
    ]
    rows = encode_points(given, {("m", "scalar", None): 5}, {"w": 6})
    text = b"".join(join_rows(rows))
    assert text.startswith(HEADER)
    assert text.endswith(FOOTER)
    for row, (value, step, when, sequence, index) in zip(rows, points, strict=True):
        assert read_row(row)[:4] == [5, 6, sequence, index]
        found, time, stored = read_row(row)[4:]
        assert found == as_double(value) or (found != found and value != value)
        assert time == microseconds(when)
        assert stored == (None if step is None else max(-(2**63), min(2**63 - 1, step)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["m", "n"]),
            st.floats() | st.integers(),
            st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
            st.floats(0.001, 3.9e9),
            st.integers(0, 2**63 - 1),
            st.integers(0, 2**31 - 1),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 400),
)
def test_columns_make_the_same_rows_as_points(points: list[tuple[Any, ...]], times: int) -> None:
    given = [
        MetricData(name, value, iteration=step, timestamp=when, id=("w", sequence, index))
        for name, value, step, when, sequence, index in points
    ] * times
    columns = MetricColumns.from_points(given)
    numbers = {"m": 5, "n": 6}
    assert are_usual(columns)
    header, *pieces, footer = encode_columns(columns, [numbers[key.name] for key in columns.keys], 7)
    assert (header, footer) == (HEADER, FOOTER)
    expected = encode_points(
        given, {(name, "scalar", None): number for name, number in numbers.items()}, {"w": 7}
    )
    assert sorted(split_rows(b"".join(pieces))) == sorted(expected)


def split_rows(data: bytes) -> list[bytes]:
    """Return the rows of a COPY: one without a step is 8 bytes shorter."""
    rows, at = [], 0
    while at < len(data):
        size = 78 if data[at + 66 : at + 70] == b"\0\0\0\x08" else 70
        rows.append(data[at : at + size])
        at += size
    return rows


@pytest.mark.parametrize("when", [0.0, -1.0, 5e9, math.nan, math.inf])
def test_unusual_times_are_left_to_the_points(when: float) -> None:
    point = MetricData("m", 1.0, iteration=1, timestamp=1.0, id=("w", 0, 0))
    odd = MetricData("m", 1.0, iteration=1, timestamp=when, id=("w", 1, 0))
    assert not are_usual(MetricColumns.from_points([point, odd, point]))
    assert not are_usual(MetricColumns.from_points([]))


def as_double(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def read_row(row: bytes) -> list[Any]:
    """Read the fields of a row of COPY BINARY, by the manual."""
    [count], at, fields = struct.unpack_from(">h", row), 2, []
    for kind in "qiqidqq"[:count]:
        [size] = struct.unpack_from(">i", row, at)
        at += 4
        if size < 0:
            fields.append(None)
            continue
        fields.append(struct.unpack_from(f">{kind}", row, at)[0])
        assert size == struct.calcsize(f">{kind}")
        at += size
    assert at == len(row)
    return fields
