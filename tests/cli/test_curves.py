"""Curves of characters: every number can be drawn, in every size."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.cli.views.curves import MARKS, Curve, Range, draw_curves, draw_legend

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
