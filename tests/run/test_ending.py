"""However a program ends, its run tells how, and nothing that was recorded is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import tracelet

RECORD = """
import os, signal, sys, time
import tracelet
run = tracelet.start_run("trial")
for step in range(1000):
    run.log_metric("x", step, step)
"""


def only_run(project):
    [record] = tracelet.open_store(project.path).runs()
    return record


@pytest.mark.parametrize(
    ("ending", "status", "outcome"),
    [
        ("", 0, "finished"),
        ("sys.exit(0)", 0, "finished"),
        ("with run: sys.exit(3)", 3, "failed"),
        ("raise ValueError('no more')", 1, "failed"),
        ("os._exit(7)", 7, "killed"),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9, "killed"),
        ("os.abort()", -6, "killed"),
        ("signal.raise_signal(signal.SIGTERM)", -15, "killed"),
    ],
)
def test_every_ending_keeps_every_point(project, ending, status, outcome):
    project.write("train.py", RECORD + ending)
    project.python("train.py", status=status)
    record = only_run(project)
    assert record.outcome == outcome
    assert list(record.metric("x").values) == list(range(1000))


def test_a_journal_that_cannot_be_read_at_the_end_is_no_error_of_the_program(project):
    done = project.python(
        "-c",
        "import resource, tracelet\n"
        "run = tracelet.start_run('trial', plugins=['no:system', 'no:environment', 'no:gpu', 'jsonl'])\n"
        "run.wait_started(20)\n"
        "run.log({'x': 1.0}, step=0)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4, hard))\n"
        "print(run.flush(timeout=1), run.status()['delivery']['jsonl']['pending'], run.finish())\n"
        # The interpreter itself opens a library as threads end at exit.
        "resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))\n",
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("the journal cannot be read") == 1
    assert done.stdout.strip() == "False None {'jsonl': 'an unknown number of records'}"
    [metric] = only_run(project).metrics()
    assert metric == "x"


def test_what_runs_are_recorded_in_is_private_whatever_the_umask(project):
    before = os.umask(0)
    try:
        done = project.python("-c", "import tracelet; tracelet.start_run('trial').finish()")
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    data = project.path / ".tracelet"
    assert not [path for path in (data, *data.rglob("*")) if path.stat().st_mode & 0o077]


def test_a_link_in_place_of_the_ignore_file_is_not_followed(project):
    data = project.path / ".tracelet"
    data.mkdir()
    (data / ".gitignore").symlink_to(project.path / "outside")
    assert project.python("-c", "import tracelet; tracelet.start_run('trial').finish()").returncode == 0
    assert not (project.path / "outside").exists()


def test_an_interactive_session_goes_on_after_a_mistake(project):
    typed = "import tracelet\nrun = tracelet.start_run()\n1 / 0\nrun.log_metric('x', 1)\n"
    words = [sys.executable, "-q", "-i"]
    subprocess.run(
        words, input=typed.encode(), cwd=project.path, env=project.environ, capture_output=True, check=True
    )
    record = only_run(project)
    assert record.outcome == "finished"
    assert list(record.metric("x").values) == [1]


def test_sigterm_ends_the_run_within_two_seconds(project):
    project.write("train.py", RECORD + "print('ready', flush=True)\nwhile True: time.sleep(0.01)")
    program = subprocess.Popen(
        [sys.executable, "train.py"], cwd=project.path, env=project.environ, stdout=subprocess.PIPE
    )
    assert program.stdout.readline() == b"ready\n"
    began = time.monotonic()
    program.send_signal(signal.SIGTERM)
    assert program.wait(10) == -signal.SIGTERM
    assert time.monotonic() - began < 4  # two are promised; the machine may be busy
    assert only_run(project).error == "SIGTERM"


def test_the_programs_own_sigterm_handler_stays(project):
    project.write(
        "train.py",
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
        + RECORD
        + "signal.raise_signal(signal.SIGTERM)",
    )
    project.python("train.py", status=42)
    assert len(only_run(project).metric("x").values) == 1000


def test_an_interrupt_reaches_the_program(project):
    project.write("train.py", RECORD + "signal.raise_signal(signal.SIGINT)")
    done = project.python("train.py", status=None)
    assert "KeyboardInterrupt" in done.stderr
    assert only_run(project).outcome == "failed"


def test_a_run_left_open_in_a_thread_ends_with_the_program(project):
    project.write(
        "train.py",
        """
        import threading, tracelet
        def work():
            tracelet.start_run("threaded").log_metric("x", 1)
        thread = threading.Thread(target=work); thread.start(); thread.join()
        """,
    )
    project.python("train.py")
    assert only_run(project).outcome == "finished"


def test_resume_goes_on_where_the_run_was(project):
    project.write(
        "train.py",
        """
        import tracelet
        with tracelet.start_run("trial", run_id="one", resume=True) as run:
            first = 0 if run.last_step is None else run.last_step + 1
            print(first)
            for step in range(first, first + 10):
                run.log_metric("x", step, step)
            run.log_metric("auto", 1.0)
        """,
    )
    assert project.python("train.py").stdout == "0\n"
    assert project.python("train.py").stdout == "10\n"
    record = only_run(project)
    assert list(record.metric("x").iterations) == list(range(20))
    assert list(record.metric("auto").iterations) == [0, 1]


def test_an_id_that_has_ended_wants_resume(project):
    project.write("train.py", "import tracelet\nwith tracelet.start_run(run_id='one'): pass\n")
    project.python("train.py")
    done = project.python("train.py", status=1)
    assert "resume=True" in done.stderr


def test_ranks_of_a_job_share_a_run_and_rank_zero_records(project):
    project.write(
        "train.py",
        """
        import os, tracelet
        with tracelet.start_run("job") as run:
            run.log_metric("x", float(os.environ["RANK"]), step=0)
        """,
    )
    job = {"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3", "TRACELET_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for policy, expected in (("0", [0.0]), ("all", [0.0, 1.0, 2.0])):
        data = project.path / policy
        project.write("tracelet.toml", 'ranks = "all"' if policy == "all" else "")
        programs = [
            subprocess.Popen(
                [sys.executable, "train.py"],
                cwd=project.path,
                env={
                    **project.environ,
                    **job,
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "TRACELET_DIR": str(data),
                },
            )
            for rank in range(3)
        ]
        assert [program.wait(60) for program in programs] == [0, 0, 0]
        [record] = tracelet.open_store(data).runs()
        assert sorted(record.metric("x").values) == expected


def test_a_spawned_process_joins_by_the_run_id(project):
    project.write(
        "train.py",
        """
        import multiprocessing, os, tracelet
        def work(number):
            with tracelet.start_run() as run:
                run.log_metric("x", number, number)
        if __name__ == "__main__":
            with tracelet.start_run("parent") as run:
                os.environ["TRACELET_RUN_ID"] = run.id
                context = multiprocessing.get_context("spawn")
                children = [context.Process(target=work, args=(number,)) for number in range(3)]
                for child in children: child.start()
                for child in children: child.join()
        """,
    )
    project.python("train.py")
    record = only_run(project)
    assert sorted(record.metric("x").values) == [0.0, 1.0, 2.0]
    assert record.outcome == "finished"


def test_fork_under_load_from_a_threaded_parent(tmp_path):
    script = tmp_path / "fork.py"
    script.write_text(
        """
import os, sys, threading, tracelet
run = tracelet.start_run("forks", dir=sys.argv[1], plugins=["no:system", "no:environment", "no:gpu"])
stop = threading.Event()
def load():
    step = 0
    while not stop.is_set():
        run.log_metric("load", step, step); step += 1
threads = [threading.Thread(target=load) for _ in range(4)]
for thread in threads: thread.start()
for number in range(50):
    child = os.fork()
    if child == 0:
        for step in range(10): run.log_metric("forked", step, number * 10 + step)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
run.finish()
"""
    )
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TRACELET_")}
    subprocess.run([sys.executable, script, tmp_path / "data"], check=True, timeout=60, env=environ)
    [record] = tracelet.open_store(tmp_path / "data").runs()
    assert sorted(record.metric("forked").iterations) == list(range(500))


def test_a_pool_of_forked_workers_can_be_terminated(project):
    """Its workers block in a semaphore, where a SIGTERM handler in Python would never run."""
    project.write(
        "train.py",
        """
        import multiprocessing, os, signal, tracelet
        def square(x):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            return x * x
        with tracelet.start_run("pool"):
            for _ in range(10):
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    assert pool.map(square, range(4)) == [0, 1, 4, 9]
        """,
    )
    project.python("train.py")
    assert only_run(project).outcome == "finished"


def test_sigterm_in_the_middle_of_finish_does_not_hang(project):
    project.write(
        "train.py",
        """
        import signal, threading, time, tracelet
        class Slow:
            @tracelet.hookimpl
            def log_metric(self, value): time.sleep(0.5)
        run = tracelet.start_run("slow", plugins=[Slow()])
        for step in range(100): run.log_metric("x", step, step)
        threading.Timer(1.0, lambda: signal.raise_signal(signal.SIGTERM)).start()
        run.finish(timeout=50)
        """,
    )
    began = time.monotonic()
    project.python("train.py", status=-signal.SIGTERM)
    assert time.monotonic() - began < 15
    assert len(only_run(project).metric("x").values) == 100


@pytest.mark.parametrize(
    "way", ["raise ValueError(text)", "run.finish('failed', error=text)", "with run: raise OSError(text)"]
)
def test_an_exception_that_holds_megabytes_is_recorded_in_short_and_at_once(project, way):
    words = "'curl -u me:hunter2 key: value ' * 700_000"
    project.write(
        "train.py",
        RECORD + f"text = 'begins ' + {words} + ' ends'\nbegan = time.process_time()\n"
        "import atexit; atexit.register(lambda: os.write(1, str(time.process_time() - began).encode()))\n"
        + way,
    )
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=project.path, env=project.environ, capture_output=True, text=True
    )
    record = only_run(project)
    assert record.outcome == "failed"
    assert len(record.error) < 110_000
    assert "begins" in record.error
    assert record.error.endswith("ends")
    assert "characters left out" in record.error
    assert "hunter2" not in record.error
    assert record.metric("x").count == 1000
    assert done.stdout == "" or float(done.stdout) < 3


def test_the_error_given_to_finish_shows_no_secret(project):
    project.write("train.py", RECORD + "run.finish('failed', error='mysql -phunter2 failed')")
    project.python("train.py")
    assert only_run(project).error == "mysql -p*** failed"
