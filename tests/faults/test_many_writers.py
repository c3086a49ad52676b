"""Many processes and threads record into one run at once, and every point is there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import tracelet

PROCESS = """
import os, sys, threading, tracelet
number = int(sys.argv[1])
with tracelet.start_run(run_id="shared", dir=sys.argv[2]) as run:
    print("ready", flush=True)
    sys.stdin.readline()
    for step in range(2000):
        run.log_metric("x", number, step)
        run.log({"a": number, "b": step}, step=step)
"""

FORKS = """
import os, sys, threading, time, tracelet
run = tracelet.start_run("forks", dir=sys.argv[1], plugins=["no:system", "no:environment", "no:gpu"])
stop = threading.Event()
def load(number):
    step = 0
    while not stop.is_set():
        run.log_metric("load", number, step)
        run.log({"a": number, "b": step}, step=step)
        step += 1
        if step % 50 == 0: time.sleep(0.001)  # else the forking thread waits for the interpreter most of the time
threads = [threading.Thread(target=load, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
forks = int(sys.argv[2])
for number in range(forks):
    child = os.fork()
    if child == 0:
        run.log_metric("forked", number, number)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
stop.set()
for thread in threads: thread.join()
run.finish()
"""


def environ():
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TRACELET_")}
    return {
        **kept,
        "TRACELET_RUN_ID": "shared",
        "TRACELET_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TRACELET_MODE": "offline",
    }


def test_32_processes_record_into_one_run(tmp_path):
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(number), tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ(),
        )
        for number in range(32)
    ]
    for program in programs:
        assert program.stdout.readline() == b"ready\n"
    for program in programs:
        program.stdin.write(b"go\n")
        program.stdin.close()
    assert [program.wait(120) for program in programs] == [0] * 32
    record = tracelet.open_store(tmp_path).run("shared")
    assert sorted(record.metric("x").values) == sorted(float(n) for n in range(32) for _ in range(2000))
    assert len(record.metric("a").values) == len(record.metric("b").values) == 64_000
    assert record.outcome == "finished"


def test_64_threads_record_into_one_run(tmp_path):
    with tracelet.start_run(dir=tmp_path, plugins=["no:system", "no:environment", "no:gpu"]) as run:
        together = threading.Barrier(64)

        def work(number):
            together.wait()
            for step in range(1000):
                run.log_metric("x", number, step)
                run.log({"a": number, "b": step}, step=step)
                run.log_metric("auto", 1.0)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    record = tracelet.open_store(tmp_path).run(run.id)
    assert sorted(record.metric("x").values) == sorted(float(n) for n in range(64) for _ in range(1000))
    assert all(len(record.metric(name).values) == 64_000 for name in ("a", "b", "auto"))


@pytest.mark.slow
def test_1000_forks_under_load(tmp_path):
    subprocess.run([sys.executable, "-c", FORKS, tmp_path, "1000"], check=True, timeout=300, env=environ())
    [record] = tracelet.open_store(tmp_path).runs()
    assert sorted(record.metric("forked").iterations) == list(range(1000))
    assert record.outcome == "finished"
