"""What was changed of a run after it had been recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from tracelet.cli.views.formatting import format_age, format_value

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.store import RunRecord

_LABELS: Final = {"job_type": "job type"}


def format_changes(changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a label and a text for each change."""
    for key, value in changes.items():
        if key == "tags":
            for name, tag in value.items():
                yield "tag", name if tag == "" else f"{name} {format_value(tag)}"
        elif key == "untag":
            yield "untag", ", ".join(value)
        elif key == "archived":
            yield "archived", "yes" if value else "no"
        else:
            text = " ".join(str(value).split()) if key == "notes" else str(value)
            yield _LABELS.get(key, key), text or "none"


def print_edits(screen: Screen, record: RunRecord) -> None:
    """Print all edits of a run, the oldest first."""
    if not record.edits:
        return
    screen.blank()
    screen.line(("edits", "bold"))
    for edit in record.edits:
        for label, value in format_changes(edit["changes"]):
            age = format_age(edit["at"])
            screen.field(f"  {age}", (f"{label} ", "dim"), value, width=14)
