"""Media that arrive encoded: as a file, or as the bytes of one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracelet.errors import RecordingError

#: What a file of each format starts with, and its suffix.
Signatures = Sequence[tuple[re.Pattern[bytes], str]]
_LOOKED_AT = 4096  # bytes


def is_encoded(value: Any) -> bool:
    """Whether a value is a path, the bytes of a file, or an open file."""
    return isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview)) or callable(
        getattr(value, "getvalue", None)
    )


def read_encoded(value: Any, kind: str, signatures: Signatures) -> tuple[bytes, str]:
    """Return the bytes of an encoded medium, and the suffix of its format.

    Raises:
        RecordingError: the file cannot be read, or its format is unknown.
    """
    if isinstance(value, (str, os.PathLike)):
        data, what = read_file(value, kind), str(value)
    else:
        data = bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else value.getvalue()
        what = "the bytes"
    for signature, suffix in signatures:
        if signature.match(data[:_LOOKED_AT]):
            return data, suffix
    known = ", ".join(dict.fromkeys(suffix for _, suffix in signatures))
    raise RecordingError(
        f"log_{kind}: expected one of {known}, found {what[:200]}, in none of these formats",
        reason=f"{kind}: unknown format",
    )


def read_file(path: str | os.PathLike[str], kind: str) -> bytes:
    """Return what a file holds. Raises :class:`RecordingError` if it cannot be read."""
    try:
        return Path(path).expanduser().read_bytes()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
    raise RecordingError(
        f"log_{kind}: {str(path)[:200]} cannot be read: {why}", reason=f"{kind}: unreadable file"
    )
