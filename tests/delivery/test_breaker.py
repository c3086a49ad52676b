"""When a backend is tried again. The clock and the dice are the test's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracelet.delivery import Settings
from tracelet.delivery.pipeline.breaker import CLOSED, HALF_OPEN, OPEN, PERMANENT, Breaker

SETTINGS = Settings(retry_first=1.0, retry_longest=60.0, breaker_after=3, retry_after_longest=300.0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(draw: float = 1.0) -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(SETTINGS, clock=clock, draw=lambda: draw), clock


def test_a_new_breaker_lets_everything_through():
    breaker, _ = make()
    assert (breaker.state, breaker.wait()) == (CLOSED, 0.0)


def test_delays_double_up_to_the_longest():
    breaker, _ = make()
    delays = []
    for _ in range(9):
        breaker.failed()
        delays.append(breaker.wait())
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_it_opens_after_failures_in_a_row_and_probes_when_the_rest_is_over():
    breaker, clock = make()
    for _ in range(2):
        breaker.failed()
    assert breaker.state == CLOSED
    breaker.failed()
    assert breaker.state == OPEN
    clock.now += breaker.wait()
    assert breaker.state == HALF_OPEN
    breaker.failed()
    assert breaker.state == OPEN
    assert breaker.wait() == 8
    clock.now += 8
    breaker.succeeded()
    assert (breaker.state, breaker.wait()) == (CLOSED, 0.0)


def test_a_success_between_failures_starts_the_count_again():
    breaker, _ = make()
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == CLOSED


@given(st.integers(1, 100), st.floats(0, 1))
def test_jitter_is_full_while_closed_and_half_while_open(failures, draw):
    breaker, _ = make(draw)
    for _ in range(failures):
        breaker.failed()
    limit = min(60.0, 2.0 ** (failures - 1))
    least = 0.0 if failures < SETTINGS.breaker_after else limit / 2
    assert least <= breaker.wait() <= limit


def test_a_server_may_ask_for_more_time_but_not_for_ever():
    breaker, _ = make()
    breaker.failed(retry_after=30)
    assert breaker.wait() == 30
    breaker.failed(retry_after=86400)
    assert breaker.wait() == 300


def test_wrong_credentials_are_not_tried_again_until_something_is_changed():
    breaker, clock = make()
    breaker.give_up()
    clock.now += 1e9
    assert (breaker.state, breaker.wait()) == (PERMANENT, float("inf"))
    breaker.hurry()
    assert breaker.wait() == float("inf")
    breaker.reset()
    assert (breaker.state, breaker.wait()) == (CLOSED, 0.0)


def test_somebody_who_waits_gets_a_probe_at_once():
    breaker, _ = make()
    for _ in range(8):
        breaker.failed()
    breaker.hurry()
    assert (breaker.state, breaker.wait()) == (HALF_OPEN, 0.0)
