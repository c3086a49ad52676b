"""One process at a time delivers to a backend of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from tracelet.delivery import Settings
from tracelet.delivery.ledger.lease import Lease

pytestmark = pytest.mark.any_python

SETTINGS = Settings(lease_beat=0.0)


def holder_program(run_dir) -> subprocess.Popen[str]:
    """Start a process that takes the lease and keeps it."""
    program = """
        import sys, pathlib
        from tracelet.delivery import Settings
        from tracelet.delivery.ledger.lease import Lease
        lease = Lease(pathlib.Path(sys.argv[1]), "backend", Settings())
        print(lease.acquire(), flush=True)
        sys.stdin.read()
        lease.release()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(run_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "True\n"
    return process


def test_one_has_it_until_it_gives_it_back(tmp_path):
    first, second = Lease(tmp_path, "backend", SETTINGS), Lease(tmp_path, "backend", SETTINGS)
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    assert f"process {os.getpid()}" in second.describe_holder()
    assert Lease(tmp_path, "other", SETTINGS).acquire()
    first.release()
    assert second.acquire()
    assert not first.beat()
    assert second.beat()


@pytest.mark.parametrize("end", ["release", "kill"])
def test_it_is_free_when_its_holder_is_gone(tmp_path, end):
    process = holder_program(tmp_path)
    lease = Lease(tmp_path, "backend", SETTINGS)
    assert not lease.acquire()
    if end == "kill":
        process.send_signal(signal.SIGKILL)
    process.communicate()
    assert lease.acquire()
    assert [file.name for file in lease.file.parent.iterdir()] == ["backend.lease"]


def as_of_another_host(lease: Lease) -> None:
    holder = json.loads(lease.file.read_text())
    lease.file.write_text(json.dumps({**holder, "host": "far-away", "boot_id": "other"}))


def test_a_holder_on_another_host_is_trusted_as_long_as_it_gives_signs_of_life(tmp_path):
    far, near = Lease(tmp_path, "backend", SETTINGS, 30.0), Lease(tmp_path, "backend", SETTINGS)
    assert far.acquire()
    as_of_another_host(far)
    age = SETTINGS.lease_stale + 30
    now = far.file.stat().st_mtime
    os.utime(far.file, (now - age + 10, now - age + 10))
    assert not near.acquire()
    os.utime(far.file, (now - age - 1, now - age - 1))
    assert far.beat()
    assert not near.acquire()
    os.utime(far.file, (now - age - 1, now - age - 1))
    assert near.acquire()
    assert not far.beat(), "it was taken for dead, and has to stop"


def test_of_many_that_try_one_gets_it(tmp_path):
    process = holder_program(tmp_path)
    process.kill()
    process.communicate()
    leases = [Lease(tmp_path, "backend", SETTINGS) for _ in range(16)]
    start = threading.Barrier(len(leases))
    got = []

    def attempt(lease):
        start.wait()
        got.append(lease.acquire())

    threads = [threading.Thread(target=attempt, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) <= 1
    if not any(got):
        assert leases[0].acquire()
    assert sum(lease.beat() for lease in leases) == 1


def test_a_second_deliverer_stands_by_and_takes_over(stage, backend):
    held = Lease(stage.run_dir, "backend", SETTINGS)
    assert held.acquire()
    got = stage.add(backend())
    values = stage.log(10)
    stage.wait_for(lambda: stage.status()["state"] == "standby")
    assert "delivers to it" in stage.status()["error"]
    assert not stage.delivery.flush(5), "another process does"
    held.release()
    stage.flush()
    assert got.values == values
    assert stage.status()["error"] is None


def test_a_disk_that_takes_nothing_for_a_moment_is_not_in_the_way_later(tmp_path):
    program = """
        import pathlib, resource, sys
        from tracelet.delivery import Settings
        from tracelet.delivery.ledger.lease import Lease
        lease = Lease(pathlib.Path(sys.argv[1]), "backend", Settings())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        for _ in range(2):
            try:
                print(lease.acquire())
            except FileExistsError:
                print("in the way")
            except OSError:
                print("no room")
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        print(lease.acquire())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], capture_output=True, text=True
    )
    assert done.stdout.split("\n") == ["no room", "no room", "True", ""], done.stderr
