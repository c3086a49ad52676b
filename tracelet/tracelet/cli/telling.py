"""What the library's log says while a program runs, for people: a line each, on stderr."""

from __future__ import annotations

import logging
from typing import Final

from tracelet.cli.mistakes import tell

LOGGER: Final = "tracelet"
TOLD_IN_HEADER: Final = frozenset({"tracelet.config", "tracelet.plugins", "tracelet.run"})
TOLD_IN_SUMMARY: Final = "tracelet.run"  # what is due, what failed as the run ended


class Listener(logging.Handler):
    """Keeps what is logged until the header has been printed (which says some of it), then tells it as it comes.

    Where the program has set up logging of its own, the records show up there and are not told twice.
    """

    def __init__(self, *, verbose: bool, summary: bool) -> None:
        super().__init__(logging.WARNING)
        self._verbose = verbose
        self._summary = summary
        self._speaks = False
        self._kept: list[logging.LogRecord] = []

    def speak(self) -> None:
        """Tell what was kept, and what comes from now on."""
        self._speaks = True
        for record in self._kept:
            self.emit(record)
        self._kept.clear()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record: its first line, or all of it where tracebacks are wanted."""
        if not self._speaks:
            if record.name not in TOLD_IN_HEADER:
                self._kept.append(record)
            return
        told_later = self._summary and record.name == TOLD_IN_SUMMARY
        if told_later or logging.getLogger().handlers:
            return
        message = record.getMessage()
        for line in message.splitlines() if self._verbose else message.splitlines()[:1]:
            tell(line)


def listen(*, verbose: bool, summary: bool) -> Listener:
    """Take over what the library logs; ``summary`` says that one will be printed."""
    listener = Listener(verbose=verbose, summary=summary)
    logging.getLogger(LOGGER).addHandler(listener)
    return listener


def hush() -> None:
    """Keep what the library logs off the terminal: the command says it in its own way."""
    logging.getLogger(LOGGER).addHandler(logging.NullHandler())
