"""The page on faults names the tests that show what it promises: they are there, and none is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"tests/[\w/]+\.py", PAGE)))


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_is_there(name):
    assert (ROOT / name).is_file()


def test_the_whole_fault_suite_is_named():
    faults = [file for file in (ROOT / "tests" / "faults").glob("*.py") if file.name != "conftest.py"]
    assert {file.relative_to(ROOT).as_posix() for file in faults} <= set(NAMED)
