"""How a packed file is laid out, for the writer and the reader.

It is an HTML page. What the page shows is in the script element ``tracelet-view``; the runs' files follow in the script
element ``tracelet-pack``, which a browser takes for text. There, each line is a JSON object or base64:

    tracelet-pack 1
    {"runs": ["20261129-...", ...], "files": 12, "size": 123456}
    {"run": "20261129-...", "path": "journal/....trj"}
    <base64 of the compressed file, in lines>
    {"size": 4096, "sha256": "..."}
    ...
    {"end": true, "sha256": "..."}

The last line has the digest of all JSON lines before it, so that no path or size can be damaged unseen.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final

from tracelet.errors import StoreError

VERSION: Final = 1
GENERATOR: Final = '<meta name="generator" content="tracelet pack">'  # tells a packed file from other pages
MAGIC: Final = "tracelet-pack"
OPENING: Final = '<script type="text/plain" id="tracelet-pack">'
CLOSING: Final = "</script>"
LINE: Final = 3 << 14  # bytes of a file in a line; a multiple of three, so that only the last one is padded
LONGEST: Final = 1 << 20  # characters of a line that a reader accepts
#: Folders of a run that belong to the machine it ran on: what backends there have, and who claimed which rank.
LEFT_OUT: Final = ("delivery", "ranks")
_DEEPEST: Final = 64
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def check_path(path: Any) -> str:
    """Return the path of a packed file, below the folder of its run. Raises :class:`StoreError`."""
    if not isinstance(path, str) or not path or "\0" in path or "\\" in path:
        raise StoreError(f"pack: expected the path of a file, found {path!r}")
    parts = PurePosixPath(path).parts
    is_inside = not path.startswith("/") and ".." not in parts and "/".join(parts) == path
    fits = len(parts) <= _DEEPEST and all(
        len(part.encode("utf-8", "surrogateescape")) <= 255 for part in parts
    )
    if not (is_inside and fits) or parts[0] in LEFT_OUT:
        raise StoreError(f"pack: expected the path of a file inside a run's folder, found {path!r}")
    return path


def check_digest(value: Any) -> str:
    """Return a SHA-256 as hexadecimal digits. Raises :class:`StoreError`."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise StoreError(f"pack: expected a SHA-256, found {value!r}")
    return value


def check_size(value: Any) -> int:
    """Return a number of bytes. Raises :class:`StoreError`."""
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise StoreError(f"pack: expected a number of bytes, found {value!r}")
    return value
