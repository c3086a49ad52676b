"""A long series in half the memory: every number is exact, and a window shows the same as of the whole columns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import pytest

from tracelet.journal import Writer
from tracelet.store import RunRecord
from tracelet.store.dense_columns import BLOCK, DenseColumn
from tracelet.store.dense_series import read_dense
from tracelet.store.windows import read_window

COUNT = 2 * BLOCK + 1234


def columns() -> dict[str, object]:
    chance = numpy.random.default_rng(5)
    gaps = chance.exponential(2e-4, COUNT)
    return {
        "steps": numpy.arange(COUNT) * 3 + 7,
        "uneven steps": numpy.cumsum(chance.integers(0, 4, COUNT)),
        "huge steps": numpy.sort(chance.integers(-(1 << 62), 1 << 62, COUNT)),
        "times": 1.8e9 + numpy.cumsum(gaps),
        "times with a pause": 1.8e9 + numpy.cumsum(numpy.where(numpy.arange(COUNT) == 70_000, 1e6, gaps)),
        "small times": numpy.cumsum(gaps),
        "equal": numpy.full(COUNT, 4.25),
    }


@pytest.mark.parametrize("name", list(columns()))
def test_column_is_exact_and_is_searched_like_an_array(name: str) -> None:
    items = columns()[name]
    dense = DenseColumn()
    for part in numpy.array_split(items, 5):
        dense.append(part)
    assert dense.is_sorted
    assert (dense.all() == items).all()
    places = numpy.array([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, COUNT - 1])
    assert (dense.pick(places) == items[places]).all()
    assert (dense.pick(slice(BLOCK - 5, 2 * BLOCK + 5)) == items[BLOCK - 5 : 2 * BLOCK + 5]).all()
    wanted = [*items[::9973].tolist(), float(items[0]) - 1, float(items[-1]) + 1, float(items[40_000]) + 1e-5]
    for side in ("left", "right"):
        assert (dense.search(wanted, side) == numpy.searchsorted(items.astype("float64"), wanted, side)).all()


def test_regular_columns_take_little_memory() -> None:
    steps, times = DenseColumn(), DenseColumn()
    steps.append(columns()["steps"])
    times.append(columns()["times"])
    assert steps.nbytes == 0
    assert times.nbytes == 2 * COUNT
    seldom = DenseColumn()
    seldom.append(1.8e9 + numpy.cumsum(numpy.random.default_rng(1).uniform(0.01, 0.02, BLOCK // 2)))
    assert seldom.nbytes == 4 * (BLOCK // 2)


def test_column_that_is_not_sorted_says_so() -> None:
    dense = DenseColumn()
    dense.append(numpy.array([1.0, 2.0]))
    dense.append(numpy.array([1.5, 2.5]))
    assert not dense.is_sorted


def record(folder: Path, writers: int = 1, *, backwards: bool = False) -> RunRecord:
    for number in range(writers):
        with Writer(folder / "run", {"run": {"id": "run", "name": "run"}, "attempt": number}) as writer:
            for step in range(COUNT // writers):
                value = math.nan if step % 5000 == 17 else math.sin(step * 0.37) + step / COUNT
                writer.point("loss", value, -step if backwards else 2 * step)
            writer.point("other", 1.0, 0)
            writer.close("finished")
    return RunRecord.read(folder / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return record(tmp_path_factory.mktemp("dense"))


@pytest.mark.parametrize("axis", ["step", "time"])
@pytest.mark.parametrize("share", [(0.0, 1.0), (0.3, 0.7), (0.5, 0.501), (0.9, 2.0)])
def test_window_is_that_of_the_whole_columns(run: RunRecord, axis: str, share: tuple[float, float]) -> None:
    whole = run.metric("loss")
    dense = read_dense(run.dir, run.id, "loss", len(whole))
    assert dense is not None
    assert dense[1] == {part.writer: len(whole) for part in whole.origin.parts}
    assert dense[0].summary == whole.summary
    x = whole.arrays().steps if axis == "step" else whole.arrays().times
    low, high = (float(x[0] + part * (x[-1] - x[0])) for part in share)
    options = {"axis": axis, "first": low, "last": high, "pixels": 300}
    one, other = (read_window(series, **options) for series in (dense[0], whole))
    assert one.total == other.total
    assert one.x.tolist() == other.x.tolist()
    for mine, theirs in zip(one.points, other.points, strict=True):
        assert numpy.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")
    assert (one.means is None) == (other.means is None)
    if one.means is not None:
        assert numpy.array_equal(one.means.values, other.means.values)
        width = float(x[-1] - x[0]) / 300
        assert numpy.abs(one.means.x - other.means.x).max() <= width


def test_window_over_relative_time_is_that_over_time(run: RunRecord) -> None:
    dense = read_dense(run.dir, run.id, "loss", COUNT)
    assert dense is not None
    start = run.started_at
    one = read_window(dense[0], axis="relative", first=0.01, pixels=100, start=start)
    other = read_window(dense[0], axis="time", first=start + 0.01, pixels=100)
    assert one.x.tolist() == (other.x - start).tolist()
    assert one.points.steps.tolist() == other.points.steps.tolist()


def test_series_of_several_processes_and_in_another_order_are_left_to_the_record(tmp_path: Path) -> None:
    assert read_dense(record(tmp_path / "two", 2).dir, "run", "loss", 2 * (COUNT // 2)) is None
    assert read_dense(record(tmp_path / "back", backwards=True).dir, "run", "loss", COUNT) is None


def test_damage_is_left_to_the_record(run: RunRecord) -> None:
    assert read_dense(run.dir, run.id, "loss", COUNT + 1) is None
    assert read_dense(run.dir, run.id, "loss", COUNT - 1) is None
    assert read_dense(run.dir, run.id, "absent", COUNT) is None
