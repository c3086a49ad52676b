"""Figures of Plotly and Matplotlib, and picture files."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise

import pytest

import tracelet
from tracelet.errors import StoreError, UsageError
from tracelet.store.plotting_matplotlib import to_bytes
from tracelet.store.plotting_panels import Style, make_panels

NEEDS = "needs the packages of the nox session 'seeing'"
plotly = pytest.importorskip("plotly.graph_objects", reason=NEEDS)
matplotlib = pytest.importorskip("matplotlib.figure", reason=NEEDS)


def lines_of(figure):
    """Return the y values of each line."""
    if isinstance(figure, plotly.Figure):
        return [list(trace.y) for trace in figure.data]
    return [list(line.get_ydata()) for ax in figure.axes for line in ax.get_lines()]


@pytest.mark.parametrize("library", ["plotly", "matplotlib"])
def test_what_is_drawn_is_what_was_recorded(store, library):
    run = store.run("rate-0.1")
    assert lines_of(run.plot("train/loss", library=library)) == [run.metric("train/loss").values]
    assert lines_of(run.metric("train/loss").plot(library=library)) == [run.metric("train/loss").values]
    assert len(lines_of(run.plot(library=library))) == 3
    several = lines_of(store.plot("train/loss", ["rate-0.1", "rate-0.01"], library=library))
    assert several == [store.run(name).metric("train/loss").values for name in ("rate-0.1", "rate-0.01")]
    odd = lines_of(run.plot("$odd_{x}", library=library))[0]
    assert [str(value) for value in odd] == [str(value) for value in run.metric("$odd_{x}").values]


@pytest.mark.parametrize("library", ["plotly", "matplotlib"])
def test_axes_and_smoothing(store, library):
    run = store.run("rate-0.1")
    raw, smoothed = lines_of(run.plot("<b>", smoothing=0.9, library=library))
    assert raw == run.metric("<b>").values
    assert max(map(abs, (a - b for a, b in pairwise(smoothed[50:])))) < 0.7
    assert len(lines_of(run.plot("train/loss", points=50, library=library))[0]) <= 52
    for x in ("time", "wall"):
        assert lines_of(run.plot("train/loss", x=x, log=True, library=library))


def test_a_figure_of_no_library_in_particular(store):
    assert isinstance(store.run().plot("train/loss"), plotly.Figure)


def test_mistakes(store):
    run = store.run("rate-0.1")
    with pytest.raises(StoreError, match="no metric 'los'"):
        run.plot("los")
    with pytest.raises(UsageError, match="expected smoothing from 0"):
        run.plot("<b>", smoothing=1.0)
    with pytest.raises(UsageError, match="as x, found 'epoch'"):
        run.plot("<b>", x="epoch")
    with pytest.raises(UsageError, match="as library, found 'seaborn'"):
        run.plot("<b>", library="seaborn")
    with pytest.raises(StoreError, match="none of 2 runs has a metric 'los/\\*'"):
        store.plot("los/*")


@pytest.mark.parametrize(
    ("suffix", "beginning"),
    [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("html", b"<!doctype html>")],
)
def test_picture_files(store, tmp_path, suffix, beginning):
    file = tmp_path / f"curves.{suffix}"
    command = [
        sys.executable,
        "-m",
        "tracelet",
        "--dir",
        store.dir,
        "plot",
        "rate-0.1",
        "-o",
        file,
        "--smooth",
        "0.5",
    ]
    subprocess.run([*command, "--with", "rate-0.01"], check=True, timeout=120, capture_output=True)
    assert file.read_bytes().lower().startswith(beginning.lower())
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_without_plotly_a_page_is_drawn_by_matplotlib(store, tmp_path):
    program = (
        "import sys; sys.modules['plotly'] = None\n"
        "from tracelet.cli import main\n"
        f"sys.argv = ['tracelet', '--dir', {str(store.dir)!r}, 'plot', 'rate-0.1', '-o', 'a.html']\nmain()"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=120, cwd=tmp_path, capture_output=True
    )
    page = (tmp_path / "a.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "</svg>" in page


def test_a_smoothed_curve_does_not_depend_on_how_often_it_was_logged():
    from tracelet.store.plotting_panels import smooth

    every, tenth = range(1000), range(0, 1000, 10)
    dense = smooth(every, [math.sin(x / 200) for x in every], 0.9 ** (1 / 10))
    sparse = smooth(tenth, [math.sin(x / 200) for x in tenth], 0.9)
    assert all(abs(dense[x] - sparse[x // 10]) < 0.05 for x in tenth)
    assert smooth([0, 1, 2], [5.0, math.nan, 5.0], 0.9)[::2] == [5.0, 5.0]
    assert smooth([], [], 0.9) == []


EXTREMES = {
    "max": [1.7976931348623157e308, -1.7976931348623157e308] * 5,
    "only max": [1.7976931348623157e308] * 10,
    "denormal": [5e-324 * step for step in range(10)],
    "whole range": [5e-324, *[1.0] * 8, 1.79e308],
    "odd": [1.0, math.nan, math.inf, -math.inf, 2.0] * 2,
    "no number": [math.nan, math.inf, -math.inf],
    "negative": [-1.0, -2.0],
    "zero": [0.0, 0.0],
    "half": [-1.0, 0.0, 1.0, 2.0, 20.0],
    "close": [1.0, 1.0 + 1e-9],
    "far steps": [1.0, 2.0],
}


@pytest.fixture(scope="module")
def extremes(tmp_path_factory):
    """Return a store with one run of values that are hard to draw, and a metric of one point."""
    data = tmp_path_factory.mktemp("extremes") / ".tracelet"
    with tracelet.start_run("extreme", dir=data, plugins=["no:system", "no:environment", "no:gpu"]) as run:
        for name, values in EXTREMES.items():
            for step, value in enumerate(values):
                run.log_metric(name, value, step * 2**61 if name == "far steps" else step)
        run.log_metric("one", 42.5, 7)
    return tracelet.open_store(data)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("library", ["plotly", "matplotlib"])
def test_every_value_can_be_drawn(extremes, library, log):
    run = extremes.run()
    panels = {panel.title: panel for panel in make_panels(run.series("*"), Style(log=log), {})}
    figure = run.plot(log=log, library=library, smoothing=0.5)
    if library == "plotly":
        numbers = [number for axis in json.loads(figure.to_json())["data"] for number in axis["y"] or []]
        assert numbers
        texts = [note.text for note in figure.layout.annotations]
    else:
        for suffix, beginning in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
            assert to_bytes(figure, suffix).startswith(beginning)
        texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    for reason in ("no finite value", *["no value above 0 to show on a log axis"] * 2 * log):
        assert any(reason in text for text in texts)
    assert panels["half"].hidden == 2 * log
    assert any("2 of 5 points not shown: 0 or less on a log axis" in text for text in texts) == log
    assert any("6 of 10 points NaN or infinite" in text for text in texts)


@pytest.mark.parametrize(
    ("log", "ticks"), [(False, {"1e308", "-1e308", "0"}), (True, {"1e0", "1e200", "1e-200"})]
)
def test_ticks_beyond_what_a_library_can_compute(extremes, log, ticks):
    name = "whole range" if log else "max"
    [axis] = extremes.run().plot(name, log=log, library="matplotlib").axes
    assert ticks <= {label.get_text() for label in axis.get_yticklabels()}
    figure = extremes.run().plot(name, log=log, library="plotly")
    assert ticks <= set(figure.layout.yaxis.ticktext)
    assert list(figure.data[0].text) == [repr(value) for value in EXTREMES[name]]


def test_a_point_without_neighbors_is_a_dot(extremes):
    for name, places in (("odd", [0, 9]), ("one", [0])):
        [line] = extremes.run().plot(name, library="matplotlib").axes[0].get_lines()
        assert (line.get_marker(), line.get_markevery()) == (".", places)
        [trace] = extremes.run().plot(name, library="plotly").data
        assert [at for at, size in enumerate(trace.marker.size) if size] == places


def test_points_that_a_log_axis_cannot_show_are_counted(extremes, tmp_path):
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "tracelet",
        "--dir",
        extremes.dir,
        "plot",
        "extreme",
        "half",
        "zero",
    ]
    result = subprocess.run(
        [*command, "--log", "-o", tmp_path / "a.png"], check=True, timeout=120, capture_output=True, text=True
    )
    assert result.stderr.splitlines() == [
        "warning: half: 2 of 5 points not shown: 0 or less on a log axis",
        "warning: zero: 2 of 2 points not shown: 0 or less on a log axis",
    ]


@pytest.mark.parametrize("library", ["plotly", "matplotlib"])
def test_a_resumed_run_is_the_last_attempt_with_the_earlier_one_behind(tmp_path, library):
    data = tmp_path / ".tracelet"
    for first, last, more in ((0, 100, {}), (60, 140, {"resume": True})):
        with tracelet.start_run("again", run_id="again-1", dir=data, plugins=["no:system"], **more) as run:
            for step in range(first, last):
                run.log({"loss": step + (0.5 if more and step == 63 else 0.0)}, step=step)
    figure = tracelet.open_store(data).run().plot("loss", library=library)
    ghost, line = lines_of(figure)
    assert ghost == [float(step) for step in range(60, 100)]
    assert line == [step + 0.5 * (step == 63) for step in range(140)]
    note = "steps 60 to 99 computed again: the faint line is attempt 0, up to 0.5 apart at step 63"
    if library == "plotly":
        assert [trace.line.dash for trace in figure.data] == ["dash", None]
        assert note in figure.layout.annotations[0].text
    else:
        assert [line.get_linestyle() for line in figure.axes[0].get_lines()] == ["--", "-"]
        assert " ".join(figure.axes[0].texts[0].get_text().split()) == note
    along = tracelet.open_store(data).run().plot("loss", x="wall", library=library)
    assert len(lines_of(along)) == 2
