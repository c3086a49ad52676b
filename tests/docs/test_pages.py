"""Every page does what it shows, and leads where it says."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNER = Path(__file__).with_name("page.py")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]+\]\((?!https?:|#)([^)#\s]+)[^)]*\)")

# The examples of the hooks are no whole programs; test_hooks_page.py holds them to the hookspecs.
PROGRAMS = [page for page in PAGES if page.name != "hooks.md"]


def name_of(page: Path) -> str:
    """Return what a test calls a page."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PROGRAMS, ids=name_of)
def test_the_examples_run(page, project):
    project.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    project.write("page.py", RUNNER.read_text())
    project.python("page.py", page, timeout=120)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_lead_somewhere(page):
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing
