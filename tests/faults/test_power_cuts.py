"""A power cut, simulated: the image of a mounted file system is copied at a random moment, and the copy is mounted.

The image lies on an xfs with reflink, so that a copy is of one moment. What is in the copy is what the disk had then.
"""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("faults_mounts", Path(__file__).with_name("mounts.py"))
mounts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mounts)

pytestmark = pytest.mark.slow

CUTS = 5

# Records, cuts the power at random moments, and says at each what must have survived.
PROGRAM = """
import json, os, sys, threading, time, tracelet
outer, inner, moments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
run = tracelet.start_run("cut", run_id="cut", dir=inner + "/data", plugins=["no:system", "no:environment", "no:gpu"])
recorded = durable = 0
files = 0
def record():
    global recorded, durable, files
    count = 0
    while not stop:
        for _ in range(20):
            run.log({"x": count, "y": -count}, step=count)
            run.log_metric("z", count, count)
            count += 1
        times.append((time.monotonic(), count))
        time.sleep(0.005)
        if count % 400 == 0:
            with open(inner + "/weights", "w") as file:
                file.write("weights" * count)
            run.log_artifact(inner + "/weights", f"at{count}")
            run.log_text("note", "text" * count, step=count)
            run.flush(durable=True)
            durable, files = count, files + 1
stop, times = False, [(time.monotonic(), 0)]
thread = threading.Thread(target=record)
thread.start()
began, told = time.monotonic(), []
for number, moment in enumerate(moments):
    time.sleep(max(0.0, began + moment - time.monotonic()))
    must = {"durable": durable, "files": files}
    now = time.monotonic()
    status = os.system(f"cp --reflink=always {outer}/image {outer}/cut{number}")
    assert status == 0
    must["old"] = max(count for when, count in times if when <= max(now - 1.0, times[0][0]))
    told.append(must)
stop = True
thread.join()
run.finish()
print(json.dumps(told), flush=True)
for number in range(len(moments)):
    at = f"{outer}/mount{number}"
    os.mkdir(at)
    assert os.system(f"mount -o {sys.argv[5]} {outer}/cut{number} {at}") == 0
    os.system(f"cp -r {at}/data {sys.argv[4]}/{number}")
    os.system(f"umount {at}")
"""


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_power_cut_costs_the_last_moment_at_most(tmp_path, kind):
    import hashlib

    import tracelet
    from tracelet.journal import Damage, read_columns, read_events

    mounts.make_image(tmp_path / "outer.image", "xfs-reflink")
    with open(tmp_path / "outer.image", "r+b") as file:
        file.truncate(3 << 30)
    subprocess.run(
        ["mkfs.xfs", *mounts.FORMAT["xfs-reflink"][1:], tmp_path / "outer.image"],
        check=True,
        env={"PATH": "/usr/sbin:/sbin:/usr/bin"},
    )
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    outer.mkdir()
    inner.mkdir()
    mounts.make_image(tmp_path / "image", kind)
    words = mounts.mounted(
        ["mount", "-o", "loop", tmp_path / "outer.image", outer],
        ["cp", "--sparse=always", tmp_path / "image", outer / "image"],
        ["mount", "-o", "loop", outer / "image", inner],
    )
    moments = sorted(random.uniform(0.5, 4.5) for _ in range(CUTS))
    program = [sys.executable, "-c", PROGRAM, outer, inner, json.dumps(moments), tmp_path]
    program.append("loop,nouuid" if kind == "xfs" else "loop")  # the original is mounted as well
    done = subprocess.run([*words, *program], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    for number, must in enumerate(json.loads(done.stdout.splitlines()[0])):
        store = tracelet.open_store(tmp_path / str(number))
        assert [record.id for record in store.runs()] == ["cut"]
        run_dir = tmp_path / str(number) / "runs" / "cut"
        damage = Damage()
        found = read_columns(run_dir, damage=damage)
        for name in "xyz":
            steps = {int(step) for step in found[name].steps}
            assert steps.issuperset(range(must["durable"])), (number, must, damage)
            assert steps.issuperset(range(must["old"])), (number, must, len(steps), damage)
            sign = -1 if name == "y" else 1
            assert all(
                value == sign * step
                for step, value in zip(found[name].steps, found[name].values, strict=True)
            )
        artifacts = [event.payload for event in read_events(run_dir) if event.type == "artifact"]
        assert len(artifacts) >= 2 * must["files"]
        for artifact in artifacts[: 2 * must["files"]]:
            for file in artifact["files"]:
                assert hashlib.sha256((run_dir / file["path"]).read_bytes()).hexdigest() == file["sha256"], (
                    file
                )
