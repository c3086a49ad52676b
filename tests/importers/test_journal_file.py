"""The journal files that imports write: exact, over several segments, the same with NumPy and without."""

from __future__ import annotations

import math
import struct
from array import array
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.errors import UsageError
from tracelet.importers.columns import EMPTY, Columns, KnownSeries, as_columns, encode_points
from tracelet.importers.journal_file import JournalFile, writer_id
from tracelet.journal import Damage, read_columns, read_events

STEPS = st.integers(-(2**63), 2**63 - 1)
POINT = st.tuples(STEPS, st.floats(), st.floats(0, 1e10))


def columns_of(points: list[tuple[int, float, float]]) -> Columns:
    steps, values, times = zip(*points, strict=True) if points else ((), (), ())
    return as_columns("m", list(steps), list(values), list(times))[0]


@settings(max_examples=40, deadline=None)
@given(st.lists(POINT, min_size=66, max_size=90), st.integers(0, 2**40))
def test_slots_are_the_same_with_numpy_and_without(points, first):
    with pytest.MonkeyPatch.context() as patch:
        columns = columns_of(points)
        fast = encode_points(7, columns, first)
        patch.setattr("tracelet.importers.columns.use_numpy", lambda wanted=None: False)
        assert encode_points(7, columns, first) == fast


@settings(max_examples=60, deadline=None)
@given(st.lists(POINT, max_size=12), st.lists(POINT, max_size=12), st.randoms())
def test_only_new_points_are_new_whatever_their_order(before, later, random):
    known = KnownSeries(columns_of(before))
    every = [*before, *later]
    random.shuffle(every)
    cut = random.randint(0, len(every))
    new = [known.find_new(columns_of(part)) for part in (every[:cut], every[cut:])]
    found = Counter(row for part in new for row in rows(part))
    assert found == Counter(rows(columns_of(later)))


def rows(columns: Columns) -> list[tuple[bytes, ...]]:
    places = range(0, len(columns.steps), 8)
    return [tuple(column[at : at + 8] for column in columns) for at in places]


@pytest.mark.parametrize("kind", [list, lambda values: array("d", values), np.array])
def test_columns_of_any_kind(kind):
    columns, wrong = as_columns("m", [1, 2], kind([0.5, math.nan]), kind([1.0, 2.0]))
    assert struct.unpack("<2d", columns.times) == (1.0, 2.0)
    assert (columns.points, wrong) == (2, 0)


def test_times_that_the_journal_refuses_become_valid_and_are_counted():
    columns, wrong = as_columns("m", [1, 2, 3, 4], [0.0] * 4, [math.nan, -5.0, math.inf, 7.0])
    times = struct.unpack("<4d", columns.times)
    assert (times[0], times[1], times[3], wrong) == (0.0, 0.0, 7.0, 3)
    assert times[2] < 253402300800.0


@pytest.mark.parametrize(
    ("steps", "values"), [([1], []), ([1.5], [1.0]), ([2**63], [1.0]), (["x"], [1.0]), ([1], ["x"])]
)
def test_columns_that_do_not_fit_are_refused(steps, values):
    with pytest.raises(UsageError, match="points of 'm'"):
        as_columns("m", steps, values, [1.0])


def test_several_segments_with_events_at_their_ends(tmp_path):
    count = (1 << 20) + 500
    steps = np.arange(count)
    columns, _ = as_columns("m", steps, steps / 3, steps / 8)
    journal = JournalFile(tmp_path, writer_id("run", 0, 5.0), {"run": {"id": "run", "name": "r"}}, 5.0)
    journal.points(("m", "scalar", None), columns.part(0, (1 << 20) - 40))
    journal.event("params", {"params": {"text": "x" * 40_000}}, 6.0)  # does not fit into the rest
    journal.points(("m", "scalar", None), columns.part((1 << 20) - 40, count))
    journal.points(("n", "system", "who"), columns.part(0, 3))
    journal.close("failed", "why", 9.0)
    damage = Damage()
    found = read_columns(tmp_path, damage=damage)
    assert damage.counts == {}
    assert found["m"].steps.tobytes() == columns.steps
    assert found["m"].values.tobytes() == columns.values
    assert found["m"].times.tobytes() == columns.times
    assert [(part.type, part.source) for part in found["n"].parts] == [("system", "who")]
    events = read_events(tmp_path)
    assert [event.payload for event in events if event.type == "outcome"] == [
        {"outcome": "failed", "error": "why"}
    ]
    assert len(list((tmp_path / "journal").iterdir())) == 2


def test_two_imports_cannot_write_the_same_file(tmp_path):
    identity = writer_id("run", 0, 5.0)
    JournalFile(tmp_path, identity, {}, 5.0)
    with pytest.raises(FileExistsError):
        JournalFile(tmp_path, identity, {}, 5.0)


def test_nothing_known_means_that_everything_is_new():
    columns = columns_of([(1, 2.0, 3.0)])
    assert KnownSeries().find_new(columns) == columns
    assert KnownSeries(columns).find_new(columns) == EMPTY
