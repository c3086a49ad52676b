"""A disk that fills up, cannot be written, or loses the folder: the program goes on, drops are counted exactly.

Each fault is a real one, met by a program of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from tracelet.journal import read_events, writers

PRELUDE = """
import json, logging, os, resource, shutil, sys, time
from pathlib import Path
from tracelet.journal import Damage, Writer, read_columns, read_events
run = Path(sys.argv[1])

def wait_until(condition, timeout=20):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)

def report(writer):
    damage = Damage()
    columns = read_columns(run, damage=damage)
    events = [[event.type, event.payload] for event in read_events(run)]
    print(json.dumps({
        "recorded": writer.recorded, "dropped": writer.dropped, "damage": damage.counts, "events": events,
        "steps": {name: [int(step) for step in column.steps] for name, column in columns.items()},
    }))
"""


def outcome_of(program: str, run_dir: Path, *before: str) -> tuple[dict, str]:
    """Run a program, as the words ``before`` say, and return what it reported and what it warned of."""
    words = [*before, sys.executable, "-c", PRELUDE + textwrap.dedent(program), str(run_dir)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def small_disk(folder: Path, size: str) -> list[str]:
    """Return the words that run a program with a small disk mounted in a folder, seen by it alone."""
    folder.mkdir()
    mount = f'mount -t tmpfs -o size={size} tmpfs "{folder}" && exec "$@"'
    words = [
        "unshare",
        "--mount",
        *(["--user", "--map-root-user"] if os.geteuid() else []),
        "sh",
        "-c",
        mount,
        "sh",
    ]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a file system for one program")
    return words


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "plain"])
def test_a_full_disk_is_survived_and_recording_resumes(tmp_path, mapped):
    program = f"""
    ballast = run.parent / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    writer = Writer(run, {{}}, mapped={mapped})
    for step in range(100_000):
        writer.point("a", step, step)
        if step % 10 == 0:
            writer.row({{"b": step, "c": step}}, step)
    lost = sum(writer.dropped.values())
    assert lost > 0
    writer.event("params", {{"params": {{"said": "while it was full"}}}})
    writer.point("new", 1, 1)
    ballast.unlink()
    wait_until(lambda: (writer.point("later", 1), not writer.dropped["disk full"] - sum(writer.dropped.values()))[1])
    wait_until(lambda: (writer.dropped, writer.point("later", 1), writer.dropped)[0] == writer.dropped)
    for step in range(1000):
        writer.point("after", step, step)
    writer.close("finished")
    report(writer)
    """
    told, warned = outcome_of(program, tmp_path / "disk" / "run", *small_disk(tmp_path / "disk", "3m"))
    assert set(told["dropped"]) == {"disk full"}
    kept = sum(len(steps) for steps in told["steps"].values())
    assert kept == told["recorded"]
    later = len(told["steps"]["later"])
    assert kept + told["dropped"]["disk full"] >= 100_000 + 20_000 + 1 + 1000 + later
    assert told["steps"]["after"] == list(range(1000))
    assert told["steps"]["a"] == list(range(len(told["steps"]["a"])))  # all before the disk was full
    assert ["params", {"params": {"said": "while it was full"}}] in told["events"]
    drops = [payload["drops"] for type_, payload in told["events"] if type_ == "drops"]
    assert drops[-1] == told["dropped"]
    assert told["events"][-1][0] == "outcome"
    assert warned.count("disk full") == 1
    assert set(told["damage"]) <= {"unwritten"}


def test_names_that_could_not_be_told_again_are_told_when_there_is_room(tmp_path):
    program = """
    writer = Writer(run, {}, mapped=False)
    for number in range(300):  # so that they do not fit into what is left of a page
        writer.point(f"metric{number}", number, 0)
    ballast = open(run.parent / "ballast", "wb", buffering=0)
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError:
        ballast.close()
    time.sleep(1.2)  # the names would be told again by now
    (run.parent / "ballast").unlink()
    (file,) = (run / "journal").iterdir()
    wait_until(lambda: b'"dictionary"' in file.read_bytes())
    writer.close("finished")
    data = bytearray(file.read_bytes())
    for number in range(300):
        data[data.index(f'"name":"metric{number}"'.encode())] ^= 1
    file.write_bytes(data)
    report(writer)
    """
    told, _ = outcome_of(program, tmp_path / "disk" / "run", *small_disk(tmp_path / "disk", "3m"))
    assert told["steps"] == {f"metric{number}": [0] for number in range(300)}
    assert told["dropped"] == {}


def test_every_call_is_either_recorded_or_counted(tmp_path):
    """Several threads meet the full disk at once, with points and rows; no call is lost from the account."""
    program = """
    import threading
    writer = Writer(run, {})
    def train(name):
        for step in range(20_000):
            writer.point(name, step, step)
            writer.row({f"{name}/x": 1, f"{name}/y": 2, f"{name}/z": 3}, step)
    threads = [threading.Thread(target=train, args=(f"t{n}",)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    writer.close("finished")
    report(writer)
    """
    told, _ = outcome_of(program, tmp_path / "disk" / "run", *small_disk(tmp_path / "disk", "2m"))
    kept = sum(len(steps) for steps in told["steps"].values())
    assert kept == told["recorded"]
    assert kept + sum(told["dropped"].values()) == 4 * 20_000 * 4


def test_a_file_size_limit_leads_to_more_files(tmp_path):
    program = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))
    writer = Writer(run, {})
    for step in range(60_000):
        writer.point("a", step, step)
    writer.close("finished")
    report(writer)
    """
    told, warned = outcome_of(program, tmp_path / "run")
    assert told["steps"]["a"] == list(range(60_000))
    assert told["dropped"] == {}
    assert told["damage"] == {}
    assert warned == ""
    files = list((tmp_path / "run" / "journal").iterdir())
    assert len(files) > 3
    assert all(file.stat().st_size <= 700_000 for file in files)


def test_a_file_size_limit_below_anything_is_an_outage(tmp_path):
    program = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    writer = Writer(run, {})
    for step in range(1000):
        writer.point("a", step, step)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: (writer.point("a", 0, 5000), writer.recorded)[1])
    recorded = writer.recorded
    writer.close("finished")
    report(writer)
    """
    told, warned = outcome_of(program, tmp_path / "run")
    assert told["dropped"]["file size limit"] >= 1000
    assert told["steps"]["a"] == [5000]
    assert warned.count("file size limit") == 1


def test_too_many_open_files(tmp_path):
    """Descriptors run out during recording: a writer with an open file continues; a new file has to wait."""
    program = """
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    writer = Writer(run, {})
    writer.point("a", 0, 0)
    hoard = []
    try:
        while True:
            hoard.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for step in range(1, 50_000):
        writer.point("a", step, step)
    assert writer.dropped == {}, writer.dropped
    assert writer._stream.slots.allocated < 50_000 + 100, writer._stream.slots.allocated  # no slot is drawn in vain
    other = Writer(run, {})
    other.point("b", 0)
    assert other.dropped == {"too many open files": 1}, other.dropped
    for handle in hoard:
        os.close(handle)
    wait_until(lambda: writer._state[2])  # back on the quick path
    wait_until(lambda: (other.point("b", 0, 7), other.recorded)[1])
    other.close("finished")
    writer.close("finished")
    report(writer)
    """
    told, warned = outcome_of(
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n" + textwrap.dedent(program), tmp_path / "run"
    )
    assert told["steps"]["a"] == list(range(50_000))
    assert told["steps"]["b"] == [7]
    assert warned.count("too many open files") == 1


@pytest.fixture
def open_folder():
    """A folder that another user gets to, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def test_a_read_only_folder(open_folder):
    """Nothing can be recorded from the beginning; when the folder becomes writable, it starts."""
    program = """
    __import__("tracelet.journal.reading.gathering_numpy")  # which the other user may not get to
    os.setuid(65534) if os.getuid() == 0 else None
    writer = Writer(run, {"rank": 5})
    for step in range(500):
        writer.point("a", step, step)
        writer.row({"b": 1, "c": 2})
    writer.event("params", {"params": {"lr": 1}})
    assert writer.recorded == 0
    assert writer.dropped == {"folder not writable": 1500}, writer.dropped
    print("blocked", flush=True)
    sys.stdin.readline()
    wait_until(lambda: (writer.point("a", 0, 7), writer.recorded)[1])
    writer.close("finished")
    report(writer)
    """
    folder = open_folder / "data"
    folder.mkdir(mode=0o555)
    words = [sys.executable, "-c", PRELUDE + textwrap.dedent(program), str(folder / "run")]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    ) as train:
        if train.stdout.readline() != "blocked\n":
            pytest.fail(train.stderr.read())
        folder.chmod(0o777)
        out, warned = train.communicate("\n", timeout=60)
    assert train.returncode == 0, warned
    told = json.loads(out.splitlines()[-1])
    assert told["steps"] == {"a": [7]}
    assert [type_ for type_, _ in told["events"]] == ["writer", "params", "drops", "outcome"]
    assert told["dropped"] == told["events"][-2][1]["drops"] or told["dropped"]["folder not writable"] >= 1500
    assert warned.count("folder not writable") == 1


def test_a_read_only_file_system(tmp_path):
    program = """
    assert os.system(f"mount -o remount,ro {run.parent}") == 0
    writer = Writer(run, {})
    writer.point("a", 0, 0)
    assert writer.dropped == {"read-only file system": 1}, writer.dropped
    assert os.system(f"mount -o remount,rw {run.parent}") == 0
    wait_until(lambda: (writer.point("a", 0, 7), writer.recorded)[1])
    writer.close("finished")
    report(writer)
    """
    told, warned = outcome_of(program, tmp_path / "disk" / "run", *small_disk(tmp_path / "disk", "4m"))
    assert told["steps"] == {"a": [7]}
    assert warned.count("read-only file system") == 1


def test_a_folder_deleted_amid_the_run_is_begun_anew(journal):
    writer = journal.writer({"run": {"id": "r"}})
    first = writer.id
    told = [
        ("run", {"name": "renamed"}),
        ("params", {"params": {"lr": 0.1}}),
        ("fact", {"source": "environment", "facts": {"git": "abc"}}),
        ("params", {"params": {"lr": 0.2}}),
    ]
    for type_, payload in told:
        writer.event(type_, payload)
    writer.event("artifact", {"path": "gone.txt"})
    for step in range(10):
        writer.point("a", step, step)
    writer.sync()  # all ten are seen in their place
    shutil.rmtree(journal.run_dir)
    for step in range(10, 15):
        writer.point("a", step, step)
    writer.sync()  # notices; those five went with the folder
    for step in range(15, 20):
        writer.point("a", step, step)
        writer.row({"a": step, "b": step})
    writer.close("finished")
    assert writer.dropped == {"folder deleted": 5}
    assert writer.recorded == 10 + 15
    assert writers(journal.run_dir) == [writer.id] != [first]
    assert [point.step for point in journal.points() if point.name == "a"] == [
        15,
        16,
        16,
        17,
        17,
        18,
        18,
        19,
        19,
        20,
    ]
    events = [(event.type, event.payload) for event in read_events(journal.run_dir)]
    assert events[0][1]["run"] == {"id": "r"}
    assert events[1:-1] == [*told, ("drops", {"drops": {"folder deleted": 5}})]


def test_each_deletion_is_told(journal, caplog):
    writer = journal.writer()
    for _ in range(2):
        writer.point("a", 0)
        shutil.rmtree(journal.run_dir)
        writer.sync()
    assert [text.rpartition("; ")[2] for text in caplog.messages] == [
        "recording starts again in a new one"
    ] * 2


def test_a_deletion_is_noticed_where_the_next_segment_was_opened_already(journal):
    """``rm -r`` lists a folder first: a segment opened ahead in that moment stays."""
    writer = journal.writer()
    writer.point("a", 0, 0)
    writer._stream.slots.files.open(1)
    journal.files()[0].unlink()
    writer.sync()
    writer.point("a", 1, 1)
    assert journal.values("a") == [1]


def test_a_folder_deleted_and_not_to_be_made_again(journal):
    """Its place is taken by a file: drops are counted until the place is free."""
    writer = journal.writer()
    writer.point("a", 0, 0)
    writer.sync()
    shutil.rmtree(journal.run_dir)
    journal.run_dir.touch()
    writer.sync()
    for step in range(1, 8):
        writer.point("a", step, step)
    assert writer.dropped["not a folder"] == 7
    journal.run_dir.unlink()
    deadline = time.monotonic() + 20
    while writer.recorded < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        writer.point("a", 0, 99)
    writer.close("finished")
    assert [point.step for point in journal.points()] == [99]


def test_the_keeper_notices_a_deleted_folder_by_itself(journal):
    writer = journal.writer()
    first = writer.id
    writer.point("a", 0, 0)
    writer.sync()
    shutil.rmtree(journal.run_dir)
    deadline = time.monotonic() + 20
    while writer.id == first and time.monotonic() < deadline:
        time.sleep(0.05)
    writer.point("a", 0, 1)
    assert [point.step for point in journal.points()] == [1]


def test_a_folder_that_is_moved_is_followed(journal):
    writer = journal.writer()
    writer.point("a", 0, 0)
    journal.run_dir.rename(journal.run_dir.with_name("moved"))
    journal.run_dir = journal.run_dir.with_name("moved")
    for step in range(1, 40_000):
        writer.point("a", step, step)
    writer.close("finished")
    assert journal.values("a") == list(range(40_000))
    assert writer.dropped == {}


FULL = """
def fill(disk):
    file = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(file, bytes(1 << 20)):
            pass
    except OSError:
        os.close(file)

def log_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        for _ in range(1000):
            writer.point("a", 0)
"""


def test_each_outage_is_told_once(tmp_path):
    program = """
    writer = Writer(run, {})
    for _ in range(2):
        fill(run.parent)
        before = sum(writer.dropped.values())
        log_until(lambda: sum(writer.dropped.values()) > before)
        time.sleep(0.7)  # so that several attempts fail
        os.unlink(run.parent / "ballast")
        before = writer.recorded
        wait_until(lambda: (writer.point("a", 0), writer.recorded)[1] > before)
    writer.close("finished")
    report(writer)
    """
    told, warned = outcome_of(
        FULL + textwrap.dedent(program), tmp_path / "disk" / "run", *small_disk(tmp_path / "disk", "3m")
    )
    assert warned.count("recording has stopped (disk full)") == 2
    assert len(told["steps"]["a"]) == told["recorded"]


def test_the_heart_beats_amid_an_outage(tmp_path):
    """A run on a full disk is not taken for killed by another host."""
    program = """
    from tracelet.journal.reading.source import Source
    writer = Writer(run, {})
    fill(run.parent)
    log_until(lambda: writer.dropped)
    before = time.time()
    writer._maintenance.beat_at = 0
    wait_until(lambda: Source(run, writer.id).header(0).heartbeat > before)
    assert writer._outage.fault
    report(writer)
    """
    outcome_of(
        FULL + textwrap.dedent(program), tmp_path / "disk" / "run", *small_disk(tmp_path / "disk", "2m")
    )


def test_an_outage_at_the_end_is_bounded_and_told(tmp_path):
    program = """
    ballast = run.parent / "ballast"
    writer = Writer(run, {})
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(file, bytes(4096))
    except OSError:
        pass
    for step in range(100_000):
        writer.point("a", step, step)
    began = time.monotonic()
    writer.close("finished")
    assert time.monotonic() - began < 2
    report(writer)
    """
    told, warned = outcome_of(program, tmp_path / "disk" / "run", *small_disk(tmp_path / "disk", "2m"))
    kept = len(told["steps"]["a"])
    assert told["steps"]["a"] == list(range(kept))
    assert kept + told["dropped"]["disk full"] == 100_000
    assert warned.count("recording has stopped") == 1
    assert warned.count("could not be recorded") == 1
