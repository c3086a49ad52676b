"""Processes that die, fork, are interrupted, or are on their way out: every record is there, and nothing hangs."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import textwrap

import pytest

from tracelet.errors import NoActiveRunError
from tracelet.journal import Damage, Follower, liveness, read_columns, read_events, writers
from tracelet.journal.format import KIND_SHIFT, POINT, POINT_HEAD, SLOT, WINDOW_SLOTS, seal

EFFORT = int(os.environ.get("TRACELET_TEST_EFFORT", "1"))

PRELUDE = """
import atexit, ctypes, gc, itertools, json, os, signal, sys, threading, time
from pathlib import Path
from tracelet.errors import NoActiveRunError
from tracelet.journal import Writer
run = Path(sys.argv[1])
EFFORT = int(os.environ.get("TRACELET_TEST_EFFORT", "1"))
writer = Writer(run, {"run": {"id": "r"}})
"""


def execute(program, journal, status=0, timeout=100, flags=()):
    """Run a program that has a writer, and return what it printed. One that hangs fails the test."""
    words = [sys.executable, *flags, "-c", PRELUDE + textwrap.dedent(program), str(journal.run_dir)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == status, done.stderr
    return done


def steps_by_writer(journal, name):
    """The steps of a metric by writer, in the order of recording."""
    column = read_columns(journal.run_dir, [name])[name]
    return {
        part.writer: [int(step) for step in column.steps[part.start : part.stop]] for part in column.parts
    }


# --- sudden ends -------------------------------------------------------------------------------------------

ENDS = {
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "segfault": ("ctypes.string_at(0)", -signal.SIGSEGV),
    "abort": ("os.abort()", -signal.SIGABRT),
    "_exit": ("os._exit(7)", 7),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "exception": ("raise SystemExit(3)", 3),
    "exec": ("os.execv('/bin/sh', ['sh', '-c', 'exit 5'])", 5),
}


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "plain"])
@pytest.mark.parametrize("end", ENDS)
def test_a_sudden_end_loses_nothing(journal, end, mapped):
    how, status = ENDS[end]
    program = f"""
    writer = Writer(run.with_name("second"), {{}}, mapped={mapped})
    for step in range(10_000):
        writer.point("a", step, step)
        writer.row({{"b": step, "c": -step}}, step)
    writer.event("params", {{"params": {{"lr": 1}}}})
    {how}
    """
    execute(program, journal, status)
    journal.run_dir = journal.run_dir.with_name("second")
    columns = read_columns(journal.run_dir)
    assert [list(columns[name].values) for name in "abc"] == [
        list(range(10_000)),
        list(range(10_000)),
        [-step for step in range(10_000)],
    ]
    assert journal.events()[-1].payload == {"params": {"lr": 1}}
    (writer,) = writers(journal.run_dir)
    assert liveness(journal.run_dir, writer) == "killed"


# --- forks -------------------------------------------------------------------------------------------------


def test_a_child_that_records_has_a_file_of_its_own(journal):
    program = """
    for step in range(5):
        writer.point("a", step)
        writer.row({"b": 0, "c": 0})
    child = os.fork()
    if not child:
        writer.point("a", -1)
        writer.row({"b": -1, "c": -1})
        writer.row({"c": -1, "a": -1})
        assert writer.recorded == 5
        grandchild = os.fork()
        if not grandchild:
            writer.point("a", -2)
            writer.close("finished")
            os._exit(0)
        os.waitpid(grandchild, 0)
        os._exit(0)
    os.waitpid(child, 0)
    writer.point("a", 5)
    assert writer.recorded == 16
    writer.close("finished")
    """
    execute(program, journal)
    parent, child, grandchild = writers(journal.run_dir)
    assert steps_by_writer(journal, "a") == {parent: [0, 1, 2, 3, 4, 5], child: [5, 6], grandchild: [7]}
    assert steps_by_writer(journal, "c") == {parent: [0, 1, 2, 3, 4], child: [5, 6]}
    facts = {
        event.payload["id"]: event.payload for event in read_events(journal.run_dir) if event.type == "writer"
    }
    assert [facts[writer]["owner"] for writer in (parent, child, grandchild)] == [None, parent, parent]
    assert len({fact["pid"] for fact in facts.values()}) == 3
    assert [liveness(journal.run_dir, writer) for writer in (parent, child, grandchild)] == [
        "ended",
        "killed",
        "ended",
    ]


def test_a_child_that_records_nothing_leaves_nothing(journal):
    program = """
    writer.point("a", 0)
    for _ in range(10):
        child = os.fork()
        if not child:
            assert writer.recorded == 0 and writer.dropped == {}
            writer.sync()
            writer.close("finished")
            try:
                writer.point("a", 0)
            except NoActiveRunError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    writer.close("finished")
    """
    execute(program, journal)
    assert [len(journal.files()), journal.values("a")] == [1, [0]]


def test_a_fork_amid_a_call_is_finished_by_the_parent_alone(journal):
    """The value forks while it is converted: the child comes back into the middle of the very same call."""
    program = """
    class Forking:
        def __init__(self, value):
            self.value = value
        def __float__(self):
            self.child = os.fork()
            return self.value
    def end_child(value, step):
        if not value.child:
            writer.point("child", 0, step)
            os._exit(0)
        assert os.waitpid(value.child, 0)[1] == 0
    for step in range(20):
        value = Forking(step + 0.5)
        if step % 4 == 0:
            writer.point("a", value, step)
        elif step % 4 == 1:
            writer.row({"a": value, "b": 0}, step)
        elif step % 4 == 2:
            writer.point(f"new{step}", value, step)
        else:
            writer.row({f"new{step}": value}, step)
        end_child(value, step)
    writer.close("finished")
    """
    execute(program, journal)
    columns = read_columns(journal.run_dir)
    assert list(columns["a"].steps) == [0, 1, 4, 5, 8, 9, 12, 13, 16, 17]
    assert [len(columns[f"new{step}"]) for step in range(20) if step % 4 > 1] == [1] * 10
    assert sorted(columns["child"].steps) == list(range(20))
    assert len(writers(journal.run_dir)) == 21


def test_forks_at_any_moment_of_a_busy_loop(journal):
    """A timer's handler forks wherever the loop happens to be."""
    program = """
    children, forks = [], 40 * EFFORT
    def fork(*_):
        if len(children) >= forks:  # signals that arrive during a fork may have forked more
            return signal.setitimer(signal.ITIMER_REAL, 0)
        child = os.fork()
        if not child:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for step in range(3):
                writer.point("child", 0)
                writer.row({"x": 1, "y": 2})
            os._exit(0)
        children.append(child)
    signal.signal(signal.SIGALRM, fork)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    step = 0
    while len(children) < forks:
        writer.point("a", step, step)
        writer.row({"b": step, "c": step}, step)
        if step % 1000 == 0:
            writer.point(f"n{step}", 0)
            writer.row({"b": 0, f"m{step}": 0})
            writer.event("note", {"step": step})
        step += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    assert not any(statuses), statuses
    writer.close("finished")
    print(step, writer.recorded, len(children))
    """
    done = execute(program, journal)
    steps, recorded, forked = map(int, done.stdout.split())
    parent, *children = writers(journal.run_dir)
    columns = read_columns(journal.run_dir)
    assert list(columns["a"].values) == list(range(steps))
    mine = sum(
        part.stop - part.start
        for column in columns.values()
        for part in column.parts
        if part.writer == parent
    )
    assert mine == recorded
    assert len(children) == forked >= 40 * EFFORT
    for name, steps in (("child", [0, 1, 2]), ("x", [0, 1, 2]), ("y", [0, 1, 2])):
        assert steps_by_writer(journal, name) == dict.fromkeys(children, steps)


def test_forks_from_a_program_with_busy_threads(journal):
    program = """
    done = False
    counts = {}
    def train(name):
        while not done:
            writer.point(name, 0)
            writer.row({name: 1, name + "/b": 2})
            counts[name] = counts.get(name, 0) + 3
    threads = [threading.Thread(target=train, args=(f"t{number}",)) for number in range(4)]
    [thread.start() for thread in threads]
    for number in range(60 * EFFORT):
        child = os.fork()
        if not child:
            for _ in range(5):
                writer.point("child", number)
                writer.point(f"own{number}", number)
            writer.event("note", {})
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    done = True
    [thread.join() for thread in threads]
    writer.close("finished")
    assert writer.recorded == sum(counts.values()), (writer.recorded, counts)
    print(json.dumps(counts))
    """
    counts = json.loads(execute(program, journal).stdout)
    parent, *children = writers(journal.run_dir)
    columns = read_columns(journal.run_dir)
    assert {name: len(columns[name]) + len(columns[f"{name}/b"]) for name in counts} == counts
    assert steps_by_writer(journal, "child") == {child: [0, 1, 2, 3, 4] for child in children}
    assert len(children) == 60 * EFFORT
    assert liveness(journal.run_dir, parent) == "ended"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing(journal, project, method):
    project.write(
        "train.py",
        f"""
        import multiprocessing, sys
        from pathlib import Path
        from tracelet.journal import Writer

        run = Path({str(journal.run_dir)!r})
        writer = None

        def work(number, owner):
            global writer
            if writer is None:  # spawned: nothing is inherited
                writer = Writer(run, {{"rank": number}}, owner=owner)
                with writer:
                    writer.point("work", number)
                return
            writer.point("work", number)

        if __name__ == "__main__":
            writer = Writer(run, {{"rank": 0}})
            writer.point("work", -1)
            context = multiprocessing.get_context({method!r})
            workers = [context.Process(target=work, args=(number, writer.id)) for number in range(4)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            assert [worker.exitcode for worker in workers] == [0] * 4
            writer.close("finished")
        """,
    )
    project.python("train.py")
    assert sorted(journal.values("work")) == [-1, 0, 1, 2, 3]
    ids = writers(journal.run_dir)
    assert len(ids) == 5
    assert [liveness(journal.run_dir, writer) for writer in ids] == ["ended"] * 5
    owners = [event.payload["owner"] for event in read_events(journal.run_dir) if event.type == "writer"]
    assert owners == [None] + ids[:1] * 4


# --- threads, signals, garbage -----------------------------------------------------------------------------


def test_many_threads_lose_and_repeat_nothing(journal):
    program = """
    sys.setswitchinterval(1e-5)
    def train(number):
        for step in range(300 * EFFORT):
            writer.point("shared", number)
            writer.point(f"own{number}", step, step)
            writer.row({"x": number, f"y{number}": step})
            if step % 50 == 0:
                writer.event("note", {"step": step})
    threads = [threading.Thread(target=train, args=(number,)) for number in range(64)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    writer.close("finished")
    assert writer.recorded == 64 * 300 * EFFORT * 4, writer.recorded
    """
    execute(program, journal)
    columns = read_columns(journal.run_dir)
    total = 64 * 300 * EFFORT
    assert sorted(columns["shared"].steps) == list(range(total))  # steps that counted up are given once
    assert all(list(columns[f"own{number}"].values) == list(range(300 * EFFORT)) for number in range(64))
    assert len(columns["x"]) == total
    assert len(journal.events()) == 64 * 6 * EFFORT


@pytest.mark.parametrize("locked", [False, True], ids=["as it is", "as without a GIL"])
def test_wide_records_find_room_beside_busy_threads(journal, locked):
    """Their slots have to follow each other, while other threads draw single ones all the time."""
    program = f"""
    if {locked}:
        sys._is_gil_enabled = lambda: False
    sys.setswitchinterval(1e-5)
    writer = Writer(run, {{}})
    done = []
    counts = [0] * 3
    def train(number):
        while not done:
            writer.point(f"t{{number}}", counts[number], counts[number])
            counts[number] += 1
    threads = [threading.Thread(target=train, args=(number,)) for number in range(3)]
    [thread.start() for thread in threads]
    wide = {{str(at): float(at) for at in range(4096)}}
    for step in range(10):
        writer.row(wide, step)
        writer.event("note", {{"text": "x" * 300_000}})
    done.append(True)
    [thread.join() for thread in threads]
    writer.close("finished")
    print(json.dumps([counts, writer.recorded]))
    """
    counts, recorded = json.loads(execute(program, journal, timeout=60).stdout)
    damage = Damage()
    columns = read_columns(journal.run_dir, damage=damage)
    assert not damage
    assert [list(columns[f"t{number}"].steps) for number in range(3)] == [list(range(n)) for n in counts]
    assert list(columns["4095"].values) == [4095.0] * 10
    assert recorded == sum(counts) + 10 * 4096
    assert sum(event.type == "note" for event in read_events(journal.run_dir)) == 10


def test_threads_forks_and_handlers_on_an_interpreter_without_a_gil(journal):
    """There, counters take a lock: one that a handler may enter again and that no fork leaves held."""
    program = """
    sys._is_gil_enabled = lambda: False  # what such an interpreter says; the rest is the same
    from tracelet.journal.writing import counters
    assert isinstance(counters.new_counter(), counters.LockedCounter)
    sys.setswitchinterval(1e-5)
    writer = Writer(run, {})
    hits = itertools.count(1)
    def handler(*_):
        number = next(hits)
        writer.point("signal", number, number)
        writer.row({"p": number, "q": number}, number)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    def train(number):
        for step in range(1500):
            writer.point(f"own{number}", step, step)
            writer.row({f"x{number}": step, f"y{number}": step, f"z{number}": step, f"w{number}": step}, step)
    threads = [threading.Thread(target=train, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    for number in range(20):
        child = os.fork()
        if not child:
            signal.setitimer(signal.ITIMER_REAL, 0)
            writer.point("child", number)
            writer.row({"x": 1, "y": 2})
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    [thread.join() for thread in threads]
    signal.setitimer(signal.ITIMER_REAL, 0)
    writer.close("finished")
    print(next(hits) - 1)
    """
    hits = int(execute(program, journal).stdout)
    columns = read_columns(journal.run_dir)
    for number in range(4):
        for name in (f"own{number}", f"x{number}", f"w{number}"):
            assert list(columns[name].values) == list(range(1500))
    assert sorted(columns["signal"].values) == sorted(columns["q"].values) == list(range(1, hits + 1))
    assert len(columns["child"]) == 20


def test_signal_handlers_may_record(journal):
    program = """
    hits, numbers = 0, itertools.count(1)
    def handler(*_):
        global hits
        hits = number = next(numbers)  # another signal may come in at any point of this handler
        writer.point("signal", number, number)
        writer.point(f"signal{number % 50}", number)
        writer.row({"p": number, "q": number}, number)
        writer.event("hit", {"number": number})
        if number % 10 == 0:
            writer.sync()
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    step = 0
    while hits < 300:
        writer.point("a", step, step)
        writer.row({f"r{step % 700}": step, "b": step}, step)
        if step % 100 == 0:
            writer.event("note", {"step": step})
        step += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    writer.close("finished")
    print(step, next(numbers) - 1)
    """
    step, hits = map(int, execute(program, journal).stdout.split())
    columns = read_columns(journal.run_dir)
    assert list(columns["a"].values) == list(range(step))
    assert len(columns["b"]) == step
    assert sorted(columns["signal"].values) == list(range(1, hits + 1))
    assert sorted(columns["p"].values) == list(range(1, hits + 1))
    assert sum(event.type == "hit" for event in journal.events()) == hits


def test_an_interrupt_leaves_the_writer_in_order(journal):
    """KeyboardInterrupt comes out of the middle of calls; what returned is there, and recording goes on."""
    program = """
    returned = interrupts = step = 0
    armed = False
    def interrupt(*_):  # as Ctrl-C does, but not again before the loop is back in its block
        global armed, interrupts
        if armed:
            armed = False
            interrupts += 1
            raise KeyboardInterrupt
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    while interrupts < 100:
        try:
            while True:
                armed = True  # here, since an interrupt that hits a __del__ is swallowed by the interpreter
                step += 1
                writer.point("a", step, step)
                returned = step
                writer.row({"b": step, f"c{step % 300}": step}, step)
        except KeyboardInterrupt:
            continue
    signal.setitimer(signal.ITIMER_REAL, 0)
    writer.point("end", 1)
    writer.close("finished")
    print(returned, interrupts)
    """
    returned, interrupts = map(int, execute(program, journal).stdout.split())
    steps = {int(step) for step in read_columns(journal.run_dir)["a"].steps}
    assert len(set(range(1, returned + 1)) - steps) <= interrupts
    assert journal.values("end") == [1]
    assert journal.records()[-1].type == "outcome"


def test_garbage_may_record_on_its_way_out(journal):
    """The collector runs anywhere, also during a call, and what it frees logs."""
    program = """
    numbers = itertools.count(1)
    class Garbage:
        def __init__(self):
            self.me = self
        def __del__(self):
            number = next(numbers)
            writer.point("freed", number, number)
            writer.row({"g": number, "h": 0}, number)
            writer.point(f"n{number % 40}", 0)
    gc.set_threshold(5, 2, 2)
    for step in range(5000):
        Garbage()
        writer.point("a", step, step)
        writer.row({f"b{step % 30}": step, "c": [step]}, step)
        writer.event("note", {"step": [step]})
    gc.collect()
    writer.close("finished")
    print(next(numbers) - 1)
    """
    done = execute(program, journal)
    assert done.stderr == ""
    freed = int(done.stdout)
    columns = read_columns(journal.run_dir)
    assert list(columns["a"].values) == list(range(5000))
    assert sorted(columns["freed"].values) == list(range(1, freed + 1))


# --- the end of the interpreter ----------------------------------------------------------------------------


def test_exit_handlers_may_record(journal):
    program = """
    atexit.register(lambda: writer.close("finished"))
    atexit.register(lambda: writer.point("a", 2, 2))
    atexit.register(lambda: writer.event("note", {"at": "exit"}))
    writer.point("a", 1, 1)
    """
    execute(program, journal)
    assert journal.values("a") == [1, 2]
    assert [record.type for record in journal.records()][-1] == "outcome"


def test_a_writer_that_nobody_closes_keeps_all_and_lets_the_program_end(journal):
    program = """
    for step in range(20_000):
        writer.point("a", step, step)
    """
    execute(program, journal, timeout=20)
    assert journal.values("a") == list(range(20_000))


def test_recording_while_the_interpreter_comes_down(journal):
    """What globals log as they are torn down, and daemon threads that never stop, do no harm."""
    program = """
    class Last:
        def __del__(self, writer=writer, note=sys.stdout.write, NoActiveRunError=NoActiveRunError):
            try:
                writer.point("last", 1)
                writer.row({"last": 2, "more": 3})
                writer.point("new", 1)
            except NoActiveRunError:
                pass
    keep = Last()
    keep.itself = keep
    other = Last()
    def forever():
        step = 0
        while True:
            writer.point("thread", step, step)
            writer.row({"u": step, "v": step}, step)
            step += 1
    for _ in range(2):
        threading.Thread(target=forever, daemon=True).start()
    time.sleep(0.1)
    """
    for _ in range(3):
        done = execute(program, journal, timeout=30)
        assert done.stderr == ""
    columns = read_columns(journal.run_dir)
    for part in columns["u"].parts:
        steps = [int(step) for step in columns["u"].steps[part.start : part.stop]]
        assert set(steps) == set(range(max(steps) + 1))


def test_closing_while_threads_record(journal):
    """Calls that lose the race get the clear error; all that returned before is there."""
    program = """
    sys.setswitchinterval(1e-5)
    for round in range(20):
        writer = Writer(run.with_name(f"run{round}"), {})
        returned, refused = {}, []
        def train(name, writer=writer, returned=returned, refused=refused):
            step = 0
            try:
                while True:
                    writer.point(name, step, step)
                    returned[name] = step
                    writer.row({"x": step, "y": step}, step)
                    step += 1
            except NoActiveRunError:
                refused.append(name)
        threads = [threading.Thread(target=train, args=(f"t{n}",)) for n in range(4)]
        [thread.start() for thread in threads]
        time.sleep(0.01)
        writer.close("finished")
        [thread.join() for thread in threads]
        assert len(refused) == 4
        print(json.dumps([round, returned, writer.recorded]))
    """
    for line in execute(program, journal).stdout.splitlines():
        number, returned, recorded = json.loads(line)
        columns = read_columns(journal.run_dir.with_name(f"run{number}"))
        for name, last in returned.items():
            assert list(columns[name].values)[: last + 1] == list(range(last + 1))
        assert sum(map(len, columns.values())) == recorded


def test_closing_while_another_thread_opens_a_window(journal, monkeypatch):
    """That window may be in a third thread's hands before the second one learns of the end: what it writes is kept."""
    writer = journal.writer()
    (counter, *_), slots = writer._state, writer._stream.slots
    map_window, drawn = slots._map, []

    def map_late(window):
        monkeypatch.undo()
        view = map_window(window)
        writer.close("finished")
        drawn.append(seq := next(counter))
        head = POINT_HEAD.pack(7.0, 7, 0.0, POINT << KIND_SHIFT | 1)
        view[(seq % WINDOW_SLOTS) * SLOT :][:SLOT] = seal(head, seq)
        return view

    writer.point("a", 0, 0)
    monkeypatch.setattr(slots, "_map", map_late)
    slots.windows.clear()
    with pytest.raises(NoActiveRunError):
        writer.point("a", 1, 1)
    assert [(point.seq, point.value) for point in journal.points()][1:] == [(drawn[0], 7.0)]
    assert writer.recorded == 2


def test_writers_of_one_process_are_told_apart(journal):
    program = """
    others = [Writer(run, {"number": number}) for number in range(20)]
    for step in range(100):
        for other in [writer, *others]:
            other.point("a", step, step)
    for other in [writer, *others]:
        other.close("finished")
    """
    execute(program, journal)
    assert len(writers(journal.run_dir)) == 21
    assert all(steps == list(range(100)) for steps in steps_by_writer(journal, "a").values())


def test_a_writer_that_is_dropped_ends_its_file(journal):
    program = """
    writer.point("a", 1)
    del writer
    gc.collect()
    """
    execute(program, journal)
    assert journal.records()[-1].type == "outcome"


def test_warnings_as_errors_and_isolated_mode(journal):
    """Nothing on the way warns, not even where each warning is an error."""
    program = """
    for step in range(20_000):
        writer.point("a", step, step)
    writer.sync()
    writer.close("finished")
    """
    done = execute(program, journal, flags=["-W", "error", "-X", "dev"])
    assert done.stderr == ""


@pytest.mark.parametrize("mapped", [True, False])
def test_daemon_threads_that_record_until_the_interpreter_is_gone(tmp_path, mapped):
    """Each call that returned is recorded, and a call that the end refused leaves nothing that looks like damage."""
    program = f"""
import atexit, mmap, os, sys, threading, time
from pathlib import Path
from tracelet.journal import Writer
run_dir = Path(sys.argv[1])
writer = Writer(run_dir, {{}}, mapped={mapped})
atexit.register(writer.close, "finished")
file = os.open(run_dir / "returned", os.O_RDWR | os.O_CREAT)
os.ftruncate(file, 4096)
returned = memoryview(mmap.mmap(file, 4096)).cast("q")
def record(number):
    row = {{f"{{name}}{{number}}": 1.0 for name in "abcde"}}
    for step in range(10**9):
        writer.point(f"x{{number}}", step, step)
        if step % 7 == 0:
            writer.row(row, step)
        returned[number] = step + 1
def quietly(number):
    try:
        record(number)
    except Exception:
        pass
for number in range(6):
    threading.Thread(target=quietly, args=(number,), daemon=True).start()
time.sleep(0.2)
"""
    for attempt in range(3):
        run_dir = tmp_path / str(attempt)
        subprocess.run([sys.executable, "-c", program, str(run_dir)], check=True, timeout=60)
        damage = Damage()
        found = read_columns(run_dir, damage=damage)
        assert not damage, damage
        returned = struct.unpack("<6q", (run_dir / "returned").read_bytes()[:48])
        for number, count in enumerate(returned):
            assert list(found[f"x{number}"].steps)[:count] == list(range(count))
            rows = (
                len(found[f"a{number}"]) if f"a{number}" in found else 0
            )  # the thread may have made no row yet
            assert rows >= count // 7
        [writer] = writers(run_dir)
        assert liveness(run_dir, writer) == "ended"
        follower, last = Follower(run_dir, writer), None
        while records := follower.read(100_000):
            last = records[-1]
        assert not follower.damage, follower.damage
        assert last.type == "outcome"
