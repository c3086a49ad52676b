"""What becomes of an input that cannot be recorded: it is left out, counted by reason, and reported once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracelet.errors import RecordingError
from tracelet.logs import get_logger

if TYPE_CHECKING:
    from tracelet.journal import Recorder

log = get_logger("tracelet.run")

_REPORTED: Final = 20  # inputs that are named, for each reason; further ones are only counted


class Refusals:
    """Leaves out what cannot be recorded, so that it never ends a training; with ``strict`` it raises."""

    def __init__(self, run_name: str, recorder: Recorder, *, strict: bool, quiet: bool) -> None:
        """Set up the account of a run.

        Args:
            run_name: what the reports call the run.
            recorder: what counts the inputs that are left out.
            strict: whether to raise.
            quiet: whether to report nothing: on a rank that does not record, and in a disabled run.
        """
        self._run_name = run_name
        self._recorder = recorder
        self._strict = strict
        self._quiet = quiet
        self._reported: dict[str, set[str]] = {}

    def add(self, what: str, error: RecordingError, count: int = 1) -> None:
        """Count an input that is left out, and report it the first time.

        Raises:
            RecordingError: the run is strict.
        """
        self._count(what, error, count)
        if self._strict:
            raise error

    def add_all(self, errors: list[tuple[str, RecordingError]]) -> None:
        """Count several inputs of one call; a strict run raises the first error once all are counted."""
        for what, error in errors:
            self._count(what, error, 1)
        if self._strict and errors:
            raise errors[0][1]

    def _count(self, what: str, error: RecordingError, count: int) -> None:
        self._recorder.drop(error.reason, count)
        if not self._strict:
            counted = 'left out and counted, see run.status()["dropped"]'
            self.report(f"{error.reason}: {what}", error.reason, f"{error}; {counted}")

    def report(self, subject: str, kind: str, text: str) -> None:
        """Log a warning, once per subject, and for a limited number of subjects of each kind."""
        known = self._reported.setdefault(kind, set())
        if self._quiet or subject in known or len(known) > _REPORTED:
            return
        known.add(subject)
        if len(known) > _REPORTED:
            text = f"more than {_REPORTED} warnings like this ({kind}); further inputs are only counted"
        text = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()  # any handler can write it
        log.warning("run %s: %s", self._run_name, text)
