"""The recipes of docs/lake.md that need no cluster, run against a lake."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "lake.md").read_text(encoding="utf-8")
RECIPES = PAGE.partition("## Recipes")[2]
RUN = "20260924-101500-4f2a"


def recipe(words: str, root: Path) -> str:
    """Return the block of the page that contains these words, for the lake of the test."""
    (block,) = [block for block in re.findall(r"```text\n(.*?)```", RECIPES, re.DOTALL) if words in block]
    return block.replace("s3://team/experiments", str(root / "lake"))


@pytest.fixture
def root(folder, project):
    root = project(folder.table)
    program = (
        f"import tracelet\nwith tracelet.start_run('r', run_id='{RUN}', plugins=['no:system', 'no:gpu']) as run:\n"
        "    run.log_params({'lr': 0.1})\n"
        "    for step in range(20): run.log({'loss': 1 / (step + 1), 'other': step}, step=step)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return root


def test_the_recipes_find_what_was_recorded(root):
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb: pip install 'tracelet[lake]'")
    rows = duckdb.sql(recipe("QUALIFY", root)).fetchall()
    assert rows == [(step, 1 / (step + 1)) for step in range(20)]
    ((found, *_, best),) = duckdb.sql(recipe("read_json", root)).fetchall()
    assert (found, best) == (RUN, 0.05)

    space: dict = {}
    exec(recipe("pyarrow.dataset", root), space)
    assert sorted(space["loss"].column("step").to_pylist()) == list(range(20))

    pytest.importorskip("polars", reason="needs polars: pip install polars")
    space = {}
    exec(recipe("import polars", root), space)
    assert sorted(space["loss"]["value"].to_list()) == sorted(1 / (step + 1) for step in range(20))
