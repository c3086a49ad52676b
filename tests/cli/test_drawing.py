"""Numbers, times, sparklines, and which value is best."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.cli.views.formatting import (
    format_age,
    format_count,
    format_duration,
    format_number,
    format_size,
    pluralize,
)
from tracelet.cli.views.trends import ASCII_LEVELS, BLOCKS, draw_sparkline
from tracelet.store.goals import find_direction

anything = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (1234567, "1234567"),
        (0.1, "0.1000"),
        (0.97222, "0.9722"),
        (12.3456, "12.35"),
        (-123.456, "-123.5"),
        (1234.5678, "1234.6"),
        (123456.7, "123457"),
        (12345678.9, "1.235e+07"),
        (0.0001234, "0.0001"),
        (0.00001234, "1.234e-05"),
        (5e-324, "4.941e-324"),
        (1.7e308, "1.700e+308"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers(value, text):
    assert format_number(value) == text


@given(anything)
def test_a_number_is_short_and_near(value):
    text = format_number(value)
    assert len(text) <= 11
    if abs(value) < 1e308:
        assert math.isclose(float(text), value, rel_tol=0.05, abs_tol=5e-5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 ms"),
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9996, "1.00 s"),
        (4.207, "4.21 s"),
        (59.96, "60.0 s"),
        (99.99, "100.0 s"),
        (185, "3 min 05 s"),
        (3599.9, "59 min 59 s"),
        (7620, "2 h 07 min"),
        (273600, "3 d 04 h"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e12))
def test_every_duration_can_be_written(seconds):
    assert format_duration(seconds)


@pytest.mark.parametrize(
    ("passed", "text"),
    [(-5, "just now"), (10, "just now"), (50, "1 min ago"), (3700, "1 h ago"), (90000, "1 d ago")],
)
def test_times_gone_by(passed, text):
    assert format_age(1e9 - passed, now=1e9) == text


def test_what_is_long_gone_has_a_date():
    assert format_age(0, now=1e9).startswith(("1969", "1970"))


def test_counts_and_sizes():
    assert format_count(1234567) == "1 234 567"
    assert pluralize(1, "point") == "1 point"
    assert pluralize(0, "point") == "0 points"
    assert [format_size(value) for value in (0, 999, 1000, 1400, 123456, 3.1e9, 5e15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.4 kB",
        "123 kB",
        "3.1 GB",
        "5000.0 TB",
    ]


@given(st.lists(anything), st.integers(1, 50), st.booleans())
def test_a_sparkline_fits(values, width, ascii_only):
    line = draw_sparkline(values, width, ascii_only=ascii_only)
    assert len(line) <= min(width, len(values))
    assert set(line) <= set(ASCII_LEVELS if ascii_only else BLOCKS) | {" "}
    assert bool(line) == any(math.isfinite(value) for value in values)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30, unique=True))
def test_a_sparkline_shows_the_least_and_the_greatest(values):
    line = draw_sparkline(values, 30)
    assert line[values.index(min(values))] == BLOCKS[0]
    assert line[values.index(max(values))] == BLOCKS[-1]


def test_sparklines():
    assert draw_sparkline([]) == ""
    assert draw_sparkline([1, 1, 1]) == "▁▁▁"
    assert draw_sparkline(range(8)) == BLOCKS
    assert draw_sparkline(range(800), 8) == BLOCKS
    assert draw_sparkline([0, math.nan, 1]) == "▁ █"
    assert draw_sparkline([-1.7e308, 1.7e308]) == "▁█"
    assert draw_sparkline([math.inf, 1, 2]) == " ▁█"


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("train/loss", "min"),
        ("valLoss", "min"),
        ("val_loss_epoch", "min"),
        ("RMSE", "min"),
        ("wer", "min"),
        ("error_rate", "min"),
        ("test/accuracy", "max"),
        ("eval_f1", "max"),
        ("mAP", "max"),
        ("top1", "max"),
        ("val_acc", "max"),
        ("ROC/AUC", "max"),
        ("accuracy_loss", "min"),
        ("log_likelihood", "max"),
        ("lr", None),
        ("epoch", None),
        ("system/cpu/percent", None),
        ("glossary", None),
        ("", None),
    ],
)
def test_which_way_is_better(name, way):
    assert find_direction(name) == way
