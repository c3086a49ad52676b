"""A project folder in which programs run for real, with nothing of the machine's habits."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

if TYPE_CHECKING:
    from tracelet.store import RunRecord

#: What belongs to the machine rather than to a project, and would make a test depend on it.
FOREIGN: Final = ("TRACELET_", "PYTEST_", "SLURM_", "OMPI_", "XDG_", "FORCE_COLOR", "NO_COLOR", "CLICOLOR")
TIMEOUT: Final = 60.0  # seconds that a program may take


class Lines:
    """The lines of an output, with matchers as pytester has them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.splitlines()

    def __str__(self) -> str:
        return self.text

    def __contains__(self, part: str) -> bool:
        return part in self.text

    def fnmatch_lines(self, patterns: str | Sequence[str]) -> None:
        """Fail unless the patterns (``*``, ``?``, ``[...]``) match lines in this order; others may be in between."""
        self._match(_as_list(patterns), fnmatch.fnmatchcase, "fnmatch")

    def re_match_lines(self, patterns: str | Sequence[str]) -> None:
        """Fail unless the regular expressions match lines in this order; others may be in between."""
        self._match(_as_list(patterns), lambda line, pattern: re.match(pattern, line) is not None, "re.match")

    def no_fnmatch_line(self, pattern: str) -> None:
        """Fail if a line matches the pattern."""
        for number, line in enumerate(self.lines, 1):
            if fnmatch.fnmatchcase(line, pattern):
                pytest.fail(f"line {number} matches {pattern!r}: {line!r}")

    def no_re_match_line(self, pattern: str) -> None:
        """Fail if a line matches the regular expression."""
        for number, line in enumerate(self.lines, 1):
            if re.match(pattern, line):
                pytest.fail(f"line {number} matches {pattern!r}: {line!r}")

    def _match(self, patterns: list[str], matches: Any, how: str) -> None:
        rest = iter(self.lines)
        for at, pattern in enumerate(patterns):
            if not any(line == pattern or matches(line, pattern) for line in rest):
                before = f" after a match of {patterns[at - 1]!r}" if at else ""
                pytest.fail(f"no line matches {pattern!r} ({how}){before}; the output is\n{self.text}")


def _as_list(patterns: str | Sequence[str]) -> list[str]:
    if isinstance(patterns, str):
        return textwrap.dedent(patterns).strip("\n").splitlines()
    return list(patterns)


@attrs.define(slots=False)
class Result:
    """What a program did: its exit status, its output, and the run that it recorded."""

    argv: list[str]
    status: int
    stdout: Lines
    stderr: Lines
    new_runs: list[str]
    data_dir: Path

    @property
    def out(self) -> Lines:
        """Standard output, as lines."""
        return self.stdout

    @property
    def err(self) -> Lines:
        """Standard error, as lines."""
        return self.stderr

    @cached_property
    def run(self) -> RunRecord:
        """The run that the program recorded. Fails unless it recorded exactly one."""
        if len(self.new_runs) != 1:
            pytest.fail(f"expected one new run, found {len(self.new_runs)}{self._output()}")
        from tracelet.store import open_store

        return open_store(self.data_dir).run(self.new_runs[0])

    def _output(self) -> str:
        streams = f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        return f"\n{' '.join(self.argv)}\n--- status {self.status}\n{streams}"


class Project:
    """A folder with files, in which programs run with a home folder and an environment of their own.

    ``environ`` may be changed. A program that exits with another status than ``status`` (``None`` takes any) fails the
    test with all that it printed.
    """

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self.home = home
        self.environ = sealed_environment(home)
        self.python = Path(sys.executable)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, with the folders above them. Text that is indented as a whole is moved to the left."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")

    def install(self, dist: str | os.PathLike[str], *options: str) -> None:
        """Install a distribution (the folder of its source, or a wheel) into an environment of the project's own.

        What is installed beside this test stays visible there. Needs pip, and what the distribution needs to be built.
        """
        if self.python == Path(sys.executable):
            self.python = _make_environment(self.path / ".venv")
        install = ("-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", *options)
        self.execute(self.python, *install, os.path.abspath(dist), timeout=300)

    def run(self, script: str | os.PathLike[str], *arguments: Any, **options: Any) -> Result:
        """Run a Python program of the project's and wait for it; ``-c`` and ``-m`` work as in Python."""
        return self.execute(self.python, script, *arguments, **options)

    def tracelet(self, *arguments: Any, **options: Any) -> Result:
        """Run the command line."""
        return self.execute(self.python, "-m", "tracelet", *arguments, **options)

    def execute(
        self,
        *argv: Any,
        status: int | None = 0,
        timeout: float = TIMEOUT,
        environ: Mapping[str, str] | None = None,
        input: str | None = None,
    ) -> Result:
        """Run any program here and wait for it."""
        words = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in argv]
        before = set(self._runs())
        done = subprocess.run(
            words,
            cwd=self.path,
            env={**self.environ, **(environ or {})},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
        )
        new = [name for name in self._runs() if name not in before]
        result = Result(words, done.returncode, Lines(done.stdout), Lines(done.stderr), new, self.data_dir)
        if status is not None and done.returncode != status:
            pytest.fail(f"expected the exit status {status}, found {done.returncode}{result._output()}")
        return result

    @property
    def data_dir(self) -> Path:
        """Where the project's runs are recorded."""
        return self.path / ".tracelet"

    def _runs(self) -> Iterable[str]:
        folder = self.data_dir / "runs"
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def make_project(folder: Path) -> Project:
    """Return a fresh project in a folder: an empty ``tracelet.toml``, and an empty home folder."""
    path, home = folder / "project", folder / "home"
    path.mkdir()
    home.mkdir()
    (path / "tracelet.toml").touch()
    return Project(path, home)


def sealed_environment(home: Path) -> dict[str, str]:
    """Return the variables of this process without those that carry a machine's habits."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    return {**kept, "HOME": str(home), "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}


def seal(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Give this process a home folder, and remove the variables that carry a machine's habits of tracelet."""
    monkeypatch.setenv("HOME", str(home))
    for key in list(os.environ):
        if key.startswith(("TRACELET_", "XDG_")):
            monkeypatch.delenv(key)


def _make_environment(folder: Path) -> Path:
    """Make a virtual environment that also sees what is installed beside this test."""
    import site
    import venv

    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    beside = [path for path in [*site.getsitepackages(), *sys.path] if path.endswith("-packages")]
    lines = [f"import site; site.addsitedir({path!r})" for path in dict.fromkeys(beside)]
    (packages / "_beside.pth").write_text("\n".join(lines) + "\n")
    return folder / "bin" / "python"
