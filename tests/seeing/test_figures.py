"""Figures of Plotly and Matplotlib, and picture files."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import pytest

from tracelet.errors import StoreError, UsageError

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
    from tracelet.store.plotting import smooth

    every, tenth = range(1000), range(0, 1000, 10)
    dense = smooth(every, [math.sin(x / 200) for x in every], 0.9 ** (1 / 10))
    sparse = smooth(tenth, [math.sin(x / 200) for x in tenth], 0.9)
    assert all(abs(dense[x] - sparse[x // 10]) < 0.05 for x in tenth)
    assert smooth([0, 1, 2], [5.0, math.nan, 5.0], 0.9)[::2] == [5.0, 5.0]
    assert smooth([], [], 0.9) == []
