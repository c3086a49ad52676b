"""A silent run in a lake: running while its process lives, and killed some time after it is gone."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import tracelet

PROGRAM = """
import time, tracelet
run = tracelet.start_run("silent", plugins=["no:system", "no:environment", "no:gpu", "no:code"])
run.log({"loss": 0.5}, step=0)
run.flush()
print(run.id, flush=True)
time.sleep(120)  # an evaluation that records nothing
"""


def test_a_silent_run_is_running_until_it_is_killed(folder, project):
    root = project(folder.table, heartbeat_seconds=3)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=root, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        run_id = process.stdout.readline().strip()
        recorded = time.time()
        store = tracelet.open_store(folder.url)
        [file] = (root / "lake" / "runs").glob(f"*/{run_id}.json")
        beats = set()
        while time.time() - recorded < 14:  # longer than three heartbeats
            document = json.loads(file.read_text())
            beats.add(document["alive_at"])
            assert store.run(run_id).outcome == "running"
            assert [one.outcome for one in store.runs()] == ["running"]
            time.sleep(1)
        assert document["alive_for"] == 9
        assert 8 < document["alive_at"] - recorded < 20
        assert 3 <= len(beats) <= 6  # what they cost
    finally:
        process.kill()
        process.communicate()
    died = time.time()
    while store.run(run_id).outcome != "killed":
        assert time.time() - died < 30
        time.sleep(0.5)
    assert [one.outcome for one in store.runs()] == ["killed"]
    assert 0 <= died - store.run(run_id).ended_at < 8  # its last sign of life


def test_a_run_that_has_ended_has_no_heartbeat(folder, project):
    root = project(folder.table, heartbeat_seconds=1)
    program = PROGRAM.replace("time.sleep(120)", "time.sleep(3)")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60
    )
    store = tracelet.open_store(folder.url)
    assert store.run(done.stdout.strip()).outcome == "finished"
    [document] = (root / "lake" / "runs").glob("*/*.json")
    before = document.read_bytes()
    time.sleep(2)
    assert document.read_bytes() == before
