"""What counts is what was recorded last, whatever the clock said."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu", "no:console", "no:code"]


def run_program(text: str, *argv: object) -> str:
    """Run a program, which must succeed, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ATTEMPT = """
    import sys, time
    real, shift = time.time, float(sys.argv[2])
    time.time = lambda: real() + shift
    import tracelet
    with tracelet.start_run("r", run_id="r", dir=sys.argv[1], resume=sys.argv[3] == "again",
                            plugins=["no:system", "no:environment", "no:gpu", "no:console", "no:code"]) as run:
        run.log_params({"p": sys.argv[4]})
        run.set_tags({"t": sys.argv[4]})
        for step in range(3):
            run.log_metric("loss", float(sys.argv[4]), step)
    """


def test_within_a_process_the_sequence_decides(tmp_path):
    run_program(
        """
        import sys, time
        real, shift = time.time, [0.0]
        time.time = lambda: real() + shift[0]
        import tracelet
        with tracelet.start_run("r", run_id="r", dir=sys.argv[1], plugins=["no:system", "no:environment"]) as run:
            for number, shift[0] in enumerate([0.0, 86400.0, -86400.0, -1e9, 5.0, -5.0]):
                run.log_params({"p": number})
                run.set_tags({"t": number})
        """,
        tmp_path,
    )
    store = tracelet.open_store(tmp_path)
    for run in (store.run("r"), store.runs()[0]):
        assert run.params["p"] == 5
        assert run.tags["t"] == 5
        assert run.duration >= 0


def test_a_later_attempt_wins_over_an_earlier_one(tmp_path):
    run_program(ATTEMPT, tmp_path, 86400, "first", 1)
    run_program(ATTEMPT, tmp_path, 0, "again", 2)
    run_program(ATTEMPT, tmp_path, -86400, "again", 3)
    store = tracelet.open_store(tmp_path)
    for run in (store.run("r"), store.runs()[0]):
        assert run.params["p"] == "3"
        assert run.tags["t"] == "3"
        assert run.outcome == "finished"
        assert run.summary()["loss"]["last"] == 3.0
        series = run.metric("loss")
        assert series.last == 3.0
        assert series.values == [1.0, 2.0, 3.0] * 3
        assert [process.attempt for process in run.writers] == [0, 1, 2]


def test_the_time_between_attempts_does_not_count(tmp_path):
    run_program(ATTEMPT, tmp_path, -86400, "first", 1)
    before = tracelet.open_store(tmp_path).run("r").duration
    run_program(ATTEMPT, tmp_path, 0, "again", 2)
    store = tracelet.open_store(tmp_path)
    for run in (store.run("r"), store.runs()[0]):
        assert before <= run.duration < before + 60
        assert run.ended_at - run.started_at > 86000
    assert [run.id for run in store.runs(where="duration < 60")] == ["r"]
    assert store.runs(where="duration > 60") == []


def test_a_tag_given_later_leaves_the_duration_as_it_is(tmp_path):
    with tracelet.start_run("r", run_id="r", dir=tmp_path, plugins=QUIET) as run:
        run.log_metric("loss", 1.0, 0)
    before = tracelet.open_store(tmp_path).run("r").duration
    with tracelet.start_run(run_id="r", dir=tmp_path, resume=True, plugins=QUIET) as run:
        run.set_tags({"best": "yes"})
    after = tracelet.open_store(tmp_path).run("r")
    assert after.tags["best"] == "yes"
    assert after.duration - before < 5


def test_ranks_at_the_same_time_count_once(records):
    import time

    from tracelet.store.outcome import sum_active_time

    began = time.time()
    for rank in range(3):
        records.start("r", rank=rank, world_size=3).close("finished")
    [run] = records.store().runs()
    assert run.duration <= time.time() - began
    assert sum_active_time([], {}) == (0.0, None)
