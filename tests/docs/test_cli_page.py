"""The reference of the command line says what the commands say."""

from __future__ import annotations

import runpy
from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_the_page_is_what_the_commands_say():
    fresh = runpy.run_path(str(REFERENCE / "make_cli.py"))["page"]()
    assert (REFERENCE / "cli.md").read_text() == fresh, "run: python docs/reference/make_cli.py"
