"""Programs whose surroundings are unusual: no threads, green threads, no current folder, hooks replaced, Ctrl-C."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

import tracelet

QUIET = 'plugins = ["no:system", "no:environment", "no:gpu"]\n'


@pytest.fixture
def train(project):
    project.write("tracelet.toml", QUIET)

    def train(program, **options):
        project.write("train.py", program)
        return project.python("train.py", **options)

    train.project = project
    return train


def only_run(project):
    [record] = tracelet.open_store(project.path).runs()
    return record


# -- threads -----------------------------------------------------------------------------------------------

NO_THREADS = """
import _thread, os, threading, time
real = _thread.start_new_thread
def refuse(*_, **__): raise RuntimeError("can't start new thread")
def limit(start): _thread.start_new_thread = threading._start_new_thread = start
import tracelet
"""
if sys.version_info >= (3, 13):
    NO_THREADS = """
import _thread, os, threading, time
real = (_thread.start_new_thread, threading._start_joinable_thread)
def refuse(*_, **__): raise RuntimeError("can't start new thread")
def limit(start):
    both = start if isinstance(start, tuple) else (start, start)
    _thread.start_new_thread, threading._start_joinable_thread = both
import tracelet
"""


def test_recording_goes_on_without_threads(train):
    done = train(
        NO_THREADS
        + """
limit(refuse)
run = tracelet.start_run("bare", plugins=["jsonl"])
for step in range(100):
    run.log_metric("x", step, step)
    run.log({"y": step, "z": step}, step=step)
print(run.finish(), flush=True)
os._exit(0)
"""
    )
    assert done.stdout == "{}\n"
    assert done.stderr.count("no thread can be started") == 1
    record = only_run(train.project)
    assert (record.outcome, len(record.metric("x")), len(record.metric("z"))) == ("finished", 100, 100)


def test_plugins_and_the_journals_thread_come_back_with_the_threads(train):
    done = train(
        NO_THREADS
        + """
limit(refuse)
run = tracelet.start_run("back", plugins=["jsonl"])
run.log_metric("x", 0, 0)
assert run.writer._thread.is_missing
limit(real)
time.sleep(0.6)
run.log_metric("x", 1, 1)
assert not run.writer._thread.is_missing
assert run.wait_started(20)
print(run.flush(), run.status()["plugins"]["jsonl"]["state"], run.finish())
"""
    )
    assert done.stdout == "True active {}\n"


def test_a_limit_reached_later_does_not_hold_up_the_end(train):
    done = train(
        NO_THREADS
        + """
run = tracelet.start_run("later", plugins=["jsonl"])
assert run.wait_started(20)
limit(refuse)
for step in range(100):
    run.log_metric("x", step, step)
run.flush()
began = time.monotonic()
print(run.finish(), time.monotonic() - began < 5, flush=True)
os._exit(0)
"""
    )
    assert done.stdout == "{} True\n"


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_green_threads(train, library):
    pytest.importorskip(library)
    patch = {
        "gevent": "from gevent import monkey, spawn, joinall as wait, sleep\nmonkey.patch_all()\n",
        "eventlet": "import eventlet\neventlet.monkey_patch()\nfrom eventlet import spawn, sleep\n"
        "def wait(greens): [green.wait() for green in greens]\n",
    }[library]
    done = train(
        patch
        + """
import tracelet
def trial(number):
    with tracelet.start_run(f"green-{number}"):
        for step in range(20):
            tracelet.log({"x": float(number)}, step=step)
            sleep(0.001)
wait([spawn(trial, number) for number in range(3)])
""",
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    found = {
        record.name: record.metric("x").values for record in tracelet.open_store(train.project.path).runs()
    }
    assert {name: set(values) for name, values in found.items()} == {
        f"green-{n}": {float(n)} for n in range(3)
    }


# -- the current folder ------------------------------------------------------------------------------------

DELETED = """
import os, sys, tempfile
gone = tempfile.mkdtemp()
os.chdir(gone)
os.rmdir(gone)
import tracelet
"""


@pytest.mark.parametrize("arguments", ["", ", dir=sys.argv[1]"], ids=["in a project", "with a data folder"])
def test_the_current_folder_was_deleted(train, arguments, tmp_path):
    train.project.write(
        "train.py", DELETED + f'with tracelet.start_run("t"{arguments}) as run: run.log({{"x": 1.0}})\n'
    )
    train.project.python("train.py", tmp_path / "data")
    [record] = tracelet.open_store(tmp_path / "data" if arguments else train.project.path).runs()
    assert (record.outcome, record.metrics()) == ("finished", ["x"])


def test_a_relative_data_folder_below_a_deleted_folder_is_a_plain_mistake(train):
    done = train(DELETED + 'tracelet.start_run("t", dir="data")\n', status=1)
    assert "the current folder was deleted; give an absolute path" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_project_a_deleted_folder_is_a_plain_mistake(project):
    done = project.python("-c", DELETED + 'tracelet.start_run("t")\n', status=1)
    assert "the current folder was deleted" in done.stderr
    assert "Traceback" not in done.stderr


# -- how the program ends ----------------------------------------------------------------------------------

LEFT_OPEN = """
import sys, threading, traceback, tracelet
run = tracelet.start_run("a")
run.log({"x": 1.0}, step=0)
"""


@pytest.mark.parametrize(
    ("ending", "status", "outcome", "error"),
    [
        (
            "sys.excepthook = lambda *it: print(it)\nraise ValueError('a bug')",
            1,
            "failed",
            "ValueError: a bug",
        ),
        ("try: 1 / 0\nexcept Exception: sys.exit(1)", 1, "failed", "ZeroDivisionError: division by zero"),
        ("sys.exit(3)", 3, "failed", "SystemExit: 3"),
        ("sys.exit('no data')", 1, "failed", "SystemExit: no data"),
        ("sys.exit(0)", 0, "finished", None),
        ("sys.exit()", 0, "finished", None),
        ("try: sys.exit(1)\nexcept SystemExit: run.log({'x': 2.0}, step=1)", 0, "finished", None),
        ("try: sys.exit(1)\nexcept SystemExit: sys.exit(0)", 0, "finished", None),
        ("t = threading.Thread(target=sys.exit, args=(1,)); t.start(); t.join()", 0, "finished", None),
        ("run.finish(); sys.exit(1)", 1, "finished", None),
        ("import builtins; threading.excepthook = print; sys.exit(1)", 1, "failed", "SystemExit: 1"),
    ],
)
def test_what_becomes_of_a_run_left_open(train, ending, status, outcome, error):
    train(LEFT_OPEN + ending, status=status)
    record = only_run(train.project)
    assert (record.outcome, record.error) == (outcome, error)


def test_a_thread_that_fails_leaves_a_failed_run(train):
    train(
        """
        import threading, tracelet
        def work(name, fails):
            run = tracelet.start_run(name)
            run.log({"x": 1.0})
            if fails:
                raise ValueError("a bug in a thread")
        for name in ("good", "bad"):
            thread = threading.Thread(target=work, args=(name, name == "bad")); thread.start(); thread.join()
        """
    )
    found = {each.name: (each.outcome, each.error) for each in tracelet.open_store(train.project.path).runs()}
    assert found == {"good": ("finished", None), "bad": ("failed", "ValueError: a bug in a thread")}


def test_the_error_of_a_launcher_is_kept_under_tracelet_run_too(train):
    train.project.write(
        "train.py", LEFT_OPEN + "try: raise ValueError('a bug')\nexcept ValueError: sys.exit(1)\n"
    )
    train.project.tracelet("run", "-q", "train.py", status=1)
    assert only_run(train.project).error == "ValueError: a bug"


SLOW = """
import os, signal, sys, threading, time, tracelet
class Slow:
    @tracelet.hookimpl
    def log_metric(self, value): time.sleep(0.05)
run = tracelet.start_run("slow", plugins=[Slow()])
for step in range(100): run.log_metric("x", step, step)
def interrupt():
    for _ in range(int(sys.argv[1])):
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
"""


@pytest.mark.parametrize(
    ("ending", "times", "outcome", "error"),
    [
        ("run.finish()", 1, "finished", None),
        ("pass", 1, "finished", None),
        ("with run: raise ValueError('a bug')", 1, "failed", "ValueError: a bug"),
        ("with run: raise ValueError('a bug')", 2, "failed", "ValueError: a bug"),
    ],
)
def test_ctrl_c_while_finish_waits_changes_no_outcome(train, ending, times, outcome, error):
    train.project.write("train.py", SLOW + ending)
    began = time.monotonic()
    done = train.project.python("train.py", str(times), status=None)
    assert time.monotonic() - began < 25
    record = only_run(train.project)
    assert (record.outcome, record.error, len(record.metric("x"))) == (outcome, error, 100)
    assert f"tracelet sync {record.id}" in done.stderr  # what was not delivered can be


# -- what is printed ---------------------------------------------------------------------------------------

START = "import tracelet\nwith tracelet.start_run('mine') as run: run.log({'x': 1.0})\n"


def on_a_terminal(project, **environ):
    """Run the program with a terminal as its stderr, and return what that shows."""
    leader, follower = pty.openpty()
    environ = {**project.environ, **environ}
    program = subprocess.Popen(
        [sys.executable, "train.py"],
        cwd=project.path,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            more = os.read(leader, 4096)
        except OSError:
            break
        if not more:
            break
        shown += more
    os.close(leader)
    assert program.wait(60) == 0
    return shown.decode().replace("\r\n", "\n")


def test_a_program_on_a_terminal_says_in_one_line_where_the_run_is(train):
    train.project.write("train.py", START)
    shown = on_a_terminal(train.project)
    record = only_run(train.project)
    place = f".tracelet/runs/{record.id}"
    assert shown == f"tracelet: run mine is recorded in {place}; to see it: tracelet show {record.id}\n"


def test_quiet_and_pipes_get_no_line_unless_they_ask_for_it(train):
    assert train(START).stderr == ""
    assert on_a_terminal(train.project, TRACELET_QUIET="1") == ""
    assert on_a_terminal(train.project, TRACELET_MODE="disabled") == ""
    assert "to see it: tracelet show" in train(START, environ={"TRACELET_QUIET": "false"}).stderr


LISTENING = """
import logging, tracelet
class FromLogging(logging.Handler):
    @tracelet.hookimpl
    def run_started(self, run):
        self.run = run
        logging.getLogger().addHandler(self)
    @tracelet.hookimpl
    def run_ended(self):
        logging.getLogger().removeHandler(self)
    def emit(self, record):
        name, is_metric, value = record.getMessage().partition("=")
        if is_metric:
            self.run.log_metric(name, float(value))
"""


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        ("logging.basicConfig(level=logging.INFO)\nlogging.info('loss=1')", "INFO:root:loss=1\n"),
        ("logging.basicConfig(level=logging.INFO, force=True)\nlogging.info('loss=1')", "INFO:root:loss=1\n"),
        ("logging.getLogger('mine').warning('loss=1')", "loss=1\n"),
        (
            "logging.getLogger('mine').addHandler(logging.StreamHandler())\n"
            "logging.getLogger('mine').warning('loss=1')",
            "loss=1\n",
        ),
    ],
    ids=["basicConfig", "by force", "no configuration", "a handler elsewhere"],
)
def test_a_plugin_that_listens_to_the_log_changes_nothing_of_it(train, program, shown):
    train.project.write("listening.py", LISTENING)
    train.project.write("train.py", "import logging\n" + program)
    done = train.project.tracelet("run", "-q", "-p", "listening", "train.py")
    assert done.stderr.startswith(shown)
    assert done.stderr.count("loss=1") == 1
    assert list(only_run(train.project).metric("loss").values) == [1.0]


def test_losses_are_reported_even_if_a_dictconfig_disables_the_loggers(train):
    program = """
        import logging.config, tracelet
        class Broken:
            @tracelet.hookimpl
            def log_metric(self, value): raise ValueError("no such luck")
        run = tracelet.start_run("a", plugins=[Broken()])
        run.wait_started()
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
        run.log({"good": 1.0, "bad": "text"}, step=0)
        run.finish(timeout=2)
        print(sum(run.status()["dropped"].values()))
        """
    done = train(program)
    assert done.stdout == "1\n"
    first, second = done.stderr.splitlines()
    run_id = only_run(train.project).id
    assert "pending for" in first
    assert first.endswith(f"run: tracelet sync {run_id}")
    assert second.startswith(f"tracelet: run {run_id}: could not record 1 (")


def test_daemon_threads_that_log_to_the_very_end_damage_nothing(train):
    program = """
        import threading, time, tracelet
        run = tracelet.start_run("a")
        returned = [0, 0, 0]
        def work(number):
            while True:
                run.log_metric(f"x{number}", returned[number], returned[number])
                returned[number] += 1
        for number in range(3):
            threading.Thread(target=work, args=(number,), daemon=True).start()
        time.sleep(0.1)
        """
    done = train(program)
    record = only_run(train.project)
    assert (record.outcome, record.damage, record.dropped) == ("finished", {}, {})
    assert done.stderr == ""
    for name in record.metrics():
        assert list(record.metric(name).iterations) == list(range(len(record.metric(name))))


def test_workers_of_joblib_record_in_the_project_of_the_script(project, tmp_path):
    pytest.importorskip("joblib")
    project.write("tracelet.toml", 'project = "mine"\n' + QUIET)
    script = project.write(
        "train.py",
        """
        import tracelet
        from joblib import Parallel, delayed
        def train(number):
            with tracelet.start_run(f"fold-{number}") as run:
                run.log({"x": float(number)}, step=0)
            return run.project
        if __name__ == "__main__":
            print(set(Parallel(n_jobs=2)(delayed(train)(number) for number in range(3))))
        """,
    )
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=project.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{'mine'}\n"
    assert len(tracelet.open_store(project.path).runs()) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        "sys.stderr.close()",
        """
class Raises(logging.Handler):
    def emit(self, record): raise RuntimeError("a handler")
logging.getLogger().addHandler(Raises())
""",
        "logging.getLogger('tracelet.run').addFilter(lambda record: 1 / 0)",
        """
class Gone:
    def write(self, text): raise ValueError("gone")
    def flush(self): pass
sys.stderr = Gone()
""",
    ],
    ids=["stderr is closed", "a handler raises", "a filter raises", "stderr raises"],
)
def test_a_report_that_cannot_be_written_ends_nothing(train, trouble):
    done = train(
        "import logging, sys, tracelet\nrun = tracelet.start_run()\n"
        + trouble
        + """
run.log({"x": None, "y": 1.0})
run.log_params({"api_key": "sk-abcdefghijklmnopqrst123456"})
run.log_metric("z", "text")
print(run.finish(), run.status()["dropped"])
"""
    )
    assert done.stdout == "{} {'no value': 1, 'a text': 1}\n"
    record = only_run(train.project)
    assert (record.outcome, record.metrics()) == ("finished", ["y"])
