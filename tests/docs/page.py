"""Do what a page of the documentation shows, in the current folder, from top to bottom.

    python page.py docs/getting-started.md

- A block with a title (```` ```python title="train.py" ````) is written to that file.
- Other Python blocks of a page are run one after the other, as one program.
- ``console`` blocks: each ``$ command`` is run and has to succeed; the output shown under it, if any, has to
  come (``...`` stands for anything, and the amount of white space does not matter).
- TOML and JSON have to parse.

``<!-- not run: why -->`` before a block keeps it from being run; Python in it still has to compile.
"""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)
NOT_RUN = re.compile(r"<!-- not run: [^>]+ -->\s*\Z")
# What needs a package index is done by .ci/run and tests/downstream.
INSTALLS = re.compile(r"(\S*pip|uv|git|python3? -m (venv|build)) ")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    title: str
    text: str
    line: int
    run: bool


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks that name a language."""
    for found in FENCE.finditer(page):
        text = re.sub(f"^{found['indent']}", "", found["text"], flags=re.M)
        title = re.search(r'title="([^"]+)"', found["rest"])
        line = page.count("\n", 0, found.start()) + 2
        run = not NOT_RUN.search(page, 0, found.start())
        yield Block(found["language"], title[1] if title else "", text, line, run)


def do_python(block: Block, page: Path, names: dict[str, Any]) -> None:
    """Run a block in the page's own namespace; a traceback then points into the page."""
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec", dont_inherit=True)
    if block.run:
        exec(code, names)


def do_console(block: Block, page: Path) -> None:
    """Run the commands of a block, and compare what they print with what the page shows."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, _, expected = part.partition("\n")
        if INSTALLS.match(command):
            continue
        done = subprocess.run(
            ["bash", "-euc", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        as_shown = doctest.OutputChecker().check_output(
            expected, done.stdout, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        )
        if done.returncode or (expected.strip() and not as_shown):
            sys.exit(
                f"{page}, block at line {block.line}\n$ {command}\n"
                f"--- exit status {done.returncode}, it printed\n{done.stdout}"
                f"--- the page shows\n{expected}"
            )


def do(block: Block, page: Path, names: dict[str, Any]) -> None:
    """Do what one block shows."""
    if block.title:
        path = Path(block.title)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        do_python(block, page, names)
    elif block.language == "console" and block.run:
        do_console(block, page)
    if block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "json":
        json.loads(block.text)


def main() -> None:
    """Do what the page named on the command line shows."""
    page = Path(sys.argv[1])
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page.read_text(encoding="utf-8")):
        do(block, page, names)


if __name__ == "__main__":
    main()
