"""Points as columns hold exactly what the points hold, in the same order."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.exact_points import exact_fields

from tracelet_hookspecs import NO_STEP, MetricColumns, MetricData, MetricKey, MetricType

INT64 = st.integers(-(1 << 63) + 1, (1 << 63) - 1)
POINTS = st.lists(
    st.builds(
        MetricData,
        st.sampled_from(["loss", "acc", "é/\ud800"]),
        st.floats() | st.integers(-(10**400), 10**400),
        st.sampled_from(MetricType),
        st.none() | INT64,
        st.floats(0, 4e9),
        st.none() | st.sampled_from(["system", "gpu"]),
        st.none() | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        st.tuples(st.just("writer"), st.integers(0, 1 << 40), st.integers(0, 1 << 20)),
    ),
    max_size=30,
)


def same(columns, points):
    return list(map(exact_fields, columns.points())) == list(map(exact_fields, points)) and columns.ids() == [
        p.id for p in points
    ]


@given(POINTS, st.data())
def test_points_come_back_to_the_bit_from_columns_and_from_any_part_of_them(points, data):
    columns = MetricColumns.from_points(points)
    assert len(columns) == len(points)
    assert same(columns, points)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(points))] * 2)))
    assert same(columns[start:stop], points[start:stop])
    mask = data.draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points)))
    assert same(columns.where(mask), [point for point, kept in zip(points, mask, strict=True) if kept])
    assert same(
        columns.where(mask)[1:], [point for point, kept in zip(points, mask, strict=True) if kept][1:]
    )
    assert same(pickle.loads(pickle.dumps(columns[start:])), points[start:])
    assert [columns.id(at) for at in range(len(points))] == columns.ids()


def some() -> MetricColumns:
    return MetricColumns.from_points(
        [
            MetricData("loss", 0.5, iteration=3, timestamp=1.0, id=("w", 7, 0)),
            MetricData("cpu", 2**70, MetricType.SYSTEM, None, 2.0, "system", id=("w", 8, 1)),
            MetricData("loss", 10**400, iteration=4, timestamp=3.0, id=("w", 9, 0)),
        ]
    )


def test_what_the_columns_hold():
    columns = some()
    loss, cpu = MetricKey("loss", MetricType.SCALAR, None), MetricKey("cpu", MetricType.SYSTEM, "system")
    assert columns.writer == "w"
    assert columns.keys == (loss, cpu)
    assert columns.key_indices.tolist() == [0, 1, 0]
    assert columns.steps.tolist() == [3, NO_STEP, 4]
    assert columns.times.tolist() == [1.0, 2.0, 3.0]
    assert columns.values.tolist() == [0.5, 2.0**70, math.inf]
    assert dict(columns.integers) == {1: 2**70, 2: 10**400}
    assert list(columns.exact_values()) == [0.5, 2**70, 10**400]
    assert columns.sequences.tolist() == [7, 8, 9]
    assert columns.indexes.tolist() == [0, 1, 0]


def test_a_plugin_cannot_change_them_for_the_next_attempt():
    columns = some()
    for column in (columns.steps, columns.times, columns.values, columns.sequences, columns.indexes):
        with pytest.raises(TypeError):
            column[0] = 0
    with pytest.raises(TypeError):
        columns.integers[0] = 1
    columns.points()[0].name = "other"
    assert columns.points()[0].name == "loss"


def test_numpy_and_pyarrow_use_the_columns_without_copying():
    numpy, pyarrow = pytest.importorskip("numpy"), pytest.importorskip("pyarrow")
    columns = some()
    found = numpy.asarray(columns.values)
    assert (found.dtype, found.tolist()) == (numpy.dtype("float64"), columns.values.tolist())
    address = found.__array_interface__["data"][0]
    made = pyarrow.Array.from_buffers(
        pyarrow.float64(), len(columns), [None, pyarrow.py_buffer(columns.values)]
    )
    assert made.buffers()[1].address == address
    assert made.to_pylist() == columns.values.tolist()


@pytest.mark.parametrize(
    "points",
    [
        [MetricData("loss", 1.0)],
        [MetricData("loss", 1.0, id=("a", 0, 0)), MetricData("loss", 1.0, id=("b", 0, 0))],
    ],
)
def test_points_of_no_writer_or_of_two_are_refused(points):
    with pytest.raises(ValueError, match="of one writer"):
        MetricColumns.from_points(points)


def test_the_contract_stays_light():
    code = "import sys; from tracelet_hookspecs import NO_STEP; sys.exit('attrs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
