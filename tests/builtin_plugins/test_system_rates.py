"""Counters into rates: any counters, any clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.collectors.system.rates import Rates

COUNTER = st.integers(min_value=0, max_value=2**64)
SECONDS = st.floats(min_value=0.1, max_value=1e6)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_sample_has_no_rate() -> None:
    assert Rates().per_second("disk", {"bytes": 5}) == {}


@given(COUNTER, st.integers(min_value=0, max_value=2**50), SECONDS)
def test_a_rate_is_the_growth_over_the_time(before: int, growth: int, seconds: float) -> None:
    clock = Clock()
    rates = Rates(clock)
    rates.per_second("disk", {"bytes": before})
    clock.now += seconds
    elapsed = clock.now - 1000.0
    found = rates.per_second("disk", {"bytes": before + growth})
    assert found == ({"bytes": pytest.approx(growth / elapsed)} if elapsed >= 0.1 else {})


@given(st.lists(st.tuples(COUNTER, st.floats(min_value=0, max_value=100)), min_size=2))
def test_no_rate_is_ever_negative_and_steady_growth_adds_up(samples: list[tuple[int, float]]) -> None:
    clock = Clock()
    rates = Rates(clock)
    taken: list[tuple[float, int]] = []
    for counter, seconds in samples:
        clock.now += seconds
        found = rates.per_second("net", {"bytes": counter})
        assert all(rate >= 0 for rate in found.values())
        if taken and clock.now - taken[-1][0] < 0.1:
            assert found == {}  # too soon; the sample before stays the base
            continue
        if taken:
            assert bool(found) == (counter >= taken[-1][1])
        taken.append((clock.now, counter))


def test_one_counter_that_was_reset_leaves_the_others() -> None:
    clock = Clock()
    rates = Rates(clock)
    rates.per_second("net", {"sent": 100, "received": 100})
    clock.now += 2
    assert rates.per_second("net", {"sent": 3, "received": 300}) == {"received": 100}
    clock.now += 2
    assert rates.per_second("net", {"sent": 5, "received": 300}) == {"sent": 1, "received": 0}


def test_a_counter_that_appears_later_has_its_first_sample_then() -> None:
    clock = Clock()
    rates = Rates(clock)
    rates.per_second("net", {"sent": 100})
    clock.now += 1
    assert rates.per_second("net", {"sent": 101, "drops": 7}) == {"sent": 1}


def test_keys_that_are_not_kept_begin_again() -> None:
    clock = Clock()
    rates = Rates(clock)
    for key in ("a", "b"):
        rates.per_second(key, {"cpu": 1})
    rates.keep(["b", "never seen"])
    clock.now += 1
    assert rates.per_second("a", {"cpu": 2}) == {}
    assert rates.per_second("b", {"cpu": 2}) == {"cpu": 1}
