"""The module functions record into the run of this thread or task, else into the program's innermost one."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu"]


@pytest.fixture
def start(tmp_path):
    def start(name, **more):
        return tracelet.start_run(name, dir=tmp_path, plugins=QUIET, **more)

    yield start
    while (run := tracelet.active_run()) is not None:
        run.finish()


def values(tmp_path, name):
    """Return what the runs of this name have recorded as x."""
    records = [each for each in tracelet.open_store(tmp_path).runs() if each.name == name]
    return [value for each in records if "x" in each.metrics() for value in each.metric("x").values]


def in_threads(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_each_thread_records_into_the_run_that_it_has_started(start, tmp_path):
    meet = threading.Barrier(3)

    def trial(number):
        with start(f"trial-{number}"):
            meet.wait()
            for _ in range(20):
                tracelet.log({"x": float(number)})
            meet.wait()

    in_threads(*(lambda number=number: trial(number) for number in range(3)))
    for number in range(3):
        assert values(tmp_path, f"trial-{number}") == [float(number)] * 20


def test_each_task_records_into_the_run_that_it_has_started(start, tmp_path):
    async def trial(number):
        with start(f"trial-{number}"):
            for _ in range(5):
                tracelet.log({"x": float(number)})
                await asyncio.sleep(0.001)
            await asyncio.to_thread(tracelet.log, {"x": float(number)})

    async def main():
        with start("main"):
            await asyncio.gather(*(trial(number) for number in range(3)))
            tracelet.log({"x": -1.0})
            await asyncio.get_running_loop().run_in_executor(None, tracelet.log, {"x": -2.0})

    asyncio.run(main())
    assert values(tmp_path, "main") == [-1.0, -2.0]
    for number in range(3):
        assert values(tmp_path, f"trial-{number}") == [float(number)] * 6


def test_a_plain_worker_thread_records_into_the_main_run_while_others_have_runs_of_their_own(start, tmp_path):
    begun, done = threading.Event(), threading.Event()

    def trial():
        with start("trial"):
            begun.set()
            done.wait(20)

    thread = threading.Thread(target=trial)
    with start("outer"), start("main"):
        thread.start()
        begun.wait(20)
        in_threads(lambda: tracelet.log({"x": 1.0}))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(tracelet.log, {"x": 2.0}).result()
        done.set()
        thread.join()
    assert values(tmp_path, "main") == [1.0, 2.0]
    assert values(tmp_path, "trial") == values(tmp_path, "outer") == []


def test_the_only_run_of_the_program_is_found_from_everywhere(start, tmp_path):
    """It may be started in a helper: a thread, an executor, a context of its own."""
    in_threads(lambda: start("helper"))
    tracelet.log({"x": 1.0})
    tracelet.finish()
    contextvars.copy_context().run(start, "context")
    tracelet.log({"x": 2.0})
    tracelet.finish()
    assert values(tmp_path, "helper") == [1.0]
    assert values(tmp_path, "context") == [2.0]


def test_a_thread_whose_run_has_ended_does_not_record_into_that_of_another(start):
    begun, done = threading.Event(), threading.Event()
    raised = []

    def long():
        with start("long"):
            begun.set()
            done.wait(20)

    def short():
        with start("short"):
            begun.wait(20)
        try:
            tracelet.log({"x": 1.0})
        except tracelet.NoActiveRunError as error:
            raised.append(error)
        done.set()

    in_threads(long, short)
    assert len(raised) == 1


def test_where_nobody_can_tell_it_is_reported_once(start, caplog):
    """The main thread logs while two others have runs: into the newest, and the log says so."""
    stop = threading.Event()
    begun = threading.Barrier(3)

    def trial(number):
        with start(f"trial-{number}"):
            begun.wait(20)
            stop.wait(20)

    threads = [threading.Thread(target=trial, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    begun.wait(20)

    def log():
        tracelet.log({"x": 1.0})
        tracelet.log({"x": 2.0})

    in_threads(log)
    stop.set()
    for thread in threads:
        thread.join()
    said = [
        record.getMessage() for record in caplog.records if "has no run of its own" in record.getMessage()
    ]
    assert len(said) <= 1  # by this process: another test may have been first
    assert all("call the methods of the run that you mean" in line for line in said)


@pytest.mark.parametrize(
    "wrong",
    [{"params": 5}, {"params": "lr=1"}, {"tags": 5}],
    ids=["a number as parameters", "a text as parameters", "a number as tags"],
)
def test_a_start_that_raises_leaves_no_run_open(start, tmp_path, wrong):
    with pytest.raises((TypeError, ValueError)):
        start("bad", **wrong)
    assert tracelet.active_run() is None
    [record] = tracelet.open_store(tmp_path).runs()
    assert record.outcome == "failed"
    assert record.error


def test_a_failed_start_leaves_the_outer_run_active(start, tmp_path):
    with start("outer"):
        with pytest.raises(ValueError):
            start("inner", tags=5)
        tracelet.log({"x": 1.0})
    assert values(tmp_path, "outer") == [1.0]


def test_under_tracelet_run_a_failed_start_can_be_repeated(project):
    project.write(
        "train.py",
        """
        import tracelet
        try:
            tracelet.start_run("a", tags=5)
        except ValueError:
            tracelet.start_run("b", tags={"good": "yes"})
        tracelet.log({"x": 1.0}, step=0)
        """,
    )
    project.tracelet("run", "train.py")
    [record] = tracelet.open_store(project.path).runs()
    assert (record.name, record.outcome, record.tags) == ("b", "finished", {"good": "yes"})
    assert "x" in record.metrics()


CELLS = """
import types, sys
shell = types.SimpleNamespace(execution_count=0)
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
def cell(code):
    shell.execution_count += 1
    exec(code, globals())
import tracelet
"""


def test_a_cell_run_again_finishes_the_run_that_it_left_open(project):
    """Only of the same name, and only across cells. IPython's part, the number of the cell, is played here."""
    program = """
        cell("outer = tracelet.start_run('outer')")
        for value in (1.0, 2.0):
            cell(f"run = tracelet.start_run('again'); tracelet.log({{'x': {value}}}, step=0)")
        cell("one = tracelet.start_run('twice'); two = tracelet.start_run('twice')")
        cell("two.finish(); one.finish()")
        cell("tracelet.log({'x': 3.0}, step=1); run.finish()")
        cell("tracelet.log({'x': 4.0}, step=2)")
        """
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.write("train.py", CELLS + program.replace("\n        ", "\n"))
    done = project.python("train.py")
    runs = tracelet.open_store(project.path).runs(sort="started")
    assert [(each.name, list(each.metric("x").values) if each.metrics() else []) for each in runs] == [
        ("outer", [4.0]),
        ("again", [1.0]),
        ("again", [2.0, 3.0]),
        ("twice", []),
        ("twice", []),
    ]
    assert done.stderr.count("was still open; a cell starts a run of the same name") == 1
