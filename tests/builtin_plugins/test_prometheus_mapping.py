"""What prometheus makes of names, labels and times: injective, stable, and what the formats accept."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.prometheus.mapping import (
    INFO,
    SeriesKey,
    clean_value,
    info_key,
    label_text,
    metric_name,
    milliseconds,
    series_labels,
)
from tracelet_builtin_plugins.backends.prometheus.sent_times import SentTimes
from tracelet_builtin_plugins.backends.prometheus.wire import (
    encode_labels,
    encode_request,
    encode_sample,
    exposition,
)

ODD_TEXT = st.text(st.sampled_from("a_:/1 '\ufffd\ud800\udfff"), max_size=6)
TEXT = ODD_TEXT | st.text()
KEYS = st.builds(
    SeriesKey,
    TEXT,
    st.sampled_from(["scalar", "system", "custom"]),
    st.none() | st.text(min_size=1),
    st.text(min_size=1),
    st.booleans(),
)


@given(TEXT)
def test_names_are_what_every_prometheus_accepts(name: str) -> None:
    fitted = metric_name(name)
    assert re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", fitted)
    if re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", name):
        assert fitted == name


@given(KEYS, KEYS)
def test_different_series_have_different_labels(one: SeriesKey, other: SeriesKey) -> None:
    assert (series_labels(one, {"run": "r"}) == series_labels(other, {"run": "r"})) == (one == other)


@given(KEYS)
def test_labels_are_sorted_valid_and_never_empty(key: SeriesKey) -> None:
    labels = series_labels(key, {"zone": "z", "job": "j"})
    assert list(labels) == sorted(labels)
    assert len({name for name, _ in labels}) == len(labels)
    for name, value in labels:
        assert value
        value.encode()
        assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name)


@given(TEXT, TEXT)
def test_label_values_stay_distinct(one: str, other: str) -> None:
    assert (label_text(one) == label_text(other)) == (one == other)


def test_a_metric_called_like_the_run_s_own_is_another_series() -> None:
    mine = SeriesKey(INFO, "scalar", None, "w")
    assert series_labels(mine, {"run": "r"}) != series_labels(info_key("w"), {"run": "r", "name": "n"})


@given(st.floats(allow_nan=True) | st.none())
def test_times_are_milliseconds_or_left_out(timestamp: float | None) -> None:
    found = milliseconds(timestamp)
    if found is None:
        assert timestamp is None or not math.isfinite(timestamp) or abs(timestamp) > 9e15
    else:
        struct.pack("<q", found)
        assert abs(found - timestamp * 1000) <= 0.5


@given(st.floats() | st.integers() | st.booleans())
def test_values_are_doubles(value: Any) -> None:
    found = clean_value(value)
    assert type(found) is float
    assert found != found or math.isinf(found) or math.isclose(found, value, rel_tol=1e-15)


def read_message(data: bytes) -> list[tuple[int, Any]]:
    """Read a protobuf message, as any reader does: (number of the field, contents) each."""
    fields, at = [], 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            fields.append((key >> 3, varint()))
        elif key & 7 == 1:
            fields.append((key >> 3, data[at : at + 8]))
            at += 8
        else:
            size = varint()
            fields.append((key >> 3, data[at : at + size]))
            at += size
    return fields


@given(st.integers(-(2**63), 2**63 - 1), st.floats())
def test_a_sample_can_be_read_back(when: int, value: float) -> None:
    [(number, sample)] = read_message(encode_sample(when, value))
    (first, raw), (second, time) = read_message(sample)
    assert (number, first, second) == (2, 1, 2)
    assert time == when % 2**64
    if value == value:
        assert raw == struct.pack("<d", value)
    else:
        assert raw == struct.pack("<Q", 0x7FF8000000000001)


@given(KEYS, st.lists(st.tuples(st.integers(0, 2**43), st.floats(allow_nan=False)), max_size=4))
def test_a_request_can_be_read_back(key: SeriesKey, samples: list[tuple[int, float]]) -> None:
    labels = series_labels(key, {"run": "r"})
    [(number, series)] = read_message(encode_request([(encode_labels(labels), samples)]))
    assert number == 1
    fields = read_message(series)
    found = [tuple(text.decode() for _, text in read_message(item)) for at, item in fields if at == 1]
    assert tuple(found) == labels
    assert sum(at == 2 for at, _ in fields) == len(samples)


@given(st.lists(KEYS, max_size=5), st.floats())
def test_the_text_format_is_one_line_per_series(keys: list[SeriesKey], value: float) -> None:
    series = {series_labels(key, {"run": "r"}): value for key in keys}
    text = exposition(series)
    lines = text.split("\n")
    assert sum(bool(line) and not line.startswith("#") for line in lines) == len(series)
    assert len({line.split("{")[0] for line in lines if "{" in line}) == sum(
        line.startswith("#") for line in lines
    )


def test_notes_of_sent_times_stay_few_and_lose_nothing_that_is_needed(tmp_path: Path) -> None:
    times = SentTimes(tmp_path)
    rare, often = SeriesKey("rare", "scalar", None, "w"), SeriesKey("often", "scalar", "probe", "w", True)
    times.note("w", (0, 0), (0, 9), {rare: 1, often: 2})
    for at in range(1, 2000):
        times.note("w", (at, 0), (at, 9), {often: 2 + at})
    [file] = tmp_path.rglob("*.jsonl")
    assert len(file.read_text().splitlines()) <= 600
    fresh = SentTimes(tmp_path)
    assert fresh.recall("w", (1990, 0)) == {rare: 1, often: 1991}
    assert fresh.recall("w", (5000, 0)) == {rare: 1, often: 2001}
    assert fresh.recall("other", (5000, 0)) == {}
    assert fresh.recall("../w", (5000, 0)) == {}
    times.note("w", (1980, 0), (1985, 0), {often: 7})  # delivered again
    assert SentTimes(tmp_path).recall("w", (1986, 0)) == {rare: 1, often: 7}
