"""The edge of the command line: all text for people passes here, fitted to width, color and encoding."""

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

Part = str | Text | tuple[str, str]  # a text, plain or styled, or a pair of text and style

FIELD_LABEL: Final = 10  # columns of the label of a field
PIPED_WIDTH: Final = 100  # columns of a pipe or a file, unless COLUMNS says otherwise
STATE_STYLES: Final = {
    **dict.fromkeys(("active", "finished", "validated", "ok", "delivered"), "green"),
    **dict.fromkeys(("error", "failed", "killed"), "bold red"),
    **dict.fromkeys(("running", "loaded", "initialized"), "cyan"),
    **dict.fromkeys(("warning", "pending", "stopped", "resting"), "yellow"),
    **dict.fromkeys(("discovered", "off", "unknown", "empty"), "dim"),
}
_UNLIMITED: Final = 100_000  # columns
_GAP: Final = 3  # columns between two cells
_HEADED: Final = "    \n    \n -- \n    \n    \n    \n    \n    \n"
#: Column heads underlined, and no other lines.
HEADED: Final = Box(_HEADED.replace("-", "─"))
HEADED_ASCII: Final = Box(_HEADED, ascii=True)


class EscapingStream:
    """Writes to a text stream and escapes what its encoding lacks: a Greek name must not make a command fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    @property
    def encoding(self) -> str:
        """The encoding of the stream below."""
        return self._encoding

    def write(self, text: str) -> int:
        """Write a text, escaping the characters that cannot be encoded."""
        self._stream.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding))
        return len(text)

    def flush(self) -> None:
        """Pass everything on to the operating system."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream below is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()


class _PipeAwareConsole(Console):
    """Raises on a closed pipe, as the rest of Python does, instead of ending the process."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Screen:
    """Prints to a stream as its terminal allows: colors, Unicode, width. A pipe gets whole lines without colors.

    Every text is made safe on the way (:func:`safe_text`), so callers pass names and values as they were recorded.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.console = _PipeAwareConsole(
            file=cast("TextIO", EscapingStream(self._stream)),
            highlight=False,
            markup=False,
            emoji=False,
            color_system=None if os.environ.get("NO_COLOR") else "auto",
        )
        self._piped = not self._stream.isatty()
        self.unlimited = self._piped and not os.environ.get("COLUMNS")  # lines may be of any length
        if self.unlimited:
            self.console.width = PIPED_WIDTH
        self._separated = True  # whether the last line printed was empty or a rule

    @property
    def ascii_only(self) -> bool:
        """Whether the stream can show ASCII only."""
        return not self.console.encoding.lower().startswith("utf")

    @property
    def dot(self) -> str:
        """The separator between items of equal rank."""
        return "|" if self.ascii_only else "·"

    @property
    def dash(self) -> str:
        """The mark for a missing value."""
        return "-" if self.ascii_only else "\N{EN DASH}"

    @property
    def field_width(self) -> int:
        """The columns for the value of a field."""
        return _UNLIMITED if self.unlimited else self.console.width - FIELD_LABEL - 2

    def line(self, *parts: Part, indent: int = 0) -> None:
        """Print the parts on one line, which wraps if it is too long."""
        self._print(Padding(self._join(*parts), (0, 0, 0, indent), expand=False))

    def verbatim(self, text: str) -> None:
        """Print a text as it is, each line whole; control characters are made safe."""
        self._separated = False
        self.console.print(Text(text.replace("\t", "    ")), soft_wrap=True)

    def show(self, renderable: RenderableType) -> None:
        """Print something made of safe texts."""
        self._print(renderable)

    def rule(self, *parts: Part, style: str = "dim") -> None:
        """Print a line across the screen with a title near its left end."""
        self._separated = True
        mark = "-" if self.ascii_only else "─"
        text = self._join(*parts)
        if not text:
            self.console.print(Text(mark * self.console.width, style), no_wrap=True)
            return
        rest = self.console.width - text.cell_len - 4
        title = Text(f"{mark * 2} ", style) + text
        if rest > 0:
            self.console.print(title + Text(f" {mark * rest}", style), no_wrap=True, crop=False)
        else:
            self.console.print(title)

    def field(self, label: str, *parts: Part, width: int = FIELD_LABEL, style: str = "dim") -> None:
        """Print a label and its value; further lines of the value are indented as far.

        A label longer than ``width`` is never cut: its value follows on the same line.
        """
        name = self._join((label, style))
        if name.cell_len > width:
            self.line(name, "  ", *parts)
            return
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=width, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(name, self._join(*parts))
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
    ) -> list[str]:
        """Print a table and return the heads of the columns that were left out.

        ``right`` names the right-aligned columns, ``whole`` those that never wrap, and ``optional`` those that are
        left out, in this order, if the screen is too narrow for all.
        """
        table = Table(
            box=HEADED_ASCII if self.ascii_only else HEADED,
            header_style="bold",
            border_style="dim",
            padding=(0, 1),
            pad_edge=False,
            show_edge=False,
        )
        cells = [[self._join(cell) for cell in row] for row in rows]
        shown = self._choose_columns(heads, cells, optional, self.console.width - indent)
        right, whole = set(right), set(whole)
        for head in (heads[at] for at in shown):
            keep = head in whole or head in right
            table.add_column(
                self._join(head), justify="right" if head in right else "left", no_wrap=keep, overflow="fold"
            )
        for row in cells:
            table.add_row(*[row[at] for at in shown])
        self._print(Padding(table, (0, 0, 0, indent), expand=False))
        return [head for at, head in enumerate(heads) if at not in shown]

    def fits(self, heads: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> bool:
        """Whether a table needs no more than the screen's width."""
        return self.unlimited or sum(self._measure(heads, rows)) <= self.console.width + _GAP

    def fit_columns(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str | Text]],
        optional: Iterable[str],
        *,
        indent: int = 0,
        reserve: int = 0,
    ) -> int:
        """Return the width left for the last column once optional ones made way for at least ``reserve``."""
        if self.unlimited:
            return _UNLIMITED
        widths = dict(zip(heads, self._measure(heads, rows), strict=True))
        widths.pop(heads[-1])
        room = self.console.width - indent - sum(widths.values())
        for head in optional:
            if room >= reserve:
                break
            room += widths[head]
        return room

    def _choose_columns(
        self, heads: Sequence[str], rows: list[list[Text]], optional: Iterable[str], width: int
    ) -> list[int]:
        """Return the positions of the columns that fit."""
        widths = self._measure(heads, rows)
        shown = list(range(len(heads)))
        for head in () if self.unlimited else optional:
            if sum(widths[at] for at in shown) <= width + _GAP:
                break
            if places := [at for at in shown if heads[at] == head]:
                shown.remove(places[-1])
        return shown

    def problem(self, text: str, *, label: str = "warning", style: str = "yellow") -> None:
        """Print something that needs attention."""
        self.line((f"{label}: ", f"bold {style}"), text)

    def blank(self) -> None:
        """Print an empty line, unless the last line already separates."""
        if not self._separated:
            self.console.print()
        self._separated = True

    def flush(self) -> None:
        """Pass everything on to the operating system."""
        self._stream.flush()

    def _join(self, *parts: Part) -> Text:
        """Join parts into one text of characters that the stream can show, so that their width is known."""
        return safe_text(join_parts(*parts), self.console.encoding)

    def _measure(self, heads: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> list[int]:
        """Return the natural width of each column, with the gap after it."""
        widths = [self._join(head).cell_len for head in heads]
        for row in rows:
            widths = [max(width, self._join(cell).cell_len) for width, cell in zip(widths, row, strict=True)]
        return [width + _GAP for width in widths]

    def _print(self, renderable: RenderableType) -> None:
        self._separated = False
        if not self._piped:
            self.console.print(renderable)
            return
        usual = self.console.width
        if self.unlimited:
            wide = self.console.options.update(max_width=_UNLIMITED)
            self.console.width = max(usual, Measurement.get(self.console, wide, renderable).maximum)
        try:
            with self.console.capture() as captured:
                self.console.print(renderable)
        finally:
            self.console.width = usual
        lines = captured.get().splitlines()
        self.console.file.write("".join(f"{line.rstrip()}\n" for line in lines))


def styled_text(text: str, style: str = "") -> Text:
    """Return a styled text with its control characters escaped, some of which ``Text`` itself would drop."""
    return Text(plain(text), style)


def safe_text(text: str | Text, encoding: str = "utf-8") -> Text:
    """Return a text in which every character that a terminal could obey (C0, C1, bidi controls) is escaped.

    So are the characters that ``encoding`` lacks. Names and values come from run folders that someone else may have
    written, so nothing reaches the screen without passing here.
    """
    if isinstance(text, str):
        text = styled_text(text)
    if text.plain.isprintable() and _can_encode(text.plain, encoding):
        return text
    console = Console()
    styled = [
        (_escape(char, encoding), text.get_style_at_offset(console, at)) for at, char in enumerate(text.plain)
    ]
    return Text.assemble(*styled)


def _escape(char: str, encoding: str) -> str:
    return plain(char).encode(encoding, "backslashreplace").decode(encoding)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def join_parts(*parts: Part) -> Text:
    """Return one safe text made of parts."""
    text = Text()
    for part in parts:
        text.append_text(safe_text(styled_text(*part) if isinstance(part, tuple) else part))
    return text


def shorten_text(text: str | Text, longest: int, mark: str) -> Text:
    """Return a text without its middle if it takes more columns than ``longest``; ``mark`` stands for the middle."""
    text = safe_text(text)
    if text.cell_len <= longest:
        return text
    end = max(1, (longest - len(mark)) * 2 // 5)
    start = max(1, longest - len(mark) - end)
    head, tail = text.copy(), text.copy()
    head.truncate(start)
    while tail.cell_len > end:
        tail = tail[1:]
    return head.append(mark, "dim").append_text(tail)


def state_text(word: str) -> Text:
    """Return a state or an outcome in its color."""
    return Text(word, STATE_STYLES.get(word, ""))
