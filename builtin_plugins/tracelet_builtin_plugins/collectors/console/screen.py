"""What a terminal would show of a stream: progress bars in their last state, without colors.

Used by the separate process, so it imports nothing but the standard library.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

LIVE_ROWS: Final = 50  # rows that the cursor can return to, as on a terminal of this height
LONGEST: Final = 10_000  # characters of a line that are kept
_MOST_COLUMNS: Final = 100_000  # a cursor that is sent further stays there
#: A control sequence (ECMA-48, 5.4), an operating system command, another escape sequence, or a control character.
_CONTROL: Final = re.compile(
    r"\x1b\[(?P<arguments>[0-?]*)[ -/]*(?P<final>[@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b[ -/]*[0-Z\\^-~]|(?P<single>[\x00-\x1f\x7f-\x9f])"
)
#: A sequence that is not complete yet: the rest comes with the next bytes.
_INCOMPLETE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]*)?\Z")
_LONGEST_SEQUENCE: Final = 4096


class Row:
    """A row of the screen, and when it was printed to last (seconds since the epoch)."""

    __slots__ = ("cells", "time")

    def __init__(self, time: float) -> None:
        self.cells: list[str] = []
        self.time = time

    def text(self) -> str:
        """Return what is to be read there."""
        more = len(self.cells) - LONGEST
        text = "".join(self.cells[:LONGEST]).rstrip()
        return f"{text} ... ({more} more characters)" if more > 0 else text


Line = tuple[float, str]


class Screen:
    """The last rows of a terminal. Rows that scroll out of it are finished lines, each with its time."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._time = 0.0
        self._rows = [Row(0.0)]
        self._row = self._column = 0

    def feed(self, data: bytes, time: float, *, final: bool = False) -> Iterator[Line]:
        """Take in what was printed at a time, and yield the lines that cannot change any more."""
        self._time = time
        text = self._rest + self._decoder.decode(data, final)
        self._rest = ""
        if not final and (cut := _INCOMPLETE.search(text, max(0, len(text) - _LONGEST_SEQUENCE))):
            text, self._rest = text[: cut.start()], cut.group()
        position = 0
        for control in _CONTROL.finditer(text):
            self._print(text[position : control.start()])
            position = control.end()
            self._obey(control)
            yield from self._scroll()
        self._print(text[position:])

    def live(self) -> list[Line]:
        """Return the rows that may still change, without the empty ones at the end."""
        rows = [(row.time, row.text()) for row in self._rows]
        while rows and not rows[-1][1]:
            rows.pop()
        return rows

    def finish(self) -> list[Line]:
        """Return the rest, and begin with an empty screen."""
        lines = [*self.feed(b"", self._time, final=True), *self.live()]
        self._rows, self._row, self._column = [Row(self._time)], 0, 0
        return lines

    def _print(self, text: str) -> None:
        if not text:
            return
        row = self._rows[self._row]
        row.time = self._time
        if self._column > len(row.cells):
            row.cells.extend(" " * (self._column - len(row.cells)))
        row.cells[self._column : self._column + len(text)] = text
        self._column += len(text)

    def _obey(self, control: re.Match[str]) -> None:
        single = control["single"]
        if single == "\n":
            self._move(rows=1, column=0)
        elif single == "\r":
            self._column = 0
        elif single == "\b":
            self._column = max(0, self._column - 1)
        elif single == "\t":
            self._column += 8 - self._column % 8
        elif control["final"]:
            self._obey_sequence(control["final"], control["arguments"])

    def _obey_sequence(self, final: str, arguments: str) -> None:
        numbers = [int(each) for each in arguments.split(";") if each.isdigit()]
        count = min(max(1, numbers[0] if numbers else 1), _MOST_COLUMNS)
        if final in "AF":
            self._move(rows=-count, column=0 if final == "F" else self._column)
        elif final in "BE":
            self._move(rows=count, column=0 if final == "E" else self._column)
        elif final == "C":
            self._column = min(self._column + count, _MOST_COLUMNS)
        elif final == "D":
            self._column = max(0, self._column - count)
        elif final == "G":
            self._column = count - 1
        elif final == "K":
            self._erase_line(numbers[0] if numbers else 0)
        elif final == "J":
            self._erase_display(numbers[0] if numbers else 0)

    def _move(self, rows: int, column: int) -> None:
        self._row = max(0, self._row + min(rows, LIVE_ROWS))
        while self._row >= len(self._rows):
            self._rows.append(Row(self._time))
        self._column = column

    def _erase_line(self, part: int) -> None:
        cells = self._rows[self._row].cells
        if part == 0:
            del cells[self._column :]
        elif part == 1:
            cells[: self._column + 1] = " " * min(self._column + 1, len(cells))
        elif part == 2:
            cells.clear()

    def _erase_display(self, part: int) -> None:
        if part == 0:
            self._erase_line(0)
            del self._rows[self._row + 1 :]
        elif part in (2, 3):  # what was there has been shown: it stays, and a new page begins below it
            self._row, self._column = len(self._rows), 0
            self._rows.append(Row(self._time))

    def _scroll(self) -> Iterator[Line]:
        while len(self._rows) > LIVE_ROWS:
            row = self._rows.pop(0)
            self._row -= 1
            yield row.time, row.text()
