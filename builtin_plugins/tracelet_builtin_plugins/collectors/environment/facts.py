"""The facts of the environment: command line, Python, machine, packages and variables."""

from __future__ import annotations

import os
import sys
from typing import Any

from tracelet_hookspecs import MASK, is_secret, mask_arguments, mask_text

Facts = dict[str, Any]


def command() -> Facts:
    """Return the command line as one would type it in a shell, secrets masked."""
    import shlex

    words = mask_arguments(sys.orig_argv or [sys.executable, *sys.argv])
    return {"command": shlex.join(words).replace(f"'{MASK}'", MASK)}


def python() -> Facts:
    """Return which Python runs the program."""
    import platform

    facts = {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
    }
    in_environment = sys.prefix != sys.base_prefix
    return {"python": facts | ({"virtual_env": sys.prefix} if in_environment else {})}


def host() -> Facts:
    """Return the machine's name and architecture."""
    import platform

    return {"host": platform.node(), "machine": platform.machine()}


def system() -> Facts:
    """Return the operating system with its version."""
    import platform

    return {"platform": platform.platform()}


def cpu() -> Facts:
    """Return the processor's model and the number of cores: of the machine, and usable by this process."""
    facts = {"model": cpu_model(), "count": str(os.cpu_count() or "")}
    if hasattr(os, "sched_getaffinity"):
        facts["available"] = str(len(os.sched_getaffinity(0)))
    return {"cpu": {name: value for name, value in facts.items() if value}}


def cpu_model() -> str:
    """Return the processor's name, empty if the platform does not report it."""
    import platform
    import re
    import subprocess

    if sys.platform == "darwin":
        ask = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(ask, capture_output=True, text=True, timeout=5).stdout.strip()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            found = (re.match(r"(?:model name|Model|Hardware|cpu)\s*:\s*(.+)", line) for line in lines)
            return next((match[1].strip() for match in found if match), "")
    return platform.processor()


def memory() -> Facts:
    """Return the machine's memory in bytes."""
    return {"memory_bytes": str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))}


def packages() -> Facts:
    """Return every installed distribution with its version; the first on ``sys.path`` counts."""
    import re
    from importlib import metadata

    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        except (OSError, ValueError, LookupError):  # a damaged distribution
            continue
        # Finding the two lines is several times quicker than the mail parser behind .name and .version.
        name, version = (re.search(rf"^{field}: *(\S+)", text, re.MULTILINE) for field in ("Name", "Version"))
        if name and version:
            found.setdefault(name[1], version[1])
    return dict(sorted(found.items(), key=lambda entry: entry[0].lower()))


def variables(patterns: list[str]) -> Facts:
    """Return the environment variables that match, without those that are secrets."""
    from fnmatch import fnmatchcase

    wanted = (name for name in os.environ if any(fnmatchcase(name, pattern) for pattern in patterns))
    return {
        name: mask_text(os.environ[name]) for name in sorted(wanted) if not is_secret(name, os.environ[name])
    }


def printable(facts: Any) -> Any:
    """Return the facts with bytes that are not UTF-8 (in a path, for example) written as ``\\xff``."""
    if isinstance(facts, dict):
        return {printable(name): printable(value) for name, value in facts.items()}
    return os.fsencode(facts).decode("utf-8", "backslashreplace")
