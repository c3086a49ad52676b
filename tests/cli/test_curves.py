"""Curves of characters: every number can be drawn, in every size."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tracelet.cli.views.curves import MARKS, Curve, Range, draw_curves, draw_legend
from tracelet.cli.views.formatting import format_ticks, format_times

NUMBERS = st.floats() | st.sampled_from([1e308, -1e308, 5e-324, 0.0, -0.0])


@settings(max_examples=150, deadline=None)
@given(
    several=st.lists(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), NUMBERS), max_size=12), max_size=3),
    width=st.integers(10, 120),
    height=st.integers(2, 20),
    log=st.booleans(),
    ascii_only=st.booleans(),
)
def test_every_curve_fits(several, width, height, log, ascii_only):
    curves = [Curve("c", [x for x, _ in points], [y for _, y in points]) for points in several]
    lines = draw_curves(curves, width, height, log=log, ascii_only=ascii_only)
    drawn = [y for points in several for _, y in points if math.isfinite(y) and (y > 0 or not log)]
    assert len(lines) == (height + 2 if drawn else 0)
    assert not ascii_only or all(line.plain.isascii() for line in lines)
    if drawn:
        plot = "".join(line.plain for line in lines[:height])
        assert any("\u2801" <= char <= "\u28ff" or char in MARKS for char in plot)


@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), cells=st.integers(1, 300)
)
def test_a_place_is_always_inside(values, cells):
    across = Range(min(values), max(values))
    places = [across.place(value, cells) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place < cells for place in places)


def test_the_extremes_are_at_the_edges():
    lines = [
        line.plain for line in draw_curves([Curve("c", [0, 1, 2], [0.0, 5.0, 10.0])], 30, 5, ascii_only=True)
    ]
    assert lines[0].startswith("10 +")
    assert lines[0].endswith("*")
    assert lines[4].startswith(" 0 +*")
    assert lines[5] == "   +" + "-" * 26
    assert lines[6].split() == ["0", "2"]


def test_nan_is_a_gap_and_a_lonely_point_a_dot():
    [*rows, _, _] = draw_curves(
        [Curve("c", [0, 1, 2, 3], [1.0, math.nan, 2.0, math.nan])], 40, 4, ascii_only=True
    )
    assert sum(line.plain.count("*") for line in rows) == 2


def test_names_cannot_control_the_terminal():
    assert "\x1b" not in draw_legend(["\x1b[31mred", "plain"]).plain


def test_the_greatest_floats_have_a_middle():
    lines = draw_curves([Curve("c", [0, 1], [-1.7e308, 1.7e308])], 40, 5, ascii_only=True)
    assert [line.plain.split()[0] for line in lines[:5:2]] == ["1.700e+308", "0", "-1.700e+308"]


def test_a_constant_has_one_label():
    lines = draw_curves([Curve("c", [0, 1], [42.5, 42.5])], 40, 5, ascii_only=True)
    assert [line.plain.split("+")[0].strip() for line in lines if "+" in line.plain[:12]] == ["42.50", ""]


def test_a_faint_curve_is_dotted_and_behind():
    faint = Curve("c", [0, 9], [0.0, 0.0], faint=True, color=0)
    solid = Curve("c", [0, 9], [1.0, 1.0])
    rows = [line.plain for line in draw_curves([solid, faint], 40, 5, ascii_only=True)]
    assert 0 < rows[4].count("*") < rows[0].count("*") / 2


@given(
    low=st.floats(-1e300, 1e300),
    span=st.floats(1e-9, 1e300),
    share=st.floats(0.3, 0.7),
)
def test_labels_of_an_axis_can_be_told_apart(low, span, share):
    values = [low, low + span * share, low + span]
    texts = format_ticks(values)
    assume(len(set(values)) == 3)
    apart = min(values[1] - values[0], values[2] - values[1])
    precision = max(map(abs, values)) * 1e-15
    assert all(
        abs(float(text) - value) <= apart / 19 + precision for text, value in zip(texts, values, strict=True)
    )
    assert apart < 100 * precision or len(set(map(float, texts))) == 3


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0, 5.0, 10.0], ["0", "5", "10"]),
        ([0.9999999995, 1.0, 1.0000000005], ["0.99999999950", "1.00000000000", "1.00000000050"]),
        ([1e9, 1e9 + 0.1, 1e9 + 0.2], ["1000000000.00", "1000000000.10", "1000000000.20"]),
        ([1e20, 1.0001e20], ["1.00000e+20", "1.00010e+20"]),
        ([2**40, 2**40 + 1], ["1099511627776.0", "1099511627777.0"]),
        ([math.inf, 1.0], ["inf", "1"]),
        ([3.0, 3.0], ["3", "3"]),
    ],
)
def test_labels_of_an_axis(values, texts):
    assert format_ticks(values) == texts


def test_ends_of_an_axis_of_times():
    start = 1_800_000_000.0
    first, last = format_times(start, start + 0.25)
    assert first.endswith(".000")
    assert (last[-4:], len(last)) == (".250", 12)
    assert [len(text) for text in format_times(start, start + 60)] == [19, 8]
    assert [len(text) for text in format_times(start, start + 200_000)] == [19, 19]
    assert format_times(1e300, 2e300) == ("unknown", "unknown")
