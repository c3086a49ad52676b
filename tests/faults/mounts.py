"""Small file systems in image files, mounted for one program alone. Needs root, loop devices and the tools of each."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MEGABYTES = {"ext4": 48, "xfs": 320, "btrfs": 128}
FORMAT = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "ext4-quota": ["mkfs.ext4", "-q", "-F", "-O", "quota,project", "-E", "quotatype=usrquota:prjquota"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=0"],
    "xfs-reflink": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "--mixed"],
}


def make_image(image: Path, kind: str) -> None:
    """Make the image of a file system, sparse; skip the test if the tool for that is missing."""
    tool = FORMAT[kind]
    found = shutil.which(tool[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{tool[0]} is not installed")
    with open(image, "wb") as file:
        file.truncate(MEGABYTES[kind.partition("-")[0]] << 20)
    done = subprocess.run([found, *tool[1:], str(image)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{tool[0]} cannot make such a file system: {done.stderr.strip()}")


def mounted(*mounts: list[str]) -> list[str]:
    """Return the words that run a program in a mount namespace of its own, in which these were mounted."""
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("mounting a file system needs root and unshare")
    text = " && ".join(" ".join(f'"{word}"' for word in mount) for mount in mounts)
    words = ["unshare", "--mount", "sh", "-c", f'{text} && exec "$@"', "sh"]
    done = subprocess.run([*words, "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this system lets nobody mount such a file system: {done.stderr.strip()}")
    return words


# Sets a limit in bytes for a user (0) or a project (2) with an id on a mounted file system.
SET_QUOTA = """
import ctypes, os, struct, sys
kind, ident, mount, limit = int(sys.argv[1]), int(sys.argv[2]), os.path.realpath(sys.argv[3]), int(sys.argv[4]) >> 10
[device] = {line.split()[0] for line in open("/proc/mounts") if line.split()[1] == mount}
limits = struct.pack("<8QI4x", limit, limit, 0, 0, 0, 0, 0, 0, 1)
libc = ctypes.CDLL(None, use_errno=True)
command = ctypes.c_int(ctypes.c_uint32(0x800008 << 8 | kind).value)  # Q_SETQUOTA
if libc.quotactl(command, device.encode(), ident, limits):
    sys.exit(os.strerror(ctypes.get_errno()))
"""


def without_privilege_over_quotas() -> list[str]:
    """Return the words that run a program which a quota binds, although its user is root."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    return ["setpriv", "--bounding-set=-sys_resource"]
