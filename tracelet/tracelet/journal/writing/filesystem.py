"""Is mapping files safe where the run's folder lives?

On a local file system that preallocates, a store into a mapped file always has its block. Elsewhere
(network, FUSE, unknown) a full disk would be a SIGBUS, so the journal uses plain writes there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

SAFE = frozenset({"ext4", "xfs", "btrfs", "tmpfs", "overlay"})
_OCTAL = re.compile(r"\\([0-7]{3})")


def mapping_is_safe(folder: Path) -> bool:
    """Say whether the journal may map files in a folder (which need not exist yet)."""
    return hasattr(os, "posix_fallocate") and file_system(folder) in SAFE


def file_system(folder: Path) -> str | None:
    """Return the type of the file system that holds a folder, or None where that cannot be told."""
    try:
        mounts = list(_mounts(Path("/proc/self/mountinfo").read_text(errors="surrogateescape")))
    except OSError:
        return None
    path = os.path.realpath(folder)
    found = [(len(point), order, kind) for order, (point, kind) in enumerate(mounts) if _holds(point, path)]
    return max(found)[2] if found else None


def _mounts(table: str) -> Iterator[tuple[str, str]]:
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        yield _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields.split(" ")[4]), rest.split(" ")[0]


def _holds(mount_point: str, path: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
