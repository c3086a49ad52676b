"""The page of authors' mistakes says what tracelet says: each row is made again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.slow
def test_every_row_is_what_tracelet_says(tmp_path):
    copy = tmp_path / "make_mistakes.py"
    copy.write_text((REFERENCE / "make_mistakes.py").read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run([sys.executable, str(copy)], check=True, timeout=150)
    made = (tmp_path / "mistakes.md").read_text(encoding="utf-8").splitlines()
    page = (REFERENCE / "mistakes.md").read_text(encoding="utf-8").splitlines()
    assert made == page, "run: python docs/reference/make_mistakes.py"
    assert not [line for line in made if line.endswith("|  |")]
