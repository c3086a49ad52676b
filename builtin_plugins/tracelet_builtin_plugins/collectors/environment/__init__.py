"""The collector ``environment``: once per run, what the program ran in.

Every fact stands in ``docs/plugins/environment.md``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.collectors.environment.masking import MASK, is_secret, mask_command, mask_text
from tracelet_hookspecs import CollectorPlugin, PluginMetadata, PluginType, hookimpl

__all__ = ["EnvironmentCollector"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "packages": {"type": "boolean", "default": True, "description": "installed packages and their versions"},
    "git": {"type": "boolean", "default": True, "description": "commit, branch, remote, dirty or not"},
    "git_timeout": {"type": "number", "default": 5, "description": "seconds that one git command may take"},
    "directory": {"type": "string", "default": ".", "description": "where to ask git"},
    "env": {"type": "array", "default": [], "description": "environment variables to keep; * is allowed"},
}

Facts = dict[str, Any]


class EnvironmentCollector(CollectorPlugin):
    """Returns everything at its first ``collect``, and nothing after that. Every leaf is a string."""

    _collection_interval = 3600
    _absent: dict[str, str] = {}
    _collected = False

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return what the plugin says of itself."""
        return PluginMetadata(
            name="environment",
            version=VERSION,
            type=PluginType.COLLECTOR,
            description="Command line, Python, packages, host and git commit, once per run",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"facts"},
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Take the configuration."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)

    @hookimpl
    def start(self) -> None:
        """Be ready to collect once more."""
        self._collected, self._absent = False, {}

    @hookimpl
    def stop(self) -> None:
        """Hold nothing that would need letting go."""

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return whether the facts were collected, and why some are absent."""
        return {"collected": self._collected, "absent": dict(self._absent)}

    @hookimpl
    def collect(self) -> dict[str, Any]:
        """Return the facts, the first time; those that cannot be had here are absent."""
        if self._collected:
            return {}
        found: Facts = {}
        for name, read in self._readers().items():
            try:
                found |= read()
            except Exception as error:  # a machine without git, /proc or a cwd still has all the rest
                self._absent[name] = f"{type(error).__name__}: {error}"
        self._collected = True
        return {"environment": printable(found)}

    def _readers(self) -> dict[str, Callable[[], Facts]]:
        config = self._config
        readers: dict[str, Callable[[], Facts]] = {
            "command": command,
            "directory": lambda: {"directory": os.getcwd()},
            "python": python,
            "host": host,
            "platform": system,
            "cpu": cpu,
            "memory": memory,
            "env": lambda: {"env": variables(config["env"])},
        }
        if config["packages"]:
            readers["packages"] = lambda: {"packages": packages()}
        if config["git"]:
            readers["git"] = lambda: {"git": git(config["directory"], config["git_timeout"])}
        return readers


def command() -> Facts:
    """Return the command line as a shell would take it, secrets masked."""
    import shlex

    words = mask_command(sys.orig_argv or [sys.executable, *sys.argv])
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
    """Return the processor's model and how many there are, for everybody and for this process."""
    facts = {"model": cpu_model(), "count": str(os.cpu_count() or "")}
    if hasattr(os, "sched_getaffinity"):
        facts["available"] = str(len(os.sched_getaffinity(0)))
    return {"cpu": {name: value for name, value in facts.items() if value}}


def cpu_model() -> str:
    """Return the processor's name, empty where the platform keeps it to itself."""
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
    """Return every distribution that can be imported, with its version; the first on ``sys.path`` counts."""
    import re
    from importlib import metadata

    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        except (OSError, UnicodeError):
            continue  # one damaged distribution
        # Finding the two lines is several times quicker than the mail parser behind .name and .version.
        name, version = (re.search(rf"^{field}: *(\S+)", text, re.MULTILINE) for field in ("Name", "Version"))
        if name and version:
            found.setdefault(name[1], version[1])
    return dict(sorted(found.items(), key=lambda entry: entry[0].lower()))


def git(directory: str, timeout: float) -> Facts:
    """Return commit, branch, remote and whether tracked files differ from the commit.

    Raises ``RuntimeError`` with git's own words where there is no repository.
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
    """Return what one git command prints. It takes no lock, asks nobody and starts no file system monitor."""
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


def variables(patterns: list[str]) -> Facts:
    """Return the environment variables that match, never one with the name of a secret."""
    from fnmatch import fnmatchcase

    wanted = (name for name in os.environ if any(fnmatchcase(name, pattern) for pattern in patterns))
    return {name: mask_text(os.environ[name]) for name in sorted(wanted) if not is_secret(name)}


def printable(facts: Any) -> Any:
    """Return the facts with what is not UTF-8 (in a path, say) written as ``\\xff``, fit for any file."""
    if isinstance(facts, dict):
        return {printable(name): printable(value) for name, value in facts.items()}
    return os.fsencode(facts).decode("utf-8", "backslashreplace")
