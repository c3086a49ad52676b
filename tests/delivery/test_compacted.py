"""Delivery from a run that has been compacted: cursors stay where they were, and no point comes twice."""

from __future__ import annotations

import math

import pytest

from tracelet.delivery import sync
from tracelet.journal import compact
from tracelet.journal.format import SEGMENT_SLOTS

POINTS = 70_000  # several chunks of a compacted file


@pytest.fixture
def long_run(stage):
    """Return the values of a run that has a row, parameters and tags, too."""
    return record(stage, POINTS)


def record(stage, points: int) -> list[float]:
    stage.writer.event("params", {"params": {"lr": 0.5}})
    values = stage.log(points)
    stage.writer.row({"a": math.pi, "b": -1.0}, 7)
    stage.writer.event("tags", {"tags": {"late": "yes"}})
    return [*values, math.pi, -1.0]


def compacted(stage, segments: int = 1) -> None:
    stage.writer.close("finished")
    done = compact(stage.run_dir)
    assert done.segments == segments
    assert not done.left
    assert {file.suffix for file in (stage.run_dir / "journal").iterdir()} == {".trz"}


@pytest.mark.parametrize("kind", ["backend", "one_by_one"])
def test_a_backend_that_never_had_any_gets_every_point_once(stage, long_run, request, kind):
    compacted(stage)
    got = request.getfixturevalue(kind)()
    stage.manager.register_plugin(got, name="backend")
    (result,) = sync(stage.run_dir, stage.manager, ["backend"])
    assert result.complete, result
    assert got.values == long_run
    assert (got.params, got.tags) == ({"lr": 0.5}, {"late": "yes"})
    (row,) = stage.verified().backends
    assert (row.delivered, row.pending) == (POINTS + 4, 0)


@pytest.mark.parametrize("took", [1, 1000, 60_000])
def test_a_cursor_from_before_goes_on_after(stage, backend, long_run, took):
    """Also one that stands in the middle of what has become a chunk."""
    first = backend()

    def enough(hook, given):
        if len(first.points) >= took:
            raise ConnectionError("no more for now")

    first.before = enough
    stage.add(first)
    stage.wait_for(lambda: len(first.points) >= took)
    stage.close()
    assert len(first.points) < len(long_run)
    compacted(stage)
    second = backend()
    stage.again(second)
    (row,) = stage.verified().backends
    stage.flush(60)
    assert first.values + second.values == long_run
    assert len({point.id for point in first.points + second.points}) == len(long_run)
    (row,) = stage.verified().backends
    assert (row.delivered, row.pending) == (POINTS + 4, 0)


def test_a_backend_at_work_while_it_is_compacted(stage, one_by_one, long_run):
    got = one_by_one()
    stage.add(got)
    stage.wait_for(lambda: got.points)
    compacted(stage)
    stage.flush(60)
    assert got.values == long_run
    assert stage.status()["pending"] == 0
    stage.verified()


@pytest.mark.slow
def test_a_run_of_several_segments(stage, backend):
    points = SEGMENT_SLOTS + 100
    values = record(stage, points)
    compacted(stage, segments=2)
    got = stage.manager.register_plugin(backend()).instance
    (result,) = sync(stage.run_dir, stage.manager, ["backend"])
    assert result.complete, result
    assert got.values == values
    (row,) = stage.verified().backends
    assert (row.delivered, row.pending) == (points + 4, 0)
