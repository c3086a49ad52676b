"""Is it safe to map files in the folder of a run?

A store into a mapped page without a block on the disk raises SIGBUS, which kills the program. So a segment is
mapped only if every block reserved for it remains its own. That holds on local file systems that preallocate
and overwrite in place. It does not hold on network and FUSE file systems, nor if files can share blocks:
after a snapshot or ``cp --reflink``, on btrfs and on xfs with reflink, overwriting a block takes a new one.
The journal uses plain writes there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tracelet.safe_files import Descriptor

#: Local file systems whose locks and preallocation can be relied on.
SAFE = frozenset({"ext4", "xfs", "btrfs", "tmpfs", "overlay"})
_OVERWRITES = SAFE - {"btrfs"}  # these overwrite in place, unless files can share blocks
_OCTAL = re.compile(r"\\([0-7]{3})")
_CLONE = 0x40049409  # FICLONE of Linux
_CANNOT_CLONE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS)


def mapping_is_safe(folder: Path) -> bool:
    """Say whether the journal may map files in a folder (which need not exist yet)."""
    if not hasattr(os, "posix_fallocate") or file_system(folder) not in _OVERWRITES:
        return False
    with contextlib.suppress(
        OSError, AttributeError
    ):  # no folder, or unnamed files are unsupported: the segment's own file is tested later
        probe = Descriptor(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
        return not probe.call(can_share_blocks)
    return True


def can_share_blocks(number: int) -> bool:
    """Say whether the file system of an open file can share blocks between files."""
    try:
        fcntl.ioctl(number, _CLONE, number)  # with itself, which changes nothing
    except OSError as error:
        return error.errno not in _CANNOT_CLONE
    return True


def file_system(folder: Path) -> str | None:
    """Return the type of the file system that holds a folder, or None if unknown."""
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
