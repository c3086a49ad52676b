"""The format: any records read back exactly, and the layout is the documented one."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.journal.conftest import SAID_BY_ITSELF, Journal, same

from tracelet.journal import Damage, EventRecord, PointRecord, read_columns, read_events
from tracelet.journal.format import SegmentInfo, pack_header, unpack_header

LONG = int(os.environ.get("TRACELET_TEST_EFFORT", "1"))  # times as many examples

NAMES = st.text(min_size=1, max_size=8) | st.sampled_from(["loss", "acc", "lr"])
VALUES = st.floats(width=64) | st.integers(-(2**53), 2**53)
STEPS = st.none() | st.integers(-(2**63), 2**63 - 1)
KINDS = st.sampled_from([("scalar", None), ("system", "psutil")])
POINTS = st.tuples(st.just("point"), NAMES, VALUES, STEPS, KINDS)
ROWS = st.tuples(st.just("row"), st.dictionaries(NAMES, VALUES, min_size=1, max_size=12), STEPS, KINDS)
EVENTS = st.tuples(
    st.just("event"),
    st.text(min_size=1, max_size=5).filter(lambda type_: type_ not in SAID_BY_ITSELF | {"name", "columns"}),
    st.dictionaries(st.text(max_size=5).filter(lambda key: key != "type"), st.text(max_size=90), max_size=4),
)


class Model:
    """What a journal should hold, kept in plain lists."""

    def __init__(self):
        self.points, self.events, self.last = [], [], {}

    def record(self, names_and_values, step, kind):
        if step is None:
            step = min(max(self.last.get(name, -1) for name, _ in names_and_values) + 1, 2**63 - 1)
        for name, value in names_and_values:
            self.last[name] = max(self.last.get(name, -1), step)
            self.points.append((name, *kind, step, float(value)))


def play(writer, model, operations):
    for what, *arguments in operations:
        if what == "event":
            writer.event(*arguments)
            model.events.append(tuple(arguments))
            continue
        *value, step, (type_, source) = arguments
        recorded = list(value[0].items()) if what == "row" else [tuple(value)]
        if step is None and max(model.last.get(name, -1) for name, _ in recorded) == 2**63 - 1:
            with pytest.raises(ValueError, match="64 bits"):  # there is no step after the last one
                getattr(writer, what)(*value, step, type=type_, source=source)
            continue
        getattr(writer, what)(*value, step, type=type_, source=source)
        model.record(recorded, step, (type_, source))


@settings(max_examples=40 * LONG, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(POINTS | ROWS | EVENTS, max_size=30), mapped=st.booleans())
def test_anything_reads_back_exactly(tmp_path_factory, operations, mapped):
    journal, model = Journal(tmp_path_factory.mktemp("run")), Model()
    writer = journal.writer(mapped=mapped)
    play(writer, model, operations)
    assert writer.recorded == len(model.points)
    assert_holds(journal, model)  # while it is open
    writer.close("finished")
    assert_holds(journal, model)
    shutil.rmtree(journal.run_dir)


def assert_holds(journal, model):
    damage = Damage()
    found = journal.records(damage=damage)
    points = [record for record in found if isinstance(record, PointRecord)]
    assert [(p.name, p.type, p.source, p.step) for p in points] == [point[:4] for point in model.points]
    assert all(map(same, [point.value for point in points], [point[4] for point in model.points]))
    events = [
        (e.type, e.payload) for e in found if isinstance(e, EventRecord) and e.type not in SAID_BY_ITSELF
    ]
    assert events == model.events
    assert [
        (e.type, e.payload) for e in read_events(journal.run_dir) if e.type not in SAID_BY_ITSELF
    ] == events
    for numpy in (True, False):
        columns = read_columns(journal.run_dir, damage=damage, numpy=numpy)
        assert set(columns) == {point[0] for point in model.points}
        for name, column in columns.items():
            for part in column.parts:
                wanted = [point for point in model.points if point[:3] == (name, part.type, part.source)]
                assert [int(step) for step in column.steps[part.start : part.stop]] == [p[3] for p in wanted]
                assert all(map(same, column.values[part.start : part.stop], [point[4] for point in wanted]))
            assert sum(part.stop - part.start for part in column.parts) == len(column)
    assert not damage


def test_a_header_reads_back_and_knows_its_version():
    info = SegmentInfo("ab" * 16, 7, 7 << 20, 1234.5, -1235.5, 99)
    header = pack_header(info)
    assert unpack_header(header) == info
    assert unpack_header(header[:8] + b"\2" + header[9:]) is None
    assert unpack_header(header[:-1]) is None


def test_the_layout_is_the_documented_one(journal):
    """Pins the format: a change here is a new version."""
    import struct
    import zlib

    writer = journal.writer()
    writer.point("loss", 0.5, 3)
    writer.close()
    data = journal.files()[0].read_bytes()
    assert data[:8] == b"TRACELET"
    assert struct.unpack_from("<HHIQ", data, 8) == (1, 32, 0, 0)
    assert zlib.crc32(data[:52]) == struct.unpack_from("<I", data, 52)[0]
    first = next(record for record in journal.records() if isinstance(record, PointRecord))
    value, step, time, tag, checksum = struct.unpack_from("<dqdII", data, 64 + 32 * first.seq)
    assert (value, step, time) == (first.value, first.step, first.time)
    assert tag >> 24 == 1
    assert checksum == zlib.crc32(data[64 + 32 * first.seq :][:28], first.seq)
