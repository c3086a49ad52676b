"""The terminal capture in the README is what the command prints, but for times, sizes and ids."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAPTURE = re.compile(r"<!-- capture: tracelet ([^>]+) -->\n```text\n(.*?)```", re.S)


def normalize(text: str) -> list[str]:
    """Return the lines of an output without what differs from one run of the command to the next."""
    text = re.sub(r"\d{8}-\d{6}-\w{6}", "ID", text)
    text = re.sub(r", [\d.]+% of the program's time", "", text)
    text = re.sub(r"\d[\d. ]* (ms|s|min \d+ s)\b", "TIME", text)
    text = re.sub(r"[▁-█][▁-█ ]*", "TREND", text)
    text = re.sub(r"\d[\d.]*( \d{3})*", "0", text)
    text = re.sub(
        r"^plugins .*?─", "plugins\n─", text, flags=re.M | re.S
    )  # a machine with a GPU has one more
    text = re.sub(r"^(gpu|page) .*\n", "", text, flags=re.M)  # of a machine with a GPU, with the extra ui
    text = re.sub(r"^root +.*$", "root", text, flags=re.M)
    text = re.sub(r"─+", "─", text).replace("darwin", "linux")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_capture_is_what_the_command_prints(project):
    pytest.importorskip("sklearn")
    [(words, capture)] = CAPTURE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    folder = project.path / "tracelet"
    shutil.copytree(ROOT / "docs" / "examples", folder / "docs" / "examples")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (project.path / "tracelet.toml").unlink()
    project.path = folder
    project.environ["HOME"] = str(folder.parent)  # the root is then as short as in the README
    done = project.tracelet(*words.split(), environ={"COLUMNS": "80"})
    assert normalize(done.stdout) == normalize(capture)
