"""SIGTERM ends a run in time even where the main thread never comes back to Python, and disturbs nobody else."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

import tracelet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM there")

# A mutex is waited for in C, and the wait goes on after a signal: as in a collective whose peer is gone.
STUCK = """
import ctypes, os, signal, sys, threading, time
import tracelet
libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(256)
libc.pthread_mutex_init(mutex, None)
libc.pthread_mutex_lock(mutex)
run = tracelet.start_run("stuck")
for step in range(1000):
    run.log_metric("x", step, step)
"""
WAIT = "print('ready', flush=True); libc.pthread_mutex_lock(mutex); print('back', flush=True)\n"


def only_run(project):
    [record] = tracelet.open_store(project.path).runs()
    return record


def terminate(project, program):
    """Start a program, send it SIGTERM once it is stuck, and return it."""
    project.write("train.py", program)
    process = subprocess.Popen(
        [sys.executable, "train.py"],
        cwd=project.path,
        env=project.environ,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)  # from the word to the wait
    process.terminate()
    return process


@pytest.mark.parametrize("more", ["", "tracelet.start_run('another')\n"], ids=["one run", "a run in a run"])
def test_a_main_thread_stuck_in_c_is_no_hindrance(project, more):
    process = terminate(project, STUCK + more + WAIT)
    assert process.wait(10) == -signal.SIGTERM
    for record in tracelet.open_store(project.path).runs():
        assert (record.outcome, record.error) == ("killed", "SIGTERM")
        assert record.name == "another" or record.metric("x").count == 1000


def test_a_program_with_a_handler_of_its_own_decides(project):
    own = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
    later = "threading.Timer(1.5, lambda: libc.pthread_mutex_unlock(mutex)).start()\n"
    process = terminate(project, STUCK + own + later + WAIT)
    assert process.communicate(timeout=20)[0] == ""  # its handler came before the next statement
    assert process.returncode == 42
    assert (only_run(project).outcome, only_run(project).error) == ("failed", "SystemExit: 42")


def test_a_second_signal_does_not_cut_the_ending_short(project):
    slow = """
class Slow:
    @tracelet.hookimpl
    def run_ended(self): time.sleep(0.2)
run.add_plugin(Slow())
print('ready', flush=True)
while True: time.sleep(0.01)
"""
    process = terminate(project, STUCK + slow)
    time.sleep(0.05)
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
    assert only_run(project).error == "SIGTERM"


def test_the_signals_of_a_forked_child_are_its_own(project):
    project.write(
        "train.py",
        STUCK
        + """
child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
threading.Timer(1.0, lambda: libc.pthread_mutex_unlock(mutex)).start()
libc.pthread_mutex_lock(mutex)
""",
    )
    project.python("train.py")
    assert only_run(project).outcome == "finished"


@pytest.mark.parametrize("inside", [False, True])
def test_an_event_loop_keeps_its_signals(project, inside):
    project.write(
        "train.py",
        f"""
        import asyncio, os, signal, tracelet
        async def work():
            came = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, came.set)
            if {inside}:
                tracelet.start_run("loop")
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.wait_for(came.wait(), 20)
        if not {inside}:
            tracelet.start_run("loop")
        asyncio.run(work())
        """,
    )
    project.python("train.py")
    assert only_run(project).outcome == "finished"


def test_a_run_that_is_just_being_finished_keeps_its_outcome(project):
    slow = """
class Slow:
    @tracelet.hookimpl
    def run_ended(self): print('ready', flush=True); time.sleep(5)
run.add_plugin(Slow())
run.finish("stopped early", error="no progress")
"""
    process = terminate(project, STUCK + slow)
    assert process.wait(10) == -signal.SIGTERM
    assert (only_run(project).outcome, only_run(project).error) == ("stopped early", "no progress")


@pytest.mark.parametrize("files", [12, 1300], ids=["a few files", "more files than the highest number"])
def test_a_program_that_closes_all_descriptors_gets_no_signal_numbers_in_its_files(project, files):
    # Whatever another thread has open then, it closes later: by then, the number may be that of a file of the program.
    # So no collector reads files here, and the threads that import modules have time to finish.
    alone = STUCK.replace('("stuck")', '("stuck", plugins=["no:system", "no:environment", "no:gpu"])')
    own = f"""
import resource
time.sleep(1.5)
most = min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
signal.signal(signal.SIGUSR1, lambda *_: None)
os.closerange(3, most)
files = [os.open(f"own{{number}}", os.O_RDWR | os.O_CREAT) for number in range(min({files}, most - 20))]
time.sleep(1.0)  # the thread notices, and the main thread exchanges the number
for _ in range(20):
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.005)
assert [os.fstat(file).st_size for file in files] == [0] * len(files)
"""
    process = terminate(project, alone + own + WAIT)
    assert process.wait(10) == -signal.SIGTERM
    assert (only_run(project).outcome, only_run(project).error) == ("killed", "SIGTERM")
