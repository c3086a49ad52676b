"""Git commands that change nothing, wait for nobody and run nothing of the repository's."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["ask_git"]

_QUIET: Final = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
    "GIT_EXTERNAL_DIFF": "",
}


def ask_git(folder: str, timeout: float, *arguments: str) -> bytes:
    """Return the output of a git command. It takes no lock, prompts for nothing and runs nothing of the repository's.

    Raises ``RuntimeError`` with git's own message.
    """
    import subprocess

    command = ["git", "-C", folder, "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(
        command, env={**os.environ, **_QUIET}, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout
    )
    if done.returncode:
        message = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise RuntimeError(message or f"git exited with {done.returncode}")
    return done.stdout
