"""Each file system filled to its last byte and freed again: no SIGBUS, every call accounted for, recording resumes."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tracelet.journal.writing import filesystem
from tracelet.journal.writing.filesystem import mapping_is_safe

_spec = importlib.util.spec_from_file_location("faults_mounts", Path(__file__).with_name("mounts.py"))
mounts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mounts)

pytestmark = pytest.mark.slow

PROGRAM = """
import fcntl, json, os, sys, time
from pathlib import Path
from tracelet.journal import Damage, Writer, read_columns
mount, prepare = Path(sys.argv[1]), sys.argv[2]
run_dir = mount / "runs" / "r"
if prepare == "nocow":
    run_dir.mkdir(parents=True)
    assert os.system(f"chattr +C {run_dir}") == 0
writer = Writer(run_dir, {"run": {"id": "r"}})
logged = 0
def log(count):
    global logged
    for _ in range(count):
        writer.point("x", logged, logged)
        logged += 1
log(3000)
writer.sync()
shared = 0
for file in (run_dir / "journal").iterdir():  # a backup that shares blocks with what is being written
    with open(file, "rb") as source, open(mount / f"copy{shared}", "wb") as copy:
        try:
            fcntl.ioctl(copy, 0x40049409, source.fileno())
            shared += 1
        except OSError:
            pass
ballast = os.open(mount / "ballast", os.O_WRONLY | os.O_CREAT)
size, step = 0, 64 << 20
while step:
    try:
        os.posix_fallocate(ballast, size, step)
        size += step
    except OSError:
        step >>= 1
for count in (1 << 16, 1 << 12, 1):
    try:
        for _ in range(5000):
            os.pwrite(ballast, os.urandom(count), size)
            size += count
    except OSError:
        pass
    try:
        os.fsync(ballast)
    except OSError:
        pass
os.close(ballast)
end = time.monotonic() + 1.5
while time.monotonic() < end:
    log(500)
    time.sleep(0.01)
log(100_000)
dropped = sum(writer.dropped.values())
os.unlink(mount / "ballast")
os.sync()
end = time.monotonic() + 30
while True:
    before = sum(writer.dropped.values())
    log(100)
    if sum(writer.dropped.values()) == before:
        break
    assert time.monotonic() < end, "recording did not resume"
    time.sleep(0.1)
first = logged
log(1000)
is_mapped = writer._stream.slots.mapped
writer.close("finished")
damage = Damage()
found = read_columns(run_dir, damage=damage)["x"]
steps = {int(step) for step in found.steps}
print(json.dumps({
    "logged": logged, "found": len(found), "dropped": sum(writer.dropped.values()), "full": dropped, "shared": shared,
    "resumed": steps.issuperset(range(first, logged)), "damage": damage.counts, "mapped": is_mapped,
    "right": all(int(step) == value for step, value in zip(found.steps, found.values)),
}))
"""


def fill(tmp_path, prepare, *mounts_, within="mount", run_with=()):
    mount = tmp_path / within
    (tmp_path / "mount").mkdir(exist_ok=True)
    words = [*mounts.mounted(*mounts_), *run_with]
    done = subprocess.run(
        [*words, sys.executable, "-c", PROGRAM, str(mount), prepare],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    told = json.loads(done.stdout)
    assert told["found"] + told["dropped"] >= told["logged"]
    assert told["found"] <= told["logged"]
    assert told["resumed"]
    assert told["right"]
    assert set(told["damage"]) <= {"unwritten", "torn"}
    return told


@pytest.mark.parametrize(
    ("kind", "is_mapped"), [("ext4", True), ("xfs", True), ("xfs-reflink", False), ("btrfs", False)]
)
def test_a_disk_filled_to_the_last_byte(tmp_path, kind, is_mapped):
    mounts.make_image(tmp_path / "image", kind)
    told = fill(tmp_path, "", ["mount", "-o", "loop", tmp_path / "image", tmp_path / "mount"])
    assert told["mapped"] is is_mapped
    assert told["full"] > 0
    assert bool(told["shared"]) is not is_mapped


@pytest.mark.parametrize("prepare", ["nocow", "compressed"])
def test_btrfs_with_other_options(tmp_path, prepare):
    """A snapshot or a reflinked copy makes a NOCOW file share its blocks again, so these are not mapped either."""
    mounts.make_image(tmp_path / "image", "btrfs")
    options = "loop,commit=1,compress-force=zstd" if prepare == "compressed" else "loop,commit=1"
    told = fill(tmp_path, prepare, ["mount", "-o", options, tmp_path / "image", tmp_path / "mount"])
    assert not told["mapped"]


@pytest.mark.parametrize(("kind", "is_mapped"), [("ext4", True), ("xfs-reflink", False)])
def test_an_overlay_is_what_it_lies_on(tmp_path, kind, is_mapped):
    mounts.make_image(tmp_path / "image", kind)
    below = tmp_path / "below"
    below.mkdir()
    (tmp_path / "lower").mkdir()
    layers = f"lowerdir={tmp_path}/lower,upperdir={below}/upper,workdir={below}/work"
    told = fill(
        tmp_path,
        "",
        ["mount", "-o", "loop", tmp_path / "image", below],
        ["mkdir", "-p", below / "upper", below / "work"],
        ["mount", "-t", "overlay", "overlay", "-o", layers, tmp_path / "mount"],
    )
    assert told["mapped"] is is_mapped


def test_memory_as_a_disk(tmp_path):
    told = fill(tmp_path, "", ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", tmp_path / "mount"])
    assert told["mapped"]
    assert told["full"] > 0


def test_a_device_that_promises_more_than_it_has(tmp_path):
    """Thin provisioning: the file system has room, what is below it has none. The training goes on nevertheless."""
    thin = tmp_path / "thin"
    thin.mkdir()
    program = """
import os, sys, time
from pathlib import Path
from tracelet.journal import Writer
mount, thin = Path(sys.argv[1]), Path(sys.argv[2])
writer = Writer(mount / "r", {})
for step in range(10_000):
    writer.point("x", step, step)
writer.sync()
with open(thin / "ballast", "wb", buffering=0) as file:
    try:
        while True:
            file.write(os.urandom(1 << 16))
    except OSError:
        pass
for step in range(10_000, 300_000):
    writer.point("x", step, step)
    if step % 50_000 == 0:
        writer.sync()
writer.close("finished")
print("trained to the end", flush=True)
os._exit(0)
"""
    mounts.make_image(tmp_path / "image", "ext4")
    words = mounts.mounted(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", thin],
        ["cp", "--sparse=always", tmp_path / "image", thin / "image"],
        ["mkdir", "-p", tmp_path / "mount"],
        ["mount", "-o", "loop", thin / "image", tmp_path / "mount"],
    )
    done = subprocess.run(
        [*words, sys.executable, "-c", program, str(tmp_path / "mount"), str(thin)],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert "trained to the end" in done.stdout, (done.returncode, done.stderr[-1000:])


@pytest.mark.parametrize("kind", ["user", "project"])
def test_a_quota_of_ext4(tmp_path, kind):
    mounts.make_image(tmp_path / "image", "ext4-quota")
    mount = tmp_path / "mount"
    number, ident = {"user": (0, os.getuid()), "project": (2, 7)}[kind]
    told = fill(
        tmp_path,
        "",
        ["mount", "-o", "loop,usrquota,prjquota", tmp_path / "image", mount],
        ["mkdir", "-p", mount / "limited"],
        ["chattr", "-p", "7", "+P", mount / "limited"],
        [sys.executable, "-c", mounts.SET_QUOTA.replace('"', "'"), number, ident, mount, 16 << 20],
        within="mount/limited",
        run_with=mounts.without_privilege_over_quotas(),
    )
    assert told["full"] > 0


def test_a_quota_of_btrfs(tmp_path):
    mounts.make_image(tmp_path / "image", "btrfs")
    if shutil.which("btrfs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        pytest.skip("btrfs is not installed")
    mount = tmp_path / "mount"
    told = fill(
        tmp_path,
        "",
        ["mount", "-o", "loop,commit=1", tmp_path / "image", mount],
        ["btrfs", "-q", "quota", "enable", mount],
        ["sh", "-c", f"test -d {mount}/limited || btrfs -q subvolume create {mount}/limited"],
        ["btrfs", "-q", "qgroup", "limit", "32M", mount / "limited"],
        within="mount/limited",
    )
    assert not told["mapped"]
    assert told["full"] > 0


def test_the_folder_alone_says_whether_it_is_mapped(tmp_path):
    """``doctor`` asks before there is a segment; the answer is the one that a run will get."""
    mounts.make_image(tmp_path / "image", "xfs-reflink")
    (tmp_path / "mount").mkdir()
    words = mounts.mounted(["mount", "-o", "loop", tmp_path / "image", tmp_path / "mount"])
    program = (
        "import sys; from pathlib import Path; from tracelet.journal.writing.filesystem import mapping_is_safe\n"
        "print(mapping_is_safe(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [*words, sys.executable, "-c", program, str(tmp_path / "mount")], capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr
    assert mapping_is_safe(Path("/proc")) is False


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("xfs-reflink", "loop", "can share blocks (reflink)"),
        ("btrfs", "loop", "copy-on-write"),
        ("btrfs", "loop,compress=zstd", "compresses"),
        ("ext4", "loop", "journals are mapped"),
    ],
)
def test_the_doctor_says_why_a_journal_is_not_mapped(tmp_path, kind, options, reason):
    mounts.make_image(tmp_path / "image", kind)
    (tmp_path / "mount").mkdir()
    words = mounts.mounted(["mount", "-o", options, tmp_path / "image", tmp_path / "mount"])
    done = subprocess.run(
        [*words, sys.executable, "-m", "tracelet", "doctor", "--dir", str(tmp_path / "mount")],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "400"},
    )
    assert reason in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nfs4", "nfs4 is a network file system"),
        ("cifs", "network"),
        ("fuse.sshfs", "FUSE"),
        ("fuseblk", "FUSE"),
        ("zfs", "copy-on-write"),
        ("minix", "not known"),
        (None, "cannot be found out"),
    ],
)
def test_the_reason_for_file_systems_that_cannot_be_mounted_here(kind, reason):
    assert reason in filesystem._why_not_kind(kind, "rw")
