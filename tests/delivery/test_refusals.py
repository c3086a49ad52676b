"""A backend that will not take certain points, for ever: they are found, and the rest goes on."""

from __future__ import annotations

import math
import threading

import pytest

from tracelet.core.plugins import PluginState


class StatusError(Exception):
    def __init__(self, status: int) -> None:
        self.status_code = status
        super().__init__(f"HTTP {status}")


def refuse_negatives(error):
    def before(hook, given):
        values = (
            [given[1]] if hook == "log_metric" else [p.value for p in given] if hook == "log_metrics" else []
        )
        if any(value < 0 for value in values):
            raise error

    return before


@pytest.mark.parametrize("kind", ["backend", "one_by_one"])
@pytest.mark.parametrize("error", [ValueError("negative"), TypeError(), StatusError(422)], ids=repr)
def test_the_points_that_are_refused_are_dropped_and_all_others_arrive(stage, request, kind, error):
    backend = request.getfixturevalue(kind)
    values = [-float(at) if at in (0, 100, 101, 777, 999) else float(at) for at in range(1000)]
    values[0] = -0.5
    for at, value in enumerate(values):
        stage.writer.point("loss", value, at)
    got = stage.add(backend(before=refuse_negatives(error)))
    stage.flush(20)
    assert got.values == [value for value in values if value >= 0]
    assert stage.status()["dropped"] == {f"refused ({type(error).__name__})": 5}
    stage.delivery.finish(1)
    (row,) = stage.verified().backends
    assert (row.recorded, row.delivered, sum(row.dropped.values()), row.pending) == (1000, 995, 5, 0)


def test_a_backend_that_refuses_everything_loses_nothing(stage, backend):
    broken = threading.Event()
    broken.set()

    def before(hook, given):
        if broken.is_set():
            raise ValueError("I have a bug")

    values = stage.log(500)
    got = stage.add(backend(before=before))
    stage.wait_for(lambda: stage.status()["breaker"] != "closed")
    values += stage.log(500, start=500)
    assert not stage.delivery.flush(0.3)
    assert stage.status()["dropped"] == {}
    assert "I have a bug" in stage.status()["error"]
    broken.clear()
    stage.flush()
    assert got.values == values
    assert stage.status()["dropped"] == {}
    assert stage.status()["error"] is None


def test_a_single_refused_point_waits_for_another_one_to_be_taken(stage, backend):
    got = stage.add(backend(before=refuse_negatives(ValueError("negative"))))
    stage.writer.point("loss", -1, 0)
    stage.wait_for(lambda: stage.status()["retries"] >= 8)
    assert stage.status()["dropped"] == {}
    stage.writer.point("loss", 1, 1)
    stage.wait_for(lambda: stage.status()["pending"] == 0)
    assert got.values == [1]
    assert stage.status()["dropped"] == {"refused (ValueError)": 1}


def test_refused_parameters_do_not_hold_up_points(stage, backend):
    def before(hook, given):
        if hook == "log_params":
            raise TypeError("no nested parameters")

    got = stage.add(backend(before=before))
    stage.writer.event("params", {"params": {"a": [1]}})
    values = stage.log(10)
    stage.flush()
    assert got.values == values
    assert stage.status()["dropped"] == {"refused (TypeError)": 1}


def test_an_unknown_error_is_tried_longer_before_a_point_is_blamed(stage, backend):
    tries = []

    def before(hook, given):
        if hook == "log_metrics" and any(math.isnan(point.value) for point in given):
            tries.append(len(given))
            raise RuntimeError("boom")

    got = stage.add(backend(before=before), deliver=False)
    for value in (1, math.nan, 2):
        stage.writer.point("loss", value)
    stage.delivery.add("backend")
    stage.wait_for(lambda: stage.status()["pending"] == 0)
    assert got.values == [1, 2]
    assert tries.count(3) == stage.settings.failures_before_split


def test_too_large_a_batch_is_halved_and_nothing_is_lost(stage, backend):
    def before(hook, given):
        if len(given) > 10:
            raise StatusError(413)

    values = stage.log(300)
    got = stage.add(backend(before=before))
    stage.flush()
    assert got.values == values
    assert stage.status()["dropped"] == {}


def test_wrong_credentials_are_not_tried_again_until_they_are_mended(stage, backend):
    right = threading.Event()

    def before(hook, given):
        if not right.is_set():
            raise StatusError(401)

    got = stage.add(backend(before=before))
    values = stage.log(100)
    stage.wait_for(lambda: stage.status()["state"] == "resting")
    assert stage.status()["breaker"] == "permanent"
    assert "401" in stage.status()["error"]
    assert stage.manager.plugins["backend"].state is PluginState.ERROR
    assert not stage.delivery.flush(5), "there is no use in waiting"
    assert stage.delivery.status()["backend"]["pending"] == 100
    right.set()
    stage.manager.start_plugin("backend")
    stage.delivery.reconfigure("backend")
    stage.wait_for(lambda: stage.status()["pending"] == 0)
    assert got.values == values
