import datetime
from decimal import Decimal

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.config.validation import validate
from tracelet.config.validation.short_form import TYPES
from tracelet.errors import ConfigError


def faults_of(schema, values):
    with pytest.raises(ConfigError) as caught:
        validate(schema, values, path="p")
    return caught.value.faults


def test_the_contracts_example():
    schema = {"timeout": {"type": "number", "required": True, "default": 30}}
    assert validate(schema, {}) == {"timeout": 30}
    assert validate(schema, {"timeout": 2.5}) == {"timeout": 2.5}
    assert faults_of(schema, {"timeout": "abc"}) == ["p.timeout: expected number, found 'abc' (string)"]


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ({"type": "string"}, 1, "expected string, found 1 (integer)"),
        ({"type": "string"}, None, ""),
        ({"type": "string", "required": True}, None, "expected string, found null"),
        ({"type": "string", "default": "a"}, None, "expected string, found null"),
        ({"type": "string", "default": None, "required": True}, None, ""),
        (
            {"type": "string"},
            datetime.date(2026, 1, 1),
            'expected string, found 2026-01-01 (date); to make it a string, put it in quotes: "2026-01-01"',
        ),
        ({"type": "number"}, float("nan"), ""),
        ({"type": "number"}, numpy.float32(1.5), ""),
        ({"type": "number"}, Decimal(1), "expected number, found Decimal('1') (Decimal)"),
        ({"type": "integer"}, numpy.int64(3), ""),
        ({"type": "integer"}, 3.0, "expected integer, found 3.0 (number); write 3"),
        ({"type": "array"}, (1, 2), ""),
        ({"type": "array"}, "ab", "expected array, found 'ab' (string)"),
        ({"type": "object"}, {"any": ["thing"]}, ""),
        ({"type": "object"}, [], "expected object, found [] (array)"),
        ({"type": ["string", "integer"]}, 3, ""),
        ({"type": ["string", "integer"]}, 3.5, "expected string or integer, found 3.5 (number)"),
        ({}, object, ""),
        (
            {"choices": ["fast", "slow"]},
            "fats",
            "expected one of 'fast', 'slow', found 'fats' (string) (did you mean 'fast'?)",
        ),
        ({"enum": [1, 2]}, 3, "expected one of 1, 2, found 3 (integer)"),
        ({"type": "number", "minimum": 1, "maximum": 5}, 0.5, "expected at least 1, found 0.5 (number)"),
        ({"type": "number", "minimum": 1, "maximum": 5}, 6, "expected at most 5, found 6 (integer)"),
        ({"type": "number", "min": 1, "max": 5}, 6, "expected at most 5, found 6 (integer)"),
        ({"type": "number", "minimum": 1}, float("nan"), "expected at least 1, found nan (number)"),
        ({"type": "integer", "minimum": 1}, 1, ""),
        ({"type": "string", "minimum": 1}, "a", ""),
        ({"type": "array", "items": {"type": "number", "minimum": 0}}, [1, 2], ""),
        ({"type": "string"}, "x" * 500, ""),
        ({"type": "number"}, "x" * 500, "expected number, found '" + "x" * 76 + "... (string)"),
        (
            {"type": "string", "secret": True, "choices": ["a", "b"]},
            "bb",
            "expected one of 'a', 'b', found *** (string)",
        ),
        ({"type": "integer", "secret": True, "minimum": 5}, 3, "expected at least 5, found *** (integer)"),
    ],
)
def test_one_key(field, value, fault):
    if fault:
        assert faults_of({"x": field}, {"x": value}) == [f"p.x: {fault}"]
    else:
        result = validate({"x": field}, {"x": value})["x"]
        assert result is value or result == value or result == list(value)


def test_nested_tables_and_lists():
    schema = {
        "servers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "host": {"type": "string", "required": True},
                    "port": {"type": "integer", "default": 80},
                },
            },
        },
        "retry": {"type": "object", "properties": {"times": {"type": "integer", "default": 3}}},
        "auth": {
            "type": "object",
            "properties": {
                "user": {"type": "string", "required": True},
                "level": {"type": "integer", "default": 1},
            },
        },
    }
    assert validate(schema, {"servers": [{"host": "a"}, {"host": "b", "port": 1}]}) == {
        "servers": [{"host": "a", "port": 80}, {"host": "b", "port": 1}],
        "retry": {"times": 3},
    }
    assert faults_of(
        schema, {"servers": [{"port": "x"}, 3], "retry": {"time": 1}, "auth": {"user": 12345}}
    ) == [
        "p.servers[0].host: expected string, found nothing (required)",
        "p.servers[0].port: expected integer, found 'x' (string)",
        "p.servers[1]: expected object, found 3 (integer)",
        "p.retry.time: unknown key (did you mean 'times'?)",
        "p.auth.user: expected string, found *** (integer)",
    ]


def test_a_required_table_that_defaults_fill_is_filled():
    schema = {
        "retry": {
            "type": "object",
            "required": True,
            "properties": {"times": {"type": "integer", "default": 3}},
        }
    }
    assert validate(schema, {}) == {"retry": {"times": 3}}


def test_everything_under_a_secret_table_is_secret():
    schema = {
        "login": {
            "type": "object",
            "secret": True,
            "properties": {"user": {"type": "string"}, "code": {"type": "integer"}},
        }
    }
    config = validate(schema, {"login": {"user": "ann-canary", "code": 7}})
    assert config == {"login": {"user": "ann-canary", "code": 7}}
    assert "ann-canary" not in repr(config)
    assert faults_of(schema, {"login": {"user": 4711, "code": "ann-canary"}}) == [
        "p.login.user: expected string, found *** (integer)",
        "p.login.code: expected integer, found *** (string)",
    ]


samples = {
    "string": st.text(),
    "number": st.floats() | st.integers(),
    "integer": st.integers(),
    "boolean": st.booleans(),
    "array": st.lists(st.integers()),
    "object": st.dictionaries(st.text(), st.integers()),
}
names = st.text(min_size=1, max_size=10)


@given(st.data(), st.dictionaries(names, st.sampled_from(sorted(TYPES)), min_size=1, max_size=5))
def test_what_fits_comes_out_as_it_went_in(data, types):
    schema = {name: {"type": kind} for name, kind in types.items()}
    values = {name: data.draw(samples[kind]) for name, kind in types.items()}
    assert repr(validate(schema, values)) == repr(validate(None, values))


@given(st.data(), st.dictionaries(names, st.sampled_from(sorted(TYPES)), min_size=1, max_size=5))
def test_each_misfit_is_one_fault(data, types):
    schema = {name: {"type": kind} for name, kind in types.items()}
    values = {name: data.draw(st.sampled_from([set(), b"", 1j])) for name in types}
    faults = faults_of(schema, values)
    assert len(faults) == len(values)
    assert all(
        fault.startswith(f"p.{name}: expected {types[name]}, ")
        for name, fault in zip(types, faults, strict=True)
    )


@pytest.mark.parametrize(
    ("value", "shown", "quoted"),
    [
        (datetime.date(2024, 6, 1), "2024-06-01 (date)", "2024-06-01"),
        (datetime.time(10, 0), "10:00:00 (time)", "10:00:00"),
        (
            datetime.datetime(2024, 6, 1, 10, tzinfo=datetime.timezone.utc),
            "2024-06-01T10:00:00+00:00 (datetime)",
            "2024-06-01T10:00:00+00:00",
        ),
    ],
)
def test_a_date_for_a_string_needs_quotes(value, shown, quoted):
    assert faults_of({"since": {"type": "string"}}, {"since": value}) == [
        f'p.since: expected string, found {shown}; to make it a string, put it in quotes: "{quoted}"'
    ]


def test_a_whole_number_written_as_a_float():
    assert faults_of({"n": {"type": "integer"}}, {"n": 4.0}) == [
        "p.n: expected integer, found 4.0 (number); write 4"
    ]
    assert faults_of({"n": {"type": "integer"}}, {"n": 4.5}) == ["p.n: expected integer, found 4.5 (number)"]
