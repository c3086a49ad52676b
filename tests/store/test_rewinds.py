"""What a resumed run computed again: apart from the curve that counts, wherever the run is drawn."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest

import tracelet
from tracelet.store.rewinds import split_rewinds

QUIET = ["no:system", "no:environment", "no:gpu"]


def first(step):
    return math.cos(step / 7)


def second(step):
    return first(step) + (0.25 if step == 63 else 0.125)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a data folder with a run that was resumed at step 60 of 100; one of its metrics came out the same."""
    data = tmp_path_factory.mktemp("resumed") / ".tracelet"
    for start, stop, value, more in ((0, 100, first, {}), (60, 140, second, {"resume": True})):
        with tracelet.start_run("again", run_id="again-1", dir=data, plugins=QUIET, **more) as run:
            for step in range(start, stop):
                run.log({"loss": value(step), "same": float(step)}, step=step)
    return data


EFFECTIVE = [*map(first, range(60)), *map(second, range(60, 140))]


def test_the_last_attempt_counts_and_the_earlier_one_is_set_apart(data):
    series = tracelet.open_store(data).run("again").metric("loss")
    effective, [ghost] = split_rewinds(series)
    assert (effective.iterations, effective.values) == (list(range(140)), EFFECTIVE)
    assert ghost.series.values == [first(step) for step in range(60, 100)]
    assert (ghost.attempt, ghost.steps, ghost.at_step, round(ghost.deviation, 12)) == (0, 40, 63, 0.25)
    assert split_rewinds(series.between(10, 90)).ghosts == []


def test_numpy_is_not_needed(data):
    program = (
        "import sys; sys.modules['numpy'] = None\n"
        "import tracelet\n"
        "from tracelet.store.rewinds import split_rewinds\n"
        "effective, [ghost] = split_rewinds(tracelet.open_store(sys.argv[1]).run('again').metric('loss'))\n"
        "print(effective.values, ghost.series.iterations, ghost[0], ghost[2:])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, data], capture_output=True, text=True, timeout=60, check=True
    )
    effective, [ghost] = split_rewinds(tracelet.open_store(data).run("again").metric("loss"))
    assert result.stdout.strip() == f"{effective.values} {ghost.series.iterations} {ghost[0]} {ghost[2:]}"


def test_a_rank_has_only_its_own_points(tmp_path, records):
    for rank in (0, 1):
        writer = records.start("r", rank=rank, world_size=2)
        for step in range(5):
            writer.point("loss", float(10 * rank + step), step)
        writer.close("finished", None)
    series = records.store().run("r").metric("loss")
    assert split_rewinds(series.rank(1)).effective.values == [10.0, 11.0, 12.0, 13.0, 14.0]


def test_a_notebook_shows_the_curve_and_behind_it_what_was_replaced(data):
    run = tracelet.open_store(data).run("again")
    page = run.metric("loss")._repr_html_()
    lines = re.findall(r"<polyline points='([^']*)'([^>]*)>", page)
    assert [("stroke-dasharray" in rest, len(points.split())) for points, rest in lines] == [
        (True, 40),
        (False, 140),
    ]
    assert "steps 60 to 99 computed again: the faint line is attempt 0, up to 0.25 apart at step 63" in page
    across = [float(point.split(",")[0]) for point in lines[1][0].split()]
    assert across == sorted(across)
    assert "identical" in run.metric("same")._repr_html_()
    assert page.count("stroke-dasharray") == 1


def test_the_terminal_draws_the_curve_and_behind_it_what_was_replaced(data):
    def shown(*words):
        command = [sys.executable, "-m", "tracelet", "--dir", data, *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return " ".join(result.stdout.split())

    plotted = shown("plot", "again", "loss", "same")
    assert "the faint line is attempt 0, up to 0.25 apart at step 63" in plotted
    assert "steps 60 to 99 computed again: identical" in plotted


def test_a_watched_run_is_drawn_like_the_others(data):
    from rich.console import Console

    from tracelet.cli.views.watching import Watched, draw_frame

    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(draw_frame(Watched(tracelet.open_store(data).run("again"), ["loss"]), 100, 24))
    assert f"loss  {second(139):.4f}" in captured.get()
