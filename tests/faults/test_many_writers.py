"""Many processes and threads record into one run at once, and every point is there."""

from __future__ import annotations

import subprocess
import sys
import threading

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


def test_32_processes_record_into_one_run(tmp_path, environ):
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(number), tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environ, "TRACELET_RUN_ID": "shared"},
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


def test_forks_under_load_neither_hang_nor_lose_a_point(tmp_path, environ, campaign):
    """The short pass of ``python tests/faults/forks.py``."""
    result = campaign("forks").storm(tmp_path, 100, 8, environ)
    assert (result["hung"], result["lost"], result["repeated"]) == (0, 0, 0)
    assert result["recorded"] > 0
