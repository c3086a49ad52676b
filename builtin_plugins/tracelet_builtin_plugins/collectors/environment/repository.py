"""The facts of the git repository that the program is in."""

from __future__ import annotations

from typing import Any

from tracelet_builtin_plugins.git import ask_git
from tracelet_hookspecs import mask_text


def git(directory: str, timeout: float) -> dict[str, Any]:
    """Return commit, branch, remote and whether tracked files differ from the commit.

    Raises ``RuntimeError`` with git's own message if there is no repository.
    """
    status = _ask(directory, timeout, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    lines = status.splitlines()
    head = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    facts = {"commit": head.get("branch.oid", ""), "branch": head.get("branch.head", "")}
    facts = {name: value for name, value in facts.items() if value and not value.startswith("(")}
    facts["dirty"] = "yes" if any(not line.startswith("#") for line in lines) else "no"
    try:
        listing = _ask(directory, timeout, "config", "--get-regexp", r"^remote\..*\.url$")
    except RuntimeError:
        return facts  # a repository without a remote
    remotes = dict(line.split(" ", 1) for line in listing.splitlines())
    return facts | {"remote": mask_text(remotes.get("remote.origin.url") or next(iter(remotes.values())))}


def _ask(directory: str, timeout: float, *arguments: str) -> str:
    """Return the output of a git command as text; bytes that are not UTF-8 are kept as surrogates."""
    return ask_git(directory, timeout, *arguments).decode("utf-8", "surrogateescape")
