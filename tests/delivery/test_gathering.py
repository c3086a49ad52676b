"""Backends that prefer few large batches get them by time and size, and a flush never waits."""

from __future__ import annotations

import time

import pytest

from tracelet_hookspecs import Batching


@pytest.fixture
def batches(backend):
    """Return a function that makes a backend with this preference; it keeps the sizes of its batches."""

    def make(batching):
        class Gathering(backend):
            def __init__(self):
                super().__init__()
                self.sizes = []

            def log_metrics(self, points, run):
                super().log_metrics(points, run)
                self.sizes.append(len(points))

        Gathering.batching = batching
        return Gathering()

    return make


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_records_are_gathered_until_the_last_batch_is_old_enough(stage, batches):
    got = stage.add(batches(Batching(0.8, 1000)))
    stage.log(1)
    wait_for(lambda: got.sizes == [1])
    began = time.monotonic()
    for _ in range(10):
        stage.log(5)
        time.sleep(0.02)
    assert got.sizes == [1]
    assert stage.delivery.status()[got.name]["state"] == "gathering"
    wait_for(lambda: len(got.sizes) == 2)
    assert time.monotonic() - began > 0.5
    assert got.sizes == [1, 50]


def test_the_first_records_do_not_wait_for_what_came_with_the_run(stage, batches):
    got = stage.add(batches(Batching(600, 1000)))
    wait_for(lambda: stage.delivery.status()[got.name]["state"] == "idle")
    time.sleep(0.1)  # the writer's first record, which no backend gets, is read
    stage.log(1)
    wait_for(lambda: got.sizes == [1])


def test_a_large_batch_does_not_wait(stage, batches):
    got = stage.add(batches(Batching(600, 100)))
    stage.log(1)
    wait_for(lambda: got.sizes == [1])
    stage.log(250)
    wait_for(lambda: sum(got.sizes) == 251)
    assert got.sizes == [1, 100, 100, 50]


def test_a_flush_and_the_end_do_not_wait(stage, batches):
    got = stage.add(batches(Batching(600, 1000)))
    stage.log(1)
    wait_for(lambda: got.sizes == [1])
    stage.log(20)
    stage.flush()
    assert got.sizes == [1, 20]
    stage.log(30)
    assert stage.delivery.finish(20) == {}
    assert got.sizes == [1, 20, 30]


def test_without_a_wait_batches_begin_small_and_grow_further(stage, batches):
    stage.log(20_000)
    got = stage.add(batches(Batching(0, 9000)))
    stage.flush()
    assert sum(got.sizes) == 20_000
    assert got.sizes[0] <= stage.settings.batch_first
    assert max(got.sizes) > stage.settings.batch_quick
    stage.log(1)
    wait_for(lambda: got.sizes[-1] == 1)


@pytest.mark.parametrize("wrong", [Batching(-1, 10), Batching(float("nan"), 10), Batching(1, 0), 5, "soon"])
def test_a_wrong_value_is_reported_and_ignored(stage, batches, wrong, caplog):
    got = stage.add(batches(wrong))
    stage.log(3)
    stage.flush()
    assert sum(got.sizes) == 3
    assert "expected Batching(seconds, records)" in caplog.text
