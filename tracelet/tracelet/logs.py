"""The loggers of tracelet: a log handler that raises must not end what logs."""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from typing import Any


def get_logger(name: str) -> logging.Logger:
    """Return the logger of that name, made safe: an exception of a handler or filter does not reach the caller.

    ``logging`` itself raises ``ValueError`` from a warning if ``sys.stderr`` is closed, and a handler of the program
    can raise anything. A report of tracelet is never worth the training or the thread that it comes from.
    """
    logger = logging.getLogger(name)
    if not isinstance(vars(logger).get("handle"), _SafeHandle):
        vars(logger)["handle"] = _SafeHandle(logger.handle)
    return logger


class _SafeHandle(partial[None]):
    """``Logger.handle`` without its exceptions."""

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        with contextlib.suppress(Exception):
            super().__call__(*arguments, **keywords)
