"""Changes of a run after the fact: its name, notes, tags, group, parent, and whether it is archived.

They are appended to the run's journal by a writer of their own, so a run that is recording, or compacted, or on another
machine's network share can be edited as well, and nothing is ever overwritten.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracelet.config.settings import RUN_ID_FORM, is_run_id
from tracelet.errors import JournalError, RecordingError, StoreError, UsageError
from tracelet.journal import Writer, liveness
from tracelet.journal.format import MAX_BLOB
from tracelet.journal.writing.values import plain_name
from tracelet.messages import describe_value, did_you_mean
from tracelet.safe_files import refuse_linked_folder
from tracelet.secrets import mask_recorded, redact, report_masked
from tracelet.store.details import EMPTY, UNREADABLE

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord

_LONGEST: Final = MAX_BLOB // 8  # characters of the notes: JSON may need six bytes for one
_SIMPLE: Final = (str, int, float, bool, type(None))


class Changes(NamedTuple):
    """Checked changes of a run, as they are recorded."""

    about: dict[str, Any]
    tags: dict[str, Any]
    untag: list[str]

    @classmethod
    def check(
        cls,
        record: RunRecord,
        about: Mapping[str, Any],
        tags: Mapping[str, Any] | Iterable[str] | None,
        untag: str | Iterable[str],
    ) -> Changes:
        """Check what was given, ``None`` for what stays. Raises :class:`UsageError` or :class:`StoreError`."""
        checked = {key: _check_about(key, value) for key, value in about.items() if value is not None}
        removed = list(dict.fromkeys([untag] if isinstance(untag, str) else untag))
        changes = cls(checked, _check_tags(tags), removed)
        if not any(changes):
            raise UsageError("edit: expected something to change, found nothing")
        for name in removed:
            if name in changes.tags:
                raise UsageError(f"edit: expected to set or to remove tag {name!r}, found both")
            if name not in record.tags:
                raise StoreError(
                    f"run {record.name} ({record.id}) has no tag {name!r}{did_you_mean(name, record.tags)}"
                )
        return changes


def apply_changes(record: RunRecord, changes: Changes) -> None:
    """Append changes to a run, as it has just been read.

    Raises:
        StoreError: the run cannot be read, so nobody can say what a change would apply to.
        JournalError: the change could not be written.
        UnsafeFileError: the run's folder is a symbolic link.
    """
    refuse_linked_folder(record.dir)
    if record.outcome in (EMPTY, UNREADABLE):
        why = record.problem or "has no journal yet"
        raise StoreError(f"run {record.id} cannot be edited, since it cannot be read: {why}")
    with Writer(record.dir, _facts(record)) as writer:
        if changes.about:
            writer.event("run", changes.about)
        if changes.tags:
            writer.event("tags", {"tags": changes.tags})
        if changes.untag:
            writer.event("untag", {"tags": changes.untag})
        writer.close(None)  # an edit does not say how the run went
    if liveness(record.dir, writer.id) != "ended":
        raise JournalError(
            f"run {record.id}: the change could not be written to {record.dir}; check that the disk has room and that"
            " the folder is writable"
        )


def _facts(record: RunRecord) -> dict[str, Any]:
    """Return what orders an edit after everything that it has seen, whatever this machine's clock says."""
    from math import nextafter

    processes = record.processes
    latest = max((process.last_event for process in processes), default=0.0)
    attempt = max((process.attempt for process in processes), default=0)
    return {
        "edit": True,
        "attempt": attempt,
        "after": nextafter(latest, float("inf")),
        "tracelet": sys.modules["tracelet"].__version__,
    }


def _check_about(key: str, value: Any) -> Any:
    if key == "archived":
        if not isinstance(value, bool):
            raise UsageError(f"archived: expected True or False, found {describe_value(value)}")
        return value
    if not isinstance(value, str):
        raise UsageError(f"{key}: expected a text, found {describe_value(value)}")
    return check_parent_id(value) if key == "parent" else check_about_text(key, value)


def check_about_text(key: str, value: str) -> str:
    """Return a run's name, notes, group or job type as they are recorded. Raises :class:`UsageError`."""
    if key == "notes":
        if len(value) > _LONGEST:
            raise UsageError(f"notes: expected at most {_LONGEST:,} characters, found {len(value):,}")
        return redact(value)
    if not value and key != "name":
        return ""  # none
    try:
        return plain_name(value)
    except RecordingError as error:
        raise UsageError(f"{key}: {error}") from None


def check_parent_id(value: str) -> str:
    """Return the id of a parent, or an empty text for none. Raises :class:`UsageError`."""
    if value and not is_run_id(value):
        raise UsageError(f"parent: expected the id of a run ({RUN_ID_FORM}), found {value!r}")
    return value


def _check_tags(tags: Mapping[str, Any] | Iterable[str] | None) -> dict[str, Any]:
    if tags is None:
        return {}
    given = (
        dict(tags)
        if isinstance(tags, Mapping)
        else dict.fromkeys([tags] if isinstance(tags, str) else tags, "")
    )
    checked: dict[str, Any] = {}
    for key, value in given.items():
        if not isinstance(value, _SIMPLE):
            raise UsageError(
                f"tag {key!r}: expected a text, a number or a truth value, found {describe_value(value)}"
            )
        try:
            checked[plain_name(key)] = value
        except RecordingError as error:
            raise UsageError(f"tags: {error}") from None
    if len(json.dumps(checked)) > MAX_BLOB // 2:
        raise UsageError(f"tags: expected at most {MAX_BLOB // 2:,} bytes as JSON, found more")
    masked = mask_recorded(checked)
    report_masked(masked.hidden, "tag")
    return masked.values
