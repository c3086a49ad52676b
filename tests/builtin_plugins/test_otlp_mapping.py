"""What otlp makes of names, texts, times and values: injective, stable, and within OpenTelemetry's rules."""

from __future__ import annotations

import math
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.otlp.mapping import (
    clean_text,
    double,
    nanoseconds,
    plain_value,
    resource_attributes,
    step_name,
    valid_name,
)
from tracelet_builtin_plugins.backends.otlp.transport import read_fields, retry_delay

ODD_TEXT = st.text(st.sampled_from("aZ1_./- é\x00\ufffd\ud800\udfff"), max_size=6)
LONG_TEXT = st.builds(lambda text, times: text * times, ODD_TEXT, st.integers(1, 200))
TEXT = ODD_TEXT | LONG_TEXT | st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)


@given(TEXT)
def test_names_follow_the_rules_for_instruments(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-/]{0,249}", valid_name(name))
    assert len(step_name(name)) <= 255
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-/]{0,249}", name):
        assert valid_name(name) == name


@given(TEXT, TEXT)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert (valid_name(one) == valid_name(other)) == (one == other)
    assert (clean_text(one) == clean_text(other)) == (one == other)


@given(st.floats() | st.none())
def test_times_are_64_bit_nanoseconds(timestamp: float | None) -> None:
    found = nanoseconds(timestamp)
    assert 0 <= found < 2**63
    assert (found == 0) == (timestamp is None or math.isnan(timestamp))
    if timestamp is not None and 1 < timestamp < 9e9:
        assert abs(found / 1e9 - timestamp) < 1e-5


@given(st.floats(1.5e9, 2.5e9))
def test_different_times_stay_different(timestamp: float) -> None:
    assert nanoseconds(timestamp) < nanoseconds(math.nextafter(timestamp, math.inf))


@given(st.floats() | st.integers() | st.booleans())
def test_values_are_doubles(value: Any) -> None:
    found = double(value)
    assert type(found) is float
    assert found != found or math.isinf(found) or math.isclose(found, value, rel_tol=1e-15)


def check(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            key.encode()
            check(item)
    elif isinstance(value, list):
        for item in value:
            check(item)
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, int):
        assert -(2**63) <= value < 2**63
    else:
        assert value is None or isinstance(value, float)


@given(VALUES)
def test_any_parameter_has_a_form(value: Any) -> None:
    check(plain_value(value))


@given(TEXT, TEXT, TEXT)
def test_a_user_s_attributes_win(run_id: str, key: str, value: str) -> None:
    attributes = resource_attributes(run_id, "n", "p", "w", {key: value, "service.name": "mine"})
    assert attributes["service.name"] == ("mine")
    check(attributes)


@given(st.binary(max_size=40))
def test_status_details_from_anybody_raise_nothing(data: bytes) -> None:
    found = retry_delay([("other", b""), ("grpc-status-details-bin", data)])
    assert found is None or isinstance(found, float)


def test_fields_of_a_message() -> None:
    assert read_fields(b"\x08\x96\x01\x12\x02ab\x08\x01") == {1: [150, 1], 2: [b"ab"]}
