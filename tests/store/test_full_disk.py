"""A full disk: the runs are listed nevertheless, and the message says what is wrong."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_python

_mounts = Path(__file__).parents[1] / "faults" / "mounts.py"
_spec = importlib.util.spec_from_file_location("store_mounts", _mounts)
mounts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mounts)

PROGRAM = """
import os, shutil, sys, tempfile
from pathlib import Path
import tracelet
from tracelet.cli import main
here, has_index = Path(sys.argv[1]), sys.argv[2] == "index"
os.chdir(here)
tempfile.tempdir = str(here)  # no other disk
data = here / "data"
with tracelet.start_run("first", run_id="first", dir=data, plugins=["no:system", "no:environment", "no:gpu"]) as run:
    for step in range(300):
        run.log_metric(f"metric{step}", step, step)
if has_index:
    tracelet.open_store(data).runs()
for copy in range(10):
    shutil.copytree(data / "runs" / "first", data / "runs" / f"copy{copy}")
with open("ballast", "wb", buffering=0) as file:
    for size in (1 << 16, 1):
        try:
            while True:
                file.write(bytes(size))
        except OSError:
            pass
sys.exit(main(["runs", "--json", "--dir", str(data)]))
"""


@pytest.mark.parametrize("index", ["index", "no index"])
def test_runs_are_listed_on_a_full_disk(tmp_path, index):
    mount = tmp_path / "mount"
    mount.mkdir()
    words = mounts.mounted(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount])
    done = subprocess.run(
        ["env", f"XDG_CACHE_HOME={mount}", *words, sys.executable, "-c", PROGRAM, str(mount), index],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["runs"]) == 11
    assert "the disk is full" in done.stderr
    assert "damaged" not in done.stderr
