"""Summaries: exact, whatever the batches."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.store.accumulator import MetricAccumulator, summarize
from tracelet.store.point_columns import Points, load_numpy
from tracelet_hookspecs import _exact_sum as sums

load_numpy()  # the first import takes longer than Hypothesis allows a test
points = st.lists(st.tuples(st.integers(-5, 5), st.floats(), st.floats(0, 100)), min_size=1, max_size=200)


def tally(several) -> MetricAccumulator:
    one = MetricAccumulator()
    for batch in several:
        one.add(Points(*([point[place] for point in batch] for place in range(3))))
    return one


@given(points, st.lists(st.integers(0, 200), max_size=5))
def test_batches_and_processes_make_no_difference(points, cuts):
    ends = sorted({min(cut, len(points)) for cut in cuts} | {0, len(points)})
    batches = [points[start:end] for start, end in pairwise(ends)]
    whole, in_parts = tally([points]), tally(batches)
    assert str(summarize([whole])) == str(summarize([in_parts]))
    again = MetricAccumulator.from_json(json.loads(json.dumps(in_parts.to_json())))
    assert str(summarize([again])) == str(summarize([whole]))
    several = [tally([batch]) for batch in batches]
    for name in ("min", "max", "mean", "count", "nans", "first_time", "last_time"):
        assert str(summarize(several)[name]) == str(summarize([whole])[name])


@given(points)
def test_each_number_is_what_it_says(points):
    told = summarize([tally([points])])
    values = [value for _, value, _ in points]
    known = [value for value in values if value == value]
    assert told["count"] == len(values)
    assert told["nans"] == len(values) - len(known)
    assert str(told["last"]) == str(values[-1])
    assert told["last_step"] == points[-1][0]
    assert (told["first_time"], told["last_time"]) == (min(p[2] for p in points), max(p[2] for p in points))
    if not known:
        assert math.isnan(told["min"])
        assert math.isnan(told["max"])
        assert math.isnan(told["mean"])
        return
    assert (told["min"], told["max"]) == (min(known), max(known))
    if all(map(math.isfinite, known)):
        assert told["mean"] == float(sum(map(Fraction, known)) / len(known))
    elif math.inf in known and -math.inf in known:
        assert math.isnan(told["mean"])
    else:
        assert told["mean"] == (math.inf if math.inf in known else -math.inf)


def test_of_several_processes_the_last_is_at_the_largest_step():
    first = tally([[(5, 1.0, 10.0), (3, 2.0, 11.0)]])
    second = tally([[(4, 3.0, 12.0)]])
    assert summarize([first])["last"] == 2.0  # as recorded
    assert (summarize([first, second])["last"], summarize([first, second])["last_step"]) == (1.0, 5)
    third = tally([[(5, 4.0, 10.0)]])
    assert summarize([first, third])["last"] == 4.0  # a tie in everything goes to the later process


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=100))
def test_sums_are_exact_both_ways(values):
    numpy = pytest.importorskip("numpy")
    exactly = sum(map(Fraction, values), Fraction())
    for total in (sums.exact_sum(values), sums.exact_sum(numpy.array(values, dtype="float64"))):
        assert Fraction(total, 1 << sums.UNIT_BITS) == exactly
        assert sums.unpack_sum(sums.pack_sum(total)) == total
