"""The loggers of tracelet: a log handler that raises must not end what logs, and no record controls a terminal."""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from typing import Any


def get_logger(name: str) -> logging.Logger:
    """Return the logger of that name, made safe: an exception of a handler or filter does not reach the caller.

    ``logging`` itself raises ``ValueError`` from a warning if ``sys.stderr`` is closed, and a handler of the program
    can raise anything. A report of tracelet is never worth the training or the thread that it comes from.

    Names in records may come from a run folder that someone else made, and a log goes to terminals and other programs.
    So control characters are escaped: escape sequences, line breaks within an argument, bidirectional overrides.
    """
    logger = logging.getLogger(name)
    if not isinstance(vars(logger).get("handle"), _SafeHandle):
        vars(logger)["handle"] = _SafeHandle(logger.handle)
    return logger


class _SafeHandle(partial[None]):
    """``Logger.handle`` without its exceptions."""

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        with contextlib.suppress(Exception):
            escape_record(arguments[0])
        with contextlib.suppress(Exception):
            super().__call__(*arguments, **keywords)


def escape_record(record: logging.LogRecord) -> None:
    """Escape the control characters of a record in place. Line breaks of the message and of tracebacks are kept."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            each.replace("\n", "\\n")
            if type(each) is str and "\n" in each and not _is_traceback(each)
            else each
            for each in record.args
        )
    message = record.getMessage()
    if not _is_safe(message):
        record.msg, record.args = _escape(message), None
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is not None and not record.exc_text:
        import traceback

        text = "".join(traceback.format_exception(error)).rstrip("\n")
        if not _is_safe(text):
            record.exc_text = _escape(text)


def _is_traceback(text: str) -> bool:
    return "Traceback (most recent call last)" in text or "\n  File " in text


def _is_safe(text: str) -> bool:
    return text.isprintable() or all(line.isprintable() for line in text.replace("\t", "").split("\n"))


def _escape(text: str) -> str:
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)
