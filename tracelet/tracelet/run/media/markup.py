"""HTML: as a text, a file, or what an object shows in a notebook."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from tracelet.errors import RecordingError

_LONGEST_PATH: Final = 4096  # characters; a longer text is not looked for on the disk


def html_bytes(html: Any) -> bytes:
    """Return HTML as UTF-8.

    Takes a text, the path of a file that ends in ``.html`` or ``.htm``, or an object with ``_repr_html_`` or
    ``to_html``, as data frames and figures have.

    Raises:
        RecordingError: it is none of these.
    """
    if isinstance(html, os.PathLike) or (isinstance(html, str) and _is_path(html)):
        try:
            return Path(html).expanduser().read_bytes()
        except OSError as error:
            why = error.strerror or str(error)
        raise RecordingError(f"log_html: {html} cannot be read: {why}", reason="html: unreadable file")
    for method in ("_repr_html_", "to_html"):
        if not isinstance(html, (str, bytes)) and callable(getattr(html, method, None)):
            html = getattr(html, method)()
    if isinstance(html, (bytes, bytearray)):
        return bytes(html)
    if isinstance(html, str):
        return str.__str__(html).encode("utf-8", "backslashreplace")
    raise RecordingError(
        f"log_html: expected a text, a path or an object with _repr_html_, found {type(html).__name__}",
        reason="html: not html",
    )


def _is_path(text: str) -> bool:
    return len(text) < _LONGEST_PATH and "<" not in text and text.lower().endswith((".html", ".htm"))
