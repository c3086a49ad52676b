"""Where everything that the command line says to people goes through: width, colour, encoding."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO, cast

from rich.box import Box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracelet.messages import plain

PIPED_WIDTH: Final = 100  # where nobody says how wide: a pipe or a file
STATE_STYLES: Final = {
    **dict.fromkeys(("active", "finished", "validated", "ok", "delivered"), "green"),
    **dict.fromkeys(("error", "failed", "killed"), "bold red"),
    **dict.fromkeys(("running", "loaded", "initialized"), "cyan"),
    **dict.fromkeys(("warning", "pending", "stopped", "resting"), "yellow"),
    **dict.fromkeys(("discovered", "off", "unknown"), "dim"),
}
_UNCUT: Final = 100_000  # columns
_GAP: Final = 3  # columns between two cells
_HEADED: Final = "    \n    \n -- \n    \n    \n    \n    \n    \n"
#: Column heads with a line under them, nothing else.
HEADED: Final = Box(_HEADED.replace("-", "─"))
HEADED_ASCII: Final = Box(_HEADED, ascii=True)


class Encodable:
    """Writes to a text stream, escaping what its encoding lacks: a name in Greek must not end a program."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    @property
    def encoding(self) -> str:
        """That of the stream below."""
        return self._encoding

    def write(self, text: str) -> int:
        """Write what can be written of a text as it is."""
        self._stream.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding))
        return len(text)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream below is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()


class _Console(Console):
    """Lets a closed pipe be what it is everywhere else, in place of ending the process."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Screen:
    """Prints to a stream as its terminal allows: colours, Unicode, width. A pipe gets plain, uncut lines."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.console = _Console(
            file=cast("TextIO", Encodable(self._stream)),
            highlight=False,
            markup=False,
            emoji=False,
            color_system=None if os.environ.get("NO_COLOR") else "auto",
        )
        self._piped = not self._stream.isatty()
        self._uncut = self._piped and not os.environ.get("COLUMNS")
        if self._uncut:
            self.console.width = PIPED_WIDTH
        self._apart = True  # whether an empty line would be one too many

    @property
    def ascii_only(self) -> bool:
        """Whether the stream can show ASCII only."""
        return not self.console.encoding.lower().startswith("utf")

    @property
    def dot(self) -> str:
        """What stands between things of equal rank."""
        return "|" if self.ascii_only else "·"

    @property
    def dash(self) -> str:
        """What stands where there is nothing to say."""
        return "-" if self.ascii_only else "\N{EN DASH}"

    def line(self, *parts: str | Text | tuple[str, str], indent: int = 0) -> None:
        """Print a line of texts, each plain, styled, or a pair of text and style. Long ones wrap."""
        self._print(Padding(joined(*parts), (0, 0, 0, indent), expand=False))

    def rule(self, *parts: str | Text | tuple[str, str], style: str = "dim") -> None:
        """Print a line across the screen with a title near its left end."""
        self._apart = True
        mark = "-" if self.ascii_only else "─"
        text = joined(*parts)
        if not text:
            self.console.print(Text(mark * self.console.width, style), no_wrap=True)
            return
        rest = self.console.width - text.cell_len - 4
        title = Text(f"{mark * 2} ", style) + text
        if rest > 0:
            self.console.print(title + Text(f" {mark * rest}", style), no_wrap=True, crop=False)
        else:
            self.console.print(title)

    def field(
        self, label: str, *parts: str | Text | tuple[str, str], width: int = 10, style: str = "dim"
    ) -> None:
        """Print a label and what it stands for; further lines are indented as far."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=width, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(label, style), joined(*parts))
        self._print(grid)

    def table(
        self,
        heads: Sequence[str],
        rows: Iterable[Sequence[str | Text]],
        *,
        right: Iterable[str] = (),
        whole: Iterable[str] = (),
        optional: Iterable[str] = (),
        indent: int = 0,
    ) -> None:
        """Print a table.

        ``right`` names the columns set to the right, ``whole`` those never wrapped, ``optional`` those left out,
        in this order, where the screen is too narrow for all.
        """
        table = Table(
            box=HEADED_ASCII if self.ascii_only else HEADED,
            header_style="bold",
            border_style="dim",
            padding=(0, 1),
            pad_edge=False,
            show_edge=False,
        )
        cells = [[cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row] for row in rows]
        shown = self._fitting(heads, cells, optional, self.console.width - indent)
        right, whole = set(right), set(whole)
        for head in (heads[at] for at in shown):
            keep = head in whole or head in right
            table.add_column(
                Text(head), justify="right" if head in right else "left", no_wrap=keep, overflow="fold"
            )
        for row in cells:
            table.add_row(*[row[at] for at in shown])
        self._print(Padding(table, (0, 0, 0, indent), expand=False))

    def _fitting(
        self, heads: Sequence[str], rows: list[list[Text]], optional: Iterable[str], width: int
    ) -> list[int]:
        """Return the places of the columns that there is room for."""
        widths = [
            max([len(head), *(row[at].cell_len for row in rows)]) + _GAP for at, head in enumerate(heads)
        ]
        shown = list(range(len(heads)))
        for head in () if self._uncut else optional:
            if sum(widths[at] for at in shown) <= width + _GAP:
                break
            if head in heads:
                shown.remove(list(heads).index(head))
        return shown

    def problem(self, text: str, *, label: str = "warning", style: str = "yellow") -> None:
        """Print something that somebody should look at."""
        self.line((f"{label}: ", f"bold {style}"), plain(text))

    def blank(self) -> None:
        """Print an empty line, unless what was printed last stands apart already."""
        if not self._apart:
            self.console.print()
        self._apart = True

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._stream.flush()

    def _print(self, renderable: RenderableType) -> None:
        self._apart = False
        if not self._piped:
            self.console.print(renderable)
            return
        usual = self.console.width
        if self._uncut:
            wide = self.console.options.update(max_width=_UNCUT)
            self.console.width = max(usual, Measurement.get(self.console, wide, renderable).maximum)
        try:
            with self.console.capture() as captured:
                self.console.print(renderable)
        finally:
            self.console.width = usual
        lines = captured.get().splitlines()
        self.console.file.write("".join(f"{line.rstrip()}\n" for line in lines))


def joined(*parts: str | Text | tuple[str, str]) -> Text:
    """Return one text of parts, each plain, styled, or a pair of text and style."""
    text = Text()
    for part in parts:
        if isinstance(part, tuple):
            text.append(plain(part[0]), part[1])
        else:
            text.append_text(part if isinstance(part, Text) else Text(plain(part)))
    return text


def state(word: str) -> Text:
    """Return a state or an outcome in its colour."""
    return Text(plain(word), STATE_STYLES.get(word, ""))
