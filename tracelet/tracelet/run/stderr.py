"""Lines that a run prints on stderr."""

from __future__ import annotations

import sys

from tracelet.logs import get_logger

log = get_logger("tracelet.run")


def print_line(text: str) -> None:
    """Print a line as from ``tracelet``, safe for a terminal and without secrets. A closed stderr is no error."""
    from tracelet.messages import plain
    from tracelet.secrets import redact

    line = plain(redact(f"tracelet: {text}"))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        return


def warn(text: str) -> None:
    """Log a warning about the run's data, or print it if ``dictConfig`` has disabled existing loggers."""
    if log.disabled:
        print_line(text)
    else:
        log.warning("%s", text)
