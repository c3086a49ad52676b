"""How long a feed rests between two looks at the journal."""

from __future__ import annotations

import pytest

from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.pace import Pace

pytestmark = pytest.mark.any_python

SETTINGS = Settings()


def test_with_nothing_new_it_rests_longer_each_time():
    pace = Pace(SETTINGS)
    rests = [pace.rest() for _ in range(20)]
    assert rests == sorted(rests)
    assert (rests[0], rests[-1]) == (SETTINGS.poll_shortest, SETTINGS.poll_longest)


def test_after_work_it_rests_in_proportion_and_then_as_from_the_beginning():
    pace = Pace(SETTINGS)
    pace.worked(0.002)
    pace.worked(0.003)
    assert 0.05 <= pace.rest() <= SETTINGS.poll_longest
    assert pace.rest() == SETTINGS.poll_shortest


def test_where_looking_takes_long_it_looks_seldom():
    """A run of a thousand processes has as many files to look at."""
    pace = Pace(SETTINGS)
    pace.looked(0.1)
    assert pace.rest() >= 2
    pace.looked(0.0001)
    assert pace.rest() <= SETTINGS.poll_longest


def test_it_can_be_slowed_down_to_a_limit():
    pace, usual = Pace(SETTINGS), Pace(SETTINGS).rest()
    while pace.slow_down():
        pass
    assert usual < pace.rest() <= 16 * usual
