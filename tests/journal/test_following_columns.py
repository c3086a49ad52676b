"""Reading a journal as columns finds what reading it as records finds, in the same order."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.journal import Cursor, EventRecord, PointRecord, Writer, group_points, writers
from tracelet.journal.reading.follower import Follower

NAMES = st.sampled_from(["loss", "acc", "cpu"])
STEPS = st.none() | st.integers(-(1 << 63) + 1, (1 << 63) - 1000)  # a row without a step has the next one
VALUES = st.floats()
OPERATIONS = st.lists(
    st.tuples(st.just("point"), NAMES, VALUES, STEPS)
    | st.tuples(st.just("row"), st.dictionaries(NAMES, VALUES, min_size=1), STEPS)
    | st.tuples(st.just("points"), st.integers(64, 200), VALUES)
    | st.tuples(st.just("event"), st.integers(0, 100)),
    max_size=25,
)


def record(writer, operations):
    for kind, *given_ in operations:
        if kind == "point":
            writer.point(*given_)
        elif kind == "row":
            writer.row(*given_)
        elif kind == "points":
            for step in range(given_[0]):
                writer.point("loss" if step % 3 else "acc", given_[1], step)
        else:
            writer.event("note", {"number": given_[0]})


def flat(chunks):
    """Return chunks as records."""
    found = []
    for chunk in chunks:
        if isinstance(chunk, EventRecord):
            found.append(chunk)
            continue
        lengths = {len(getattr(chunk, name)) for name in chunk.__slots__ if name != "keys"}
        assert lengths == {len(chunk)}
        assert len(set(chunk.keys)) == len(chunk.keys)
        rows = zip(
            chunk.sequences,
            chunk.indexes,
            chunk.key_indices,
            chunk.steps,
            chunk.times,
            chunk.values,
            strict=True,
        )
        found += [PointRecord(seq, at, *chunk.keys[key], *rest) for seq, at, key, *rest in rows]
    return found


def exact(records):
    return [(*r[:5], struct.pack("<qdd", *r[5:])) if isinstance(r, PointRecord) else r for r in records]


@settings(max_examples=60, deadline=None)
@given(operations=OPERATIONS, limits=st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_columns_hold_the_same_records_whatever_the_limits(tmp_path_factory, operations, limits):
    run_dir = tmp_path_factory.mktemp("run")
    writer = Writer(run_dir, {})
    record(writer, operations)
    writer.close()
    (name,) = writers(run_dir)
    records, columns, cursor = [], [], Cursor()
    while True:
        limit = limits[len(columns) % len(limits)]
        one, other = Follower(run_dir, name, cursor), Follower(run_dir, name, cursor)
        found, chunks = one.read(limit), other.read_columns(limit)
        assert exact(flat(chunks)) == exact(found)
        assert exact(flat(group_points(found))) == exact(found)
        assert one.cursor == other.cursor
        assert one.damage.counts == other.damage.counts
        if not found:
            break
        records, columns, cursor = [*records, *found], [*columns, chunks], one.cursor
    assert exact(records) == exact(Follower(run_dir, name).read(1 << 20))


def test_points_in_any_order_are_grouped_and_chosen_from():
    late, early = (PointRecord(seq, 1, "a", "scalar", None, 1, 1.0, 2.0) for seq in (9, 3))
    (part,) = group_points([late, early])
    assert flat([part]) == [late, early]
    assert flat([part.where([False, True])]) == [early]
