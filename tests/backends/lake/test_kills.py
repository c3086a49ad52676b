"""Programs killed in the middle of delivery: every point arrives once. ``tests/faults/lake_kills.py`` kills more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parents[2] / "faults" / "lake_kills.py"


@pytest.mark.slow
@pytest.mark.parametrize("where", [[], ["--folder"]], ids=["bucket", "folder"])
def test_killed_programs_lose_and_repeat_nothing(where, tmp_path):
    if not where:
        pytest.importorskip("moto", reason="needs moto's S3 server: pip install 'moto[server]' s3fs")
        pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs")
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), "--kills", "6", *where], capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1].rpartition(" ")[0].rpartition(" ")[0])
    assert found["points"] > 0
    assert (found["missing"], found["changed"], found["repeated"]) == (0, 0, 0)
