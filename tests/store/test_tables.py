"""Series and runs as tables, thinned out, and written for others."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.errors import StoreError, UsageError
from tracelet.store import export
from tracelet.store.downsampling import (
    _find_peaks_plainly,
    _find_peaks_with_numpy,
    _find_peaks_with_tsdownsample,
)
from tracelet.store.point_columns import Points
from tracelet.store.series import Series
from tracelet_hookspecs.strict_json import to_json

pandas = pytest.importorskip("pandas")
numpy = pytest.importorskip("numpy")


@pytest.fixture
def run(records):
    writer = records.start("r", name="n")
    writer.event("params", {"params": {"lr": 0.1, "mixed": 1}})
    for step in range(4):
        writer.row({"train/loss": 1 / (step + 1), "train/acc": float(step)}, step)
    writer.point("val", math.nan, 2)
    writer.point("val", 7.0, 2)
    writer.point("system/cpu", 50.0, type="system", source="system")
    writer.close("finished")
    return records.store().run("r")


def test_a_series_as_a_dataframe(run):
    frame = run.metric("train/loss").dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["iteration", "value", "timestamp"]
    assert frame["iteration"].tolist() == [0, 1, 2, 3]
    assert frame["value"].tolist() == [1.0, 1 / 2, 1 / 3, 1 / 4]
    assert frame["timestamp"].tolist() == run.metric("train/loss").timestamps
    assert str(frame.dtypes["iteration"]) == "int64"


@pytest.mark.parametrize("library", ["polars", "arrow"])
def test_other_libraries(run, records, library):
    pytest.importorskip({"arrow": "pyarrow"}.get(library, library))
    records.run("s", {"train/loss": [1.0]}, params={"mixed": "text", "list": [1, 2]})
    series = run.metric("train/loss")
    frame = series.dataframe(library)
    assert type(frame).__module__.split(".")[0] == {"arrow": "pyarrow"}.get(library, library)
    rows = frame.to_pylist() if library == "arrow" else frame.to_dicts()
    assert [row["value"] for row in rows] == series.values
    runs = records.store().dataframe(library=library)
    rows = runs.to_pylist() if library == "arrow" else runs.to_dicts()
    assert [row["params.mixed"] for row in rows] == ["text", "1"]
    assert [row["params.list"] for row in rows] == ["[1, 2]", None]
    assert run.dataframe(layout="long", library=library) is not None


def test_arrays(run):
    steps, values, times = run.metric("train/loss").arrays()
    assert (steps.dtype, values.dtype, times.dtype) == ("int64", "float64", "float64")
    assert values.tolist() == run.metric("train/loss").values
    with pytest.raises(ValueError):
        values[0] = 3


def test_several_metrics_side_by_side(run):
    frame = run.dataframe()
    assert list(frame.columns) == ["iteration", "train/acc", "train/loss", "val"]  # no system metrics
    assert frame["iteration"].tolist() == [0, 1, 2, 3]
    assert frame["val"].isna().tolist() == [True, True, False, True]
    assert frame["val"][2] == 7.0  # the last of several at a step
    assert list(run.dataframe(["train/*", "!*acc"]).columns) == ["iteration", "train/loss"]
    assert list(run.dataframe("system/*").columns) == ["iteration", "system/cpu"]
    with pytest.raises(StoreError, match="did you mean 'train/loss'"):
        run.dataframe(["train/los"])
    with pytest.raises(UsageError, match="layout"):
        run.dataframe(layout="high")
    with pytest.raises(UsageError, match="pandas, polars, arrow"):
        run.dataframe(library="excel")
    assert run.dataframe([]).shape == (0, 1)


def test_several_metrics_one_below_the_other(run):
    frame = run.dataframe(["val", "train/loss"], layout="long")
    assert list(frame.columns) == ["metric", "iteration", "value", "timestamp"]
    assert frame["metric"].tolist() == ["val"] * 2 + ["train/loss"] * 4
    assert math.isnan(frame["value"][0])


def test_the_names_of_what_is_missing(run):
    text = """
import sys
for name in ("pandas", "polars", "pyarrow"):
    sys.modules[name] = None
from tracelet.store import open_store
try:
    open_store(sys.argv[1]).run("r").metric("val").dataframe()
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", text, str(run.dir.parents[1])], capture_output=True, text=True
    )
    assert "pip install 'tracelet[pandas]'" in done.stdout, done.stderr


def test_reading_imports_only_what_it_uses(run):
    text = """
import sys
from tracelet.store import open_store
store = open_store(sys.argv[1])
store.run("r").metric("val").values
print([name for name in ("sqlite3", "pandas", "polars", "pyarrow", "pluggy", "click", "rich") if name in sys.modules])
store.runs()
print("sqlite3" in sys.modules, "pandas" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", text, str(run.dir.parents[1])], capture_output=True, text=True
    )
    assert done.stdout.split("\n")[:2] == ["[]", "True False"], done.stderr


def test_runs_as_a_dataframe(records, run):
    records.run("s", {"train/loss": [3.0, 4.0]}, params={"lr": 0.5}, tags={"team": "vision"})
    frame = records.store().dataframe(sort="id")
    assert frame["id"].tolist() == ["r", "s"]
    assert frame["params.lr"].tolist() == [0.1, 0.5]
    assert frame["metrics.train/loss"].tolist() == [0.25, 4.0]
    assert frame["tags.team"].tolist()[1] == "vision"
    assert records.store().dataframe(where="params.lr > 0.2", statistic="min")[
        "metrics.train/loss"
    ].tolist() == [3.0]
    with pytest.raises(UsageError, match="statistic"):
        records.store().dataframe(statistic="median")


def test_many_series_of_many_runs(records, run):
    records.run("s", {"train/loss": [math.sin(step / 100) for step in range(5000)]})
    store = records.store()
    several = store.series("train/loss", ["r", "s"], points=100)
    assert [(series.run, len(series)) for series in several[:1]] == [("r", 4)]
    assert 90 <= len(several[1]) <= 102
    assert [series.name for series in store.series("train/*", store.runs(sort="id"))] == [
        "train/acc",
        "train/loss",
        "train/loss",
    ]
    assert store.series("nobody") == []


@given(
    st.lists(st.floats(), min_size=3, max_size=300),
    st.integers(2, 40),
)
def test_thinning_out_keeps_every_peak(values, points):
    steps = numpy.arange(len(values))
    series = Series("m", Points(steps, numpy.array(values), steps.astype("float64")))
    thin = series.downsample(points)
    assert len(thin) <= max(points, 4)
    assert thin.iterations == sorted(set(thin.iterations))
    assert (thin.iterations[0], thin.iterations[-1]) == (0, len(values) - 1)
    assert str([thin.min, thin.max]) in (str([series.min, series.max]), str([-0.0, series.max])) or (
        thin.min == series.min and thin.max == series.max
    )
    assert all(
        str(value) == str(values[step]) for step, value in zip(thin.iterations, thin.values, strict=True)
    )
    inside = numpy.array(values)
    for places in (
        _find_peaks_plainly(values, 5),
        _find_peaks_with_numpy(numpy, inside, 5),
        _find_peaks_with_tsdownsample(inside, 5),
    ):
        kept = [values[place] for place in places]
        known = [value for value in values if value == value]
        if known:
            assert min(known) in kept
            assert max(known) in kept


def test_thinning_out_has_limits(run):
    with pytest.raises(UsageError):
        run.metric("train/loss").downsample(1)
    assert run.metric("train/loss").downsample(10).values == run.metric("train/loss").values


def test_as_plain_values(run):
    told = run.to_dict()
    assert told["name"] == "n"
    assert told["params"] == {"lr": 0.1, "mixed": 1}
    assert told["summary"]["train/loss"]["last"] == 0.25
    [loss] = [series for series in told["metrics"] if series["name"] == "train/loss"]
    assert loss["values"] == [1.0, 1 / 2, 1 / 3, 1 / 4]
    assert run.to_dict(None)["metrics"] == []


def test_as_json(run):
    def refuse(constant):
        raise AssertionError(constant)

    file = io.StringIO()
    export.write_json(run, file)
    told = json.loads(file.getvalue(), parse_constant=refuse)
    assert [series["values"] for series in told["metrics"] if series["name"] == "val"] == [["NaN", 7.0]]

    file = io.StringIO()
    export.write_json_lines(run, file, ["val"])
    lines = [json.loads(line, parse_constant=refuse) for line in file.getvalue().splitlines()]
    assert lines[0]["run"]["id"] == "r"
    assert [(line["metric"], line["iteration"], line["value"]) for line in lines[1:]] == [
        ("val", 2, "NaN"),
        ("val", 2, 7.0),
    ]


def test_as_csv(run):
    file = io.StringIO(newline="")
    export.write_csv(run, file, "train/loss")
    rows = list(csv.reader(io.StringIO(file.getvalue())))
    assert rows[0] == ["metric", "iteration", "value", "timestamp", "rank"]
    assert [float(row[2]) for row in rows[1:]] == run.metric("train/loss").values
    assert [float(row[3]) for row in rows[1:]] == run.metric("train/loss").timestamps


def test_to_json():
    assert to_json({"a": [math.inf, -math.inf, math.nan, 1.5], 1: (None,)}) == {
        "a": ["Infinity", "-Infinity", "NaN", 1.5],
        "1": [None],
    }
