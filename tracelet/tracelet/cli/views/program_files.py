"""What belongs to the program of a run: what it printed, and how its code differed from the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracelet.cli.output import show_result
from tracelet.safe_files import read_file

if TYPE_CHECKING:
    from tracelet.store import RunRecord

DIFF: Final = "artifacts/code/diff.patch"  # as the plugin `code` records it
_LARGEST: Final = 64 << 20  # bytes


def show_console(record: RunRecord) -> None:
    """Show what the program printed."""
    console = record.console()
    result = {"lines": [line._asdict() for line in console], "missing": console.missing}
    if not console:
        hint = "`tracelet run` records it by default; -p console does so elsewhere"
        show_result(lambda: result, lambda screen: screen.line((f"no output was recorded; {hint}", "dim")))
        return
    show_result(lambda: result, lambda screen: screen.verbatim(str(console)))


def show_diff(record: RunRecord) -> None:
    """Show how the code differed from the commit."""
    try:
        text = read_file(record.dir, DIFF, limit=_LARGEST).decode("utf-8", "replace")
    except FileNotFoundError:
        text = ""
    message = "no difference was recorded: the files were as committed, or there is no repository"
    show_result(
        lambda: {"diff": text or None},
        lambda screen: screen.verbatim(text.rstrip("\n")) if text else screen.line((message, "dim")),
    )
