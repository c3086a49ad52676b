"""What the command line prints on stderr: errors, warnings and the library's log, one line each."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterable
from typing import Final, NoReturn

import click

from tracelet.errors import ConfigError, StoreError, TraceletError, UsageError

USAGE_STATUS: Final = 2  # exit status of a mistake in use
FAILURE_STATUS: Final = 1  # exit status of any other failure
LOGGER: Final = "tracelet"
HEADER_LOGGERS: Final = frozenset({"tracelet.config", "tracelet.plugins", "tracelet.run"})
SUMMARY_LOGGER: Final = "tracelet.run"  # pending records and failures at the end of a run


def report_error(error: Exception) -> int:
    """Print an error on stderr and return the exit status. Re-raises anything that is a bug in tracelet."""
    if isinstance(error, click.ClickException):
        print_message(_describe_click_error(error))
        return USAGE_STATUS
    if isinstance(error, TraceletError):
        for line in error.lines:
            print_message(line)
        return USAGE_STATUS if isinstance(error, (ConfigError, UsageError, StoreError)) else FAILURE_STATUS
    if isinstance(error, OSError) and error.strerror:
        print_message(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
        return FAILURE_STATUS
    raise error


def print_message(message: str) -> None:
    """Print a message on stderr as one line that starts with ``tracelet:``."""
    from tracelet.messages import plain
    from tracelet.secrets import redact

    text = plain(redact(" ".join(f"tracelet: {message}".split("\n"))))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def handle_broken_pipe() -> int:
    """Discard the rest of the output, because its reader is gone, and return the exit status."""
    # Without this, the data left in the buffer would raise again when Python closes the stream.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + getattr(signal, "SIGPIPE", 13)


def raise_interrupt(error: BaseException | None = None) -> NoReturn:
    """End the process the way Ctrl-C ends one: the interpreter cleans up, then dies of the signal itself.

    A shell then sees exit status 130 and also stops a loop around the command.
    """
    sys.excepthook = lambda *_: None  # the traceback was printed already, or is not wanted
    raise KeyboardInterrupt from error


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the closest known one, if any."""
    from tracelet.messages import closest

    match = closest(word, known)
    return f"; did you mean {match!r}?" if match else ""


def unknown_command(word: str, known: list[str], ctx: click.Context) -> click.UsageError:
    """Return the error for a command that does not exist."""
    hint = suggest(word, known) or f"; the commands are: {', '.join(known)}"
    return click.UsageError(f"no command {word!r} in '{ctx.command_path}'{hint}")


def _describe_click_error(error: click.ClickException) -> str:
    message = error.format_message()
    ctx = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        known = [name for param in ctx.command.params for name in param.opts] if ctx else []
        message = f"no option {error.option_name!r}{suggest(error.option_name, known)}"
    message = message.strip().rstrip(".").replace("\n", " ")
    message = message[:1].lower() + message[1:]
    return message + (f" (try '{ctx.command_path} --help')" if ctx else "")


class LogPrinter(logging.Handler):
    """Prints the library's log on stderr, one line per record.

    Records that arrive before the header is printed are held back, because the header reports some of them.
    If the program has set up logging itself, the records appear there and are not printed twice.
    """

    def __init__(self, *, verbose: bool, summary: bool) -> None:
        super().__init__(logging.WARNING)
        self._verbose = verbose
        self._summary = summary
        self._printing = False
        self._held: list[logging.LogRecord] = []

    def print_held(self) -> None:
        """Print the records held back so far, and from now on each record as it arrives."""
        self._printing = True
        for record in self._held:
            self.emit(record)
        self._held.clear()

    def emit(self, record: logging.LogRecord) -> None:
        """Print the first line of a record, or all of it if tracebacks are wanted."""
        if not self._printing:
            if record.name not in HEADER_LOGGERS:
                self._held.append(record)
            return
        in_summary = self._summary and record.name == SUMMARY_LOGGER
        if in_summary or logging.getLogger().handlers:
            return
        message = record.getMessage()
        for line in message.splitlines() if self._verbose else message.splitlines()[:1]:
            print_message(line)


def install_log_printer(*, verbose: bool = False, summary: bool = False) -> LogPrinter:
    """Print what the library logs. ``summary`` says whether a summary will be printed at the end."""
    _remove_log_printers()
    printer = LogPrinter(verbose=verbose, summary=summary)
    logging.getLogger(LOGGER).addHandler(printer)
    return printer


def silence_logging() -> None:
    """Keep the library's log off the terminal: the command itself reports what matters."""
    _remove_log_printers()
    logging.getLogger(LOGGER).addHandler(logging.NullHandler())


def _remove_log_printers() -> None:
    logger = logging.getLogger(LOGGER)
    for handler in list(logger.handlers):
        if isinstance(handler, LogPrinter):
            logger.removeHandler(handler)
