"""What the program of a run printed, as the plugin ``console`` recorded it.

docs/plugins/console.md describes the files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, overload

from tracelet import safe_files

FOLDER: Final = "console"  # in the run's folder
_FILE: Final = re.compile(r"(?P<process>.+)\.(?P<line>\d{12})\.log")
_LARGEST: Final = 1 << 28  # bytes of a file; one of ours has some megabytes
_STREAMS: Final = {"o": "stdout", "e": "stderr", "b": "both", "t": "tracelet"}


class ConsoleLine(NamedTuple):
    """A line: when it was printed (seconds since the epoch), to which stream, by which process (``HOST-PID``)."""

    time: float
    stream: str
    text: str
    process: str


class Console(Sequence[ConsoleLine]):
    """The lines that a run's processes printed, in the order of their times. ``str`` gives the text alone."""

    def __init__(self, lines: list[ConsoleLine], missing: int = 0) -> None:
        self._lines = lines
        #: The number of lines in the middle that were left out to keep to the limit.
        self.missing = missing

    @overload
    def __getitem__(self, index: int) -> ConsoleLine: ...
    @overload
    def __getitem__(self, index: slice) -> list[ConsoleLine]: ...
    def __getitem__(self, index: int | slice) -> ConsoleLine | list[ConsoleLine]:
        return self._lines[index]

    def __len__(self) -> int:
        return len(self._lines)

    def __str__(self) -> str:
        return "\n".join(line.text for line in self._lines)

    def __repr__(self) -> str:
        return f"<Console of {len(self)} lines>"


def read_console(run_dir: Path) -> Console:
    """Read what a run's processes printed. What cannot be read is left out."""
    parts: dict[str, list[tuple[int, str]]] = {}
    try:
        names = safe_files.list_folder(run_dir, FOLDER)
    except OSError:
        names = []  # nothing was recorded
    for name in sorted(names):
        if match := _FILE.fullmatch(name):
            parts.setdefault(match["process"], []).append((int(match["line"]), name))
    lines: list[ConsoleLine] = []
    missing = 0
    for process, files in parts.items():
        expected, latest = 0, 0.0
        label = process.rpartition("-")[0] or process
        for first, name in files:
            if first > expected:
                missing += first - expected
                lines.append(
                    ConsoleLine(latest, "tracelet", f"... {first - expected} lines left out ...", label)
                )
            read = list(_read_lines(run_dir, name, label))
            lines += read
            expected = first + len(read)
            latest = max([latest, *(line.time for line in read)])
    return Console(sorted(lines, key=lambda line: line.time), missing)


def _read_lines(run_dir: Path, name: str, process: str) -> Iterator[ConsoleLine]:
    try:
        data = safe_files.read_file(run_dir, f"{FOLDER}/{name}", limit=_LARGEST)
    except OSError:
        return
    for line in data.split(b"\n")[:-1]:  # the last one may be torn
        time, _, rest = line.decode("utf-8", "replace").partition("\t")
        stream, _, text = rest.partition("\t")
        try:
            at = float(time)
        except ValueError:
            continue
        if math.isfinite(at):
            yield ConsoleLine(at, _STREAMS.get(stream, "tracelet"), text, process)
