"""What every test may use: a small real project in a folder of its own, and programs run in it for real."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# For the short passes on the oldest and newest Python: --hypothesis-profile=short
settings.register_profile("short", settings.get_profile("ci"), max_examples=20)
# For a thorough pass now and then: --hypothesis-profile=long
settings.register_profile("long", settings.get_profile("default"), max_examples=2000)

# What belongs to the machine rather than to tracelet, and would make a test depend on it.
FOREIGN = ("TRACELET_", "PYTEST_", "SLURM_", "OMPI_", "XDG_", "FORCE_COLOR", "NO_COLOR", "CLICOLOR")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """``-n auto``: two workers a core, up to eight, since many tests wait (for processes, deadlines, the disk)."""
    cores = os.cpu_count() or 1
    return max(cores, min(2 * cores, 8))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--cases``."""
    parser.addoption(
        "--cases", type=int, metavar="N", help="run at most N of the cases of each parametrized test"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For ``--cases``: of each test with more cases, keep the first, the last, and some evenly spaced between them."""
    most = config.getoption("cases")
    if most is None:
        return
    tests: dict[tuple[Any, str], list[pytest.Item]] = {}
    for item in items:
        tests.setdefault((item.parent, getattr(item, "originalname", item.name)), []).append(item)
    kept = {
        cases[round(place * (len(cases) - 1) / max(1, min(most, len(cases)) - 1))]
        for cases in tests.values()
        for place in range(min(most, len(cases)))
    }
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


class Project:
    """A folder with files, where programs run under an environment without any of the machine's habits.

    ``environ`` may be changed. A program that exits with another status than ``status`` (``None`` takes
    any) fails the test with all that it printed.
    """

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        self.environ |= {"HOME": str(home), "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}

    def write(self, name: str, text: str) -> Path:
        """Write a file (indented text is moved to the left), with the folders above it."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def run(
        self,
        *argv: str | Path,
        status: int | None = 0,
        timeout: float = 60,
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program here and wait for it."""
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=self.path,
            env={**self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
        )
        if status is not None and done.returncode != status:
            pytest.fail(
                f"{' '.join(map(str, argv))}\nexited with {done.returncode}, not {status}"
                f"\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
            )
        return done

    def python(self, *argv: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run this test's own Python: a script's name and its arguments, or ``-c`` and a program."""
        return self.run(sys.executable, *argv, **options)

    def tracelet(self, *argv: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return self.run(Path(sys.executable).with_name("tracelet"), *argv, **options)


def _make_project(base: Path) -> Project:
    path, home = base / "project", base / "home"
    path.mkdir()
    home.mkdir()
    (path / "tracelet.toml").touch()
    return Project(path, home)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a fresh project: a folder with an empty ``tracelet.toml``, and an empty home folder."""
    return _make_project(tmp_path)


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Return what makes projects that several tests share. The argument is the beginning of the folder's name."""
    return lambda name: _make_project(tmp_path_factory.mktemp(name))
