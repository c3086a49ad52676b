"""What went wrong, in a line: who says it, what it is, what was probably meant, what to do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from typing import Final, NoReturn

import click

from tracelet.errors import ConfigError, StoreError, TraceletError, UsageError

USAGE: Final = 2  # exit status of a mistake in use
FAILURE: Final = 1  # exit status of anything else that went wrong


def explain(error: Exception) -> int:
    """Tell an error on stderr and return the exit status. Raises it where it is a defect of tracelet's own."""
    if isinstance(error, click.ClickException):
        tell(_click_line(error))
        return USAGE
    if isinstance(error, TraceletError):
        for line in error.lines:
            tell(line)
        return USAGE if isinstance(error, (ConfigError, UsageError, StoreError)) else FAILURE
    if isinstance(error, OSError) and error.strerror:
        tell(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
        return FAILURE
    raise error


def tell(line: str) -> None:
    """Print a line on stderr, as from ``tracelet``."""
    from tracelet.messages import plain
    from tracelet.secrets import redact

    text = plain(redact(" ".join(f"tracelet: {line}".split("\n"))))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def broken_pipe() -> int:
    """End quietly, as other programs do whose reader has gone away."""
    # What is still in the buffer would fail again when Python closes the stream.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + getattr(signal, "SIGPIPE", 13)


def interrupt(error: BaseException | None = None) -> NoReturn:
    """End as a program ends that Ctrl-C has ended: the interpreter cleans up, then dies of the signal itself.

    So a shell sees what it expects (130), and stops a loop around the command too.
    """
    sys.excepthook = lambda *_: None  # the traceback has been shown, or nobody wants one
    raise KeyboardInterrupt from error


def closest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the known one that was probably meant."""
    from tracelet.messages import closest

    meant = closest(word, known)
    return f"; did you mean {meant!r}?" if meant else ""


def unknown_command(word: str, known: list[str], ctx: click.Context) -> click.UsageError:
    """Return the error for a command that is not there."""
    hint = closest(word, known) or f"; there are: {', '.join(known)}"
    return click.UsageError(f"no command {word!r} in '{ctx.command_path}'{hint}")


def _click_line(error: click.ClickException) -> str:
    message = error.format_message()
    ctx = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        known = [name for param in ctx.command.params for name in param.opts] if ctx else []
        message = f"no option {error.option_name!r}{closest(error.option_name, known)}"
    message = message.strip().rstrip(".").replace("\n", " ")
    message = message[:1].lower() + message[1:]
    return message + (f" (try '{ctx.command_path} --help')" if ctx else "")
