"""What the library's log says while a program runs, for people: a line each, on stderr."""

from __future__ import annotations

import logging

from tracelet.cli.mistakes import tell

LOGGER = "tracelet"


class Listener(logging.Handler):
    """Keeps what is logged until the header has been printed (which says the same), then tells it as it comes.

    Where the program has set up logging of its own, the records show up there and are not told twice.
    """

    def __init__(self, *, verbose: bool) -> None:
        super().__init__(logging.WARNING)
        self._verbose = verbose
        self._told = False

    def speak(self) -> None:
        """Tell what comes from now on."""
        self._told = True

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record: its first line, or all of it where tracebacks are wanted."""
        if not self._told or logging.getLogger().handlers:
            return
        message = record.getMessage()
        for line in message.splitlines() if self._verbose else message.splitlines()[:1]:
            tell(line)


def listen(*, verbose: bool = False) -> Listener:
    """Take over what the library logs."""
    listener = Listener(verbose=verbose)
    logging.getLogger(LOGGER).addHandler(listener)
    return listener
