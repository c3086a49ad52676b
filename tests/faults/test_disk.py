"""The disk lets the run down: the training goes on, losses are counted, recording resumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

import tracelet

FULL = """
import json, os, sys, time, tracelet
mount = sys.argv[1]
run = tracelet.start_run("full", dir=mount + "/data", plugins=["no:system", "no:environment", "no:gpu"])
ballast = mount + "/ballast"
logged = 0
def log(count):
    global logged
    for _ in range(count):
        run.log_metric("x", logged, logged)
        logged += 1
log(1000)
with open(ballast, "wb") as file:
    try:
        while True: file.write(bytes(1 << 16)); file.flush()
    except OSError: pass
while not run.status()["dropped"] and logged < 5_000_000: log(1000)
log(5000)
os.unlink(ballast)
end = time.monotonic() + 20
before = run.status()["dropped"]
while time.monotonic() < end:
    log(10); time.sleep(0.05)
    now = run.status()["dropped"]
    if now == before: break
    before = now
log(1000)
status = run.status()
run.finish()
print(json.dumps({"logged": logged, "dropped": status["dropped"]}))
"""

DELIVERED = """
import json, logging, os, sys, time, tracelet
from tracelet.core.plugins import BackendPlugin, PluginMetadata
from tracelet.delivery import verify

warned = []
class Warned(logging.Handler):
    def emit(self, record): warned.append("its position cannot be stored" in record.getMessage())
logging.getLogger("tracelet").addHandler(Warned())

class Backend(BackendPlugin):
    got = []
    @classmethod
    def get_metadata(cls): return PluginMetadata("backend", "1", "backend")
    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self): return {}
    def log_metric(self, name, value, iteration): ...
    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...
    def log_metrics(self, points): self.got += [point.value for point in points]

mount = sys.argv[1]
plugins = ["no:system", "no:environment", "no:gpu", Backend]
run = tracelet.start_run("full", dir=mount + "/data", plugins=plugins)
logged = 0
def log(count):
    global logged
    for _ in range(count):
        run.log_metric("x", logged, logged)
        logged += 1
def wait(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, run.status()
        time.sleep(0.05)
log(1000)
run.flush()
with open(mount + "/ballast", "wb", buffering=0) as file:
    try:
        while True: file.write(bytes(1 << 12))
    except OSError: pass
log(1000)  # into what the journal has reserved, if that kind of file system lets it
run.flush()
before = len(Backend.got)
if before > 1000: wait(lambda: any(warned))  # for the cursor, which cannot be stored now
os.unlink(mount + "/ballast")
wait(lambda: log(10) or len(Backend.got) > before)
run.finish()
found = verify(run.dir)
recorded = list(tracelet.open_store(mount + "/data").run("full").metric("x").values)
pending = [row.pending for row in found.backends]
print(json.dumps([len(recorded), Backend.got == recorded, found.agrees, pending, before > 1000, any(warned)]))
"""

GONE = """
import json, shutil, sys, tracelet
run = tracelet.start_run("gone", dir=sys.argv[1], plugins=["no:system", "no:environment", "no:gpu"])
for step in range(100): run.log_metric("x", step, step)
shutil.rmtree(run.dir)
for step in range(200_000): run.log_metric("x", step, step)
run.finish()
print("trained to the end")
"""

LIMITED = """
import resource, sys, tracelet
run = tracelet.start_run("limited", dir=sys.argv[1], plugins=["no:system", "no:environment", "no:gpu"])
which, limit = sys.argv[2], int(sys.argv[3])
kind = getattr(resource, which)
resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
for step in range(200_000): run.log_metric("x", step, step)
dropped = run.status()["dropped"]
run.finish()
print(sum(dropped.values()))
"""


KILLED = """
import os, signal, sys, tracelet
run = tracelet.start_run("killed", dir=sys.argv[1], plugins=["no:system", "no:environment", "no:gpu"])
for step in range(20_000): run.log_metric("x", step, step)
with open("/proc/self/maps") as maps: print(any(str(run.dir) in line for line in maps), step + 1, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def program(environ):
    """Return what runs a program to its end, and returns what it printed."""

    def run(text, *arguments, status=0):
        words = [sys.executable, "-c", text, *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environ)
        assert done.returncode == status, done.stderr
        return done

    return run


@pytest.fixture
def local_disk(tmp_path):
    """A real file system of 24 MiB."""
    yield from mounted(tmp_path / "local", "mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs")


@pytest.fixture
def network_disk(tmp_path, local_disk):
    """The same behind FUSE: like a network's, no file system to map files of."""
    yield from mounted(tmp_path / "network", "bindfs", local_disk)


def mounted(place, *command):
    place.mkdir()
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([*command, place], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(params=["local", "network"])
def small_disk(request):
    return request.getfixturevalue(f"{request.param}_disk")


def test_a_network_folder_is_written_plainly_and_survives_a_kill(program, network_disk):
    done = program(KILLED, network_disk, status=-signal.SIGKILL)
    mapped, acknowledged = done.stdout.split()
    [record] = tracelet.open_store(network_disk).runs()
    assert mapped == "False"
    assert record.outcome == "killed"
    assert list(record.metric("x").values) == list(range(int(acknowledged)))


def test_a_full_disk_is_counted_to_the_point_and_recording_resumes(program, small_disk):
    done = program(FULL, small_disk)
    result = json.loads(done.stdout)
    [record] = tracelet.open_store(small_disk / "data").runs()
    recorded = len(record.metric("x").values)
    assert result["dropped"]
    assert recorded + sum(result["dropped"].values()) == result["logged"]
    assert record.metric("x").iterations[-1] == result["logged"] - 1
    assert record.dropped == result["dropped"]
    assert done.stderr.count("\n") <= 4  # one warning when it begins and one when it is over


def test_delivery_goes_on_while_the_disk_is_full(program, environ, small_disk):
    environ["TRACELET_MODE"] = "online"
    done = program(DELIVERED, small_disk)
    recorded, delivered, agrees, pending, delivered_while_full, warned = json.loads(done.stdout)
    assert recorded > 1000
    assert (delivered, agrees, pending) == (True, True, [0])
    # Where nothing was recorded meanwhile, there was no new position to store.
    assert warned or not delivered_while_full


def test_a_run_folder_deleted_in_the_middle_does_not_end_the_training(program, tmp_path):
    assert "trained to the end" in program(GONE, tmp_path).stdout


@pytest.mark.parametrize(("which", "limit"), [("RLIMIT_FSIZE", 1 << 20), ("RLIMIT_NOFILE", 3)])
def test_a_resource_limit_does_not_end_the_training(program, tmp_path, which, limit):
    done = program(LIMITED, tmp_path, which, limit)
    [record] = tracelet.open_store(tmp_path).runs()
    assert len(record.metric("x").values) + int(done.stdout) == 200_000


def test_a_folder_that_cannot_be_written_does_not_end_the_training(program, tmp_path):
    if os.geteuid() == 0:
        target = "/proc/no-such-place"  # root may write anywhere that can be written at all
    else:
        tmp_path.chmod(0o500)
        target = str(tmp_path / "data")
    text = """
import sys, tracelet
run = tracelet.start_run("nowhere", dir=sys.argv[1], plugins=["no:system", "no:environment", "no:gpu"])
for step in range(1000): run.log_metric("x", step, step)
print(sum(run.status()["dropped"].values()))
run.finish()
"""
    done = program(text, target)
    assert done.stdout == "1000\n"
    assert done.stderr
