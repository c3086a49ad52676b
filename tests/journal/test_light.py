"""What recording loads and holds: little, and no more of it over time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "asyncio",
    "attr",
    "attrs",
    "concurrent.futures",
    "ctypes",
    "dataclasses",
    "decimal",
    "email",
    "importlib.metadata",
    "inspect",
    "logging",
    "multiprocessing",
    "numpy",
    "pickle",
    "pluggy",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "uuid",
}


def run(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_recording_loads_nothing_heavy(tmp_path):
    program = """
import json, sys
before = set(sys.modules)
from pathlib import Path
from tracelet.journal import Writer
with Writer(Path(sys.argv[1]), {"run": {"id": "r"}}) as writer:
    writer.point("a", 1)
    writer.row({"a": 1, "b": {"c": 2}})
    writer.event("params", {"params": {}})
    writer.sync()
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    loaded = run(program, tmp_path / "run")
    assert HEAVY.isdisjoint(loaded)
    assert all(
        not name.startswith("tracelet.")
        or name.startswith(("tracelet.journal", "tracelet.errors", "tracelet.safe_files"))
        for name in loaded
    )
    reading = {"run_columns", "compaction", "follower", "gathering", "gathering_numpy", "source"}
    assert reading.isdisjoint(
        name.rpartition(".")[2] for name in loaded if name.startswith("tracelet.journal.")
    )


@pytest.mark.parametrize("call", ["writer.point('a', 0.5, step)", "writer.row(row, step)"])
def test_memory_stays_flat(tmp_path, call):
    """Windows that were filled are let go of. Growth is bounded by what a few of them take, not by what is recorded."""
    program = f"""
import json, sys
from pathlib import Path
from tracelet.journal import Writer

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

row = {{f"m{{place}}": 0.5 for place in range(10)}}
with Writer(Path(sys.argv[1]), {{}}) as writer:
    def record(steps):
        for step in range(steps):
            {call}
    record(20_000)
    before = resident()
    record(200_000)
    print(json.dumps([before, resident(), writer.recorded]))
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    before, after, recorded = run(program, tmp_path / "run")
    assert recorded >= 220_000
    assert after - before < 1_000_000


def test_open_files_stay_few(tmp_path):
    program = """
import json, os, sys, time
from pathlib import Path
from tracelet.journal import Writer

with Writer(Path(sys.argv[1]), {}) as writer:
    writer.point("a", 1)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(7):
        writer.event("text", {"text": "x" * 14_000_000})
        time.sleep(0.1)
    time.sleep(0.7)
    print(json.dumps([before, len(os.listdir("/proc/self/fd")), len(os.listdir(Path(sys.argv[1]) / "journal"))]))
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    before, after, segments = run(program, tmp_path / "run")
    assert segments >= 4
    assert after <= before + 5
