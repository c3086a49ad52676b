"""The facts of the git repository that the program is in."""

from __future__ import annotations

import os
from typing import Any

from tracelet_hookspecs import mask_text


def git(directory: str, timeout: float) -> dict[str, Any]:
    """Return commit, branch, remote and whether tracked files differ from the commit.

    Raises ``RuntimeError`` with git's own message if there is no repository.
    """
    status = ask_git(directory, timeout, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    lines = status.splitlines()
    head = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    facts = {"commit": head.get("branch.oid", ""), "branch": head.get("branch.head", "")}
    facts = {name: value for name, value in facts.items() if value and not value.startswith("(")}
    facts["dirty"] = "yes" if any(not line.startswith("#") for line in lines) else "no"
    try:
        listing = ask_git(directory, timeout, "config", "--get-regexp", r"^remote\..*\.url$")
    except RuntimeError:
        return facts  # a repository without a remote
    remotes = dict(line.split(" ", 1) for line in listing.splitlines())
    return facts | {"remote": mask_text(remotes.get("remote.origin.url") or next(iter(remotes.values())))}


def ask_git(directory: str, timeout: float, *arguments: str) -> str:
    """Return the output of a git command. It takes no lock, prompts for nothing and starts no file monitor."""
    import subprocess

    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", "-C", directory, "-c", "core.fsmonitor=false", *arguments],
        env={**os.environ, **quiet},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=timeout,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().partition("\n")[0] or f"git exited with {done.returncode}")
    return done.stdout
