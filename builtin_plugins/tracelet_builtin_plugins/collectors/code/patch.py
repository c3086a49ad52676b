"""A patch that turns the commit into what the program ran with."""

from __future__ import annotations

import fnmatch
import os
from typing import Final, NamedTuple

from tracelet_builtin_plugins.git import ask_git
from tracelet_hookspecs import mask_text

#: Untracked files that usually hold secrets: never read.
SECRET_FILES: Final = (
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "id_*",
    ".netrc",
    ".pypirc",
    "*credentials*",
    "*secret*",
)
_MOST_FILES: Final = 200  # untracked files in the patch
_BINARY: Final = 8000  # bytes in which git looks for a zero byte


class Patch(NamedTuple):
    """The patch, for ``git apply``, and what it lacks."""

    data: bytes
    left_out: list[str]


def make_patch(folder: str, *, timeout: float, untracked_limit: int, limit: int) -> Patch:
    """Return the difference between the last commit and the files in a repository, untracked ones included.

    Raises ``RuntimeError`` with git's own message if there is no repository or no commit.
    """
    top = (
        ask_git(folder, timeout, "rev-parse", "--show-toplevel")
        .decode("utf-8", "surrogateescape")
        .rstrip("\n")
    )
    parts = [ask_git(top, timeout, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD")]
    left_out: list[str] = []
    if untracked_limit > 0:
        listing = ask_git(top, timeout, "ls-files", "--others", "--exclude-standard", "-z")
        names = [name for name in listing.decode("utf-8", "surrogateescape").split("\0") if name]
        for name in names[:_MOST_FILES]:
            added = _untracked(top, name, untracked_limit)
            if isinstance(added, bytes):
                parts.append(added)
            else:
                left_out.append(f"{name} left out: {added}")
        if len(names) > _MOST_FILES:
            left_out.append(f"{len(names) - _MOST_FILES} untracked files left out")
    data = mask_lines(b"".join(parts))
    if len(data) > limit:
        return Patch(b"", [f"the patch has {len(data)} bytes, more than {limit}"])
    return Patch(data, left_out)


def _untracked(top: str, name: str, limit: int) -> bytes | str:
    """Return a patch that adds a file, or the reason why there is none."""
    path = os.path.join(top, name)
    base = os.path.basename(name).lower()
    if any(fnmatch.fnmatchcase(base, pattern) for pattern in SECRET_FILES):
        return "it may hold secrets"
    if os.path.islink(path) or not os.path.isfile(path):
        return "not a regular file"
    if os.path.getsize(path) > limit:
        return f"larger than {limit} bytes"
    with open(path, "rb") as file:
        data = file.read(limit)
    if b"\0" in data[:_BINARY]:
        return "binary"
    lines = data.split(b"\n")
    ends = lines[-1] == b""
    lines = lines[:-1] if ends else lines
    quoted = name.encode("utf-8", "surrogateescape")
    head = b"diff --git a/%b b/%b\nnew file mode 100644\n--- /dev/null\n+++ b/%b\n" % (quoted, quoted, quoted)
    if not lines:
        return b"diff --git a/%b b/%b\nnew file mode 100644\n" % (quoted, quoted)
    body = b"@@ -0,0 +1,%d @@\n" % len(lines) + b"".join(b"+" + line + b"\n" for line in lines)
    return head + body + (b"" if ends else b"\\ No newline at end of file\n")


def mask_lines(data: bytes) -> bytes:
    """Return text with secrets masked, line by line."""
    if not data:
        return data
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return "\n".join(map(mask_text, lines)).encode("utf-8", "surrogateescape")
