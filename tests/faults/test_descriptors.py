"""Programs that close descriptors they did not open: theirs are left alone, and no record is lost."""

import json
import os
import subprocess
import sys

import pytest

from tracelet.journal import Damage, liveness, read_columns, writers

START = """
import json, os, sys, time
from pathlib import Path
from tracelet.journal import Writer
run_dir, mapped = Path(sys.argv[1]), json.loads(sys.argv[2])

def open_own():
    "Open files of the program's own, under the numbers that are free now."
    files = [os.open(run_dir.parent / f"own{number}", os.O_RDWR | os.O_CREAT | os.O_TRUNC) for number in range(12)]
    for file in files:
        os.write(file, b"A" * 20000)
    return files

def check_own(files):
    for number, file in enumerate(files):
        assert (run_dir.parent / f"own{number}").read_bytes() == b"A" * 20000, f"own{number} was changed"
        os.write(file, b"more")  # it is still open
        os.ftruncate(file, 20000)
"""


def run(tmp_path, program, *, mapped=True, status=0, **options):
    done = subprocess.run(
        [sys.executable, "-c", START + program, str(tmp_path / "run"), json.dumps(mapped)],
        capture_output=True,
        text=True,
        timeout=100,
        **options,
    )
    assert done.returncode == status, done.stderr
    return done


def values(tmp_path, name="x"):
    damage = Damage()
    found = read_columns(tmp_path / "run", damage=damage)
    assert not damage, damage
    return [float(value) for value in found[name].values]


@pytest.mark.parametrize("mapped", [True, False])
def test_all_descriptors_closed_and_used_for_other_files(tmp_path, mapped):
    """Records of several windows, heartbeats, syncs, the end: all of them go on with files opened again."""
    run(
        tmp_path,
        """
import gc
writer = Writer(run_dir, {}, mapped=mapped)
for step in range(100):
    writer.point("x", step, step)
writer.sync()
for round in range(3):
    os.closerange(3, 256)
    files = open_own()
    for step in range(100 + round * 20000, 100 + (round + 1) * 20000):
        writer.point("x", step, step)
    writer.event("note", {"round": round})
    writer._maintenance.write_heartbeat_at = 0
    writer.sync()
    time.sleep(0.7)  # what is done in the background
    check_own(files)
writer.close("finished")
del writer
gc.collect()
check_own(files)
""",
        mapped=mapped,
    )
    assert values(tmp_path) == list(range(60100))
    [writer] = writers(tmp_path / "run")
    assert liveness(tmp_path / "run", writer) == "ended"


@pytest.mark.parametrize("mapped", [True, False])
def test_a_daemon_of_two_forks_records_into_its_own_file(tmp_path, mapped):
    run(
        tmp_path,
        """
writer = Writer(run_dir, {}, mapped=mapped)
for step in range(10):
    writer.point("x", step, step)
writer.sync()
if os.fork() == 0:
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    os.closerange(0, 256)
    files = open_own()
    for step in range(10, 20000):
        writer.point("x", step, step)
    writer.sync()
    writer.close()
    check_own(files)
    (run_dir.parent / "ok").write_text("ok")
    os._exit(0)
os.wait()
for step in range(20000, 20010):
    writer.point("x", step, step)
writer.close()
for _ in range(500):
    if (run_dir.parent / "ok").exists():
        break
    time.sleep(0.1)
""",
        mapped=mapped,
    )
    assert (tmp_path / "ok").exists()
    assert sorted(values(tmp_path)) == list(range(20010))
    assert len(writers(tmp_path / "run")) == 2


def test_the_numbers_of_closed_standard_streams_are_left_alone(tmp_path):
    """A library's messages on number 2 must not end up in the journal."""
    run(
        tmp_path,
        """
os.closerange(0, 3)
writer = Writer(run_dir, {}, mapped=mapped)
for step in range(20000):
    writer.point("x", step, step)
writer.sync()
for number in range(3):
    try:
        os.write(number, b"a message of a library")
    except OSError:
        continue
    os._exit(7)
writer.close()
os._exit(0)
""",
    )
    assert values(tmp_path) == list(range(20000))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_programs_that_are_started_inherit_nothing(tmp_path):
    run(
        tmp_path,
        """
import subprocess
with Writer(run_dir, {}, mapped=mapped) as writer:
    writer.point("x", 1, 1)
    code = "import os; os.system(f'ls -l /proc/{os.getpid()}/fd')"
    text = subprocess.run([sys.executable, "-c", code], close_fds=False, capture_output=True, text=True).stdout
    assert "->" in text and str(run_dir) not in text, text
""",
    )


def test_a_program_that_becomes_another_one(tmp_path):
    done = run(
        tmp_path,
        """
writer = Writer(run_dir, {}, mapped=mapped)
for step in range(100):
    writer.point("x", step, step)
os.closerange(3, 256)
files = open_own()
for step in range(100, 200):
    writer.point("x", step, step)
os.execv(sys.executable, [sys.executable, "-c", "print('another one')"])
""",
    )
    assert values(tmp_path) == list(range(200))
    assert done.stdout == "another one\n"


def test_a_reader_whose_descriptor_was_closed_reads_on(tmp_path):
    """A wrong file under its number would look like damage, and the cursor would pass over good records."""
    run(
        tmp_path,
        """
from tracelet.journal import Follower
writer = Writer(run_dir, {}, mapped=mapped)
for step in range(100):
    writer.point("x", step, step)
follower = Follower(run_dir, writer.id)
found = len([one for one in follower.read(10000) if hasattr(one, "value")])
os.closerange(3, 256)
files = open_own()
for step in range(100, 5000):
    writer.point("x", step, step)
while records := follower.read(1000):
    found += len([one for one in records if hasattr(one, "value")])
assert found == 5000, found
assert not follower.damage, follower.damage
writer.close()
del follower
check_own(files)
""",
    )


def test_a_folder_that_is_gone_with_the_descriptors_is_made_again(tmp_path):
    run(
        tmp_path,
        """
import shutil
writer = Writer(run_dir, {"run": {"id": "r"}}, mapped=mapped)
for step in range(100):
    writer.point("x", step, step)
writer.sync()
os.closerange(3, 256)
files = open_own()
shutil.rmtree(run_dir)
writer.sync()
for step in range(100, 200):
    writer.point("x", step, step)
assert writer.recorded + sum(writer.dropped.values()) == 200
writer.close()
check_own(files)
""",
    )
    assert values(tmp_path) == list(range(100, 200))


def test_a_foreign_file_under_our_name_is_not_written_to(tmp_path):
    """The segment was replaced while its descriptor was closed: recording goes on in a file of its own."""
    run(
        tmp_path,
        """
writer = Writer(run_dir, {}, mapped=False)
writer.point("x", 1, 1)
writer.sync()
os.closerange(3, 256)
files = open_own()
[segment] = (run_dir / "journal").iterdir()
segment.unlink()
segment.write_bytes(b"somebody else's")
writer.sync()
writer.point("x", 2, 2)
writer.close()
assert segment.read_bytes() == b"somebody else's"
check_own(files)
""",
    )
    assert [float(value) for value in read_columns(tmp_path / "run")["x"].values] == [2.0]
