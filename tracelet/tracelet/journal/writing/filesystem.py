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
_COPY_ON_WRITE = frozenset({"zfs", "bcachefs", "nilfs2", "f2fs"})
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "afs"}
    | {"ocfs2", "gfs2", "orangefs", "pvfs2", "virtiofs", "vboxsf", "vmhgfs", "davfs", "ncpfs", "coda"}
)
_OCTAL = re.compile(r"\\([0-7]{3})")
_CLONE = 0x40049409  # FICLONE of Linux
_CANNOT_CLONE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS)


def mapping_is_safe(folder: Path) -> bool:
    """Say whether the journal may map files in a folder (which need not exist yet)."""
    return why_not_mapped(folder) == ""


def why_not_mapped(folder: Path) -> str:
    """Return why the journal uses plain writes in a folder; an empty text if it may map files there."""
    if not hasattr(os, "posix_fallocate"):
        return "this system cannot reserve blocks for a file"
    kind, options = _mount_of(folder)
    if kind not in _OVERWRITES:
        return _why_not_kind(kind, options)
    with contextlib.suppress(
        OSError, AttributeError
    ):  # no folder, or unnamed files are unsupported: the segment's own file is tested later
        probe = Descriptor(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
        if probe.call(can_share_blocks):
            return (
                f"files on this {kind} can share blocks (reflink), so that overwriting one needs a new block"
            )
    return ""


def _why_not_kind(kind: str | None, options: str) -> str:
    if kind is None:
        return "the type of the file system cannot be found out"
    if kind == "btrfs":
        compresses = " and compresses them" if "compress" in options else ""
        return f"btrfs writes changed blocks to a new place (copy-on-write){compresses}"
    if kind in _COPY_ON_WRITE:
        return f"{kind} writes changed blocks to a new place (copy-on-write)"
    if kind == "fuse" or kind.startswith(("fuse.", "fuseblk")):
        return f"a program serves this file system ({kind}, FUSE)"
    if kind in _NETWORK:
        return f"{kind} is a network file system"
    return f"the file system {kind} is not known to keep reserved blocks"


def can_share_blocks(number: int) -> bool:
    """Say whether the file system of an open file can share blocks between files."""
    try:
        fcntl.ioctl(number, _CLONE, number)  # with itself, which changes nothing
    except OSError as error:
        return error.errno not in _CANNOT_CLONE
    return True


def file_system(folder: Path) -> str | None:
    """Return the type of the file system that holds a folder, or None if unknown."""
    return _mount_of(folder)[0]


def _mount_of(folder: Path) -> tuple[str | None, str]:
    """Return the type of the file system that holds a folder, None if unknown, and its mount options."""
    try:
        mounts = list(_mounts(Path("/proc/self/mountinfo").read_text(errors="surrogateescape")))
    except OSError:
        return None, ""
    path = os.path.realpath(folder)
    found = [(len(mount[0]), order, mount) for order, mount in enumerate(mounts) if _holds(mount[0], path)]
    return max(found)[2][1:] if found else (None, "")


def _mounts(table: str) -> Iterator[tuple[str, str, str]]:
    """Yield the mount point, the type and the options of each mount."""
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        kind, *_, options = rest.split(" ")
        yield _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields.split(" ")[4]), kind, options


def _holds(mount_point: str, path: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
