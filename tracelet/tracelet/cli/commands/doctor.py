"""``tracelet doctor``: check the configuration, the data folder, the plugins and the terminal."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from tracelet.cli.options import GlobalOptions, dir_option, global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.config import Config

OK: Final = "ok"
WARNING: Final = "warning"
ERROR: Final = "error"
LITTLE_SPACE: Final = 1_000_000_000  # bytes
OPTIONAL: Final = ("numpy", "pandas", "polars", "pyarrow", "pillow", "nvidia-ml-py")


class Finding(NamedTuple):
    """The result of one check. ``remedy`` says how to fix the issue."""

    topic: str
    level: str
    text: str
    remedy: str | None = None


@click.command("doctor")
@dir_option
@plugin_options
@json_option
def doctor() -> int:
    """Check the configuration, data folder, plugins and terminal, and report issues.

    The exit status is 1 if there is an error.
    """
    from tracelet.cli.diagnostics import silence_logging

    silence_logging()
    findings = list({finding.text: finding for finding in _examine(global_options())}.values())
    failed = any(finding.level == ERROR for finding in findings)
    show_result(
        lambda: {"ok": not failed, "findings": [finding._asdict() for finding in findings]},
        lambda screen: _print(screen, findings),
    )
    return 1 if failed else 0


def _examine(options: GlobalOptions) -> Iterator[Finding]:
    from tracelet.errors import ConfigError

    yield from _check_installation()
    try:
        config = options.config()
    except ConfigError as error:
        for fault in error.faults:
            yield Finding("configuration", ERROR, fault, "fix the configuration")
        return
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _check_configuration(config),
        lambda: _check_data_folder(config.dir),
        lambda: _check_runs(config.dir),
        lambda: _check_plugins(options, config),
        _check_terminal,
    )
    for check in checks:
        yield from check()


def _check_installation() -> Iterator[Finding]:
    import tracelet

    about = f"tracelet {tracelet.__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    yield Finding("program", OK, about)
    yield Finding("optional", OK, _list_optional_packages())


def _list_optional_packages() -> str:
    from importlib import metadata

    found = []
    for name in OPTIONAL:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def _check_configuration(config: Config) -> Iterator[Finding]:
    from tracelet.cli.views.formatting import shorten_path
    from tracelet.config.variables import slips

    sources = ", ".join(shorten_path(source) for source in config.sources) or "defaults only"
    yield Finding("configuration", OK, f"root {shorten_path(config.root)}; {sources}")
    for faults in config.table_faults.values():
        for fault in faults:
            yield Finding("configuration", ERROR, fault, "fix the plugin's table")
    for slip in slips(os.environ):
        yield Finding("configuration", WARNING, slip)


def _check_data_folder(data: Path) -> Iterator[Finding]:
    from tracelet.cli.views.formatting import shorten_path

    existing = data
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        problem = "is not writable" if existing == data else f"cannot be created: {existing} is not writable"
        remedy = "fix the permissions, or name another folder with --dir"
        yield Finding("data", ERROR, f"{shorten_path(data)} {problem}", remedy)
        return
    yield from _check_space(data, existing)
    if data.exists() and stat.S_IMODE(data.stat().st_mode) & 0o077:
        text = f"other users can read {shorten_path(data)}"
        yield Finding("data", WARNING, text, f"chmod 700 {shorten_path(data)}")


def _check_space(data: Path, existing: Path) -> Iterator[Finding]:
    from tracelet.cli.views.formatting import format_size, shorten_path
    from tracelet.journal.writing.filesystem import why_not_mapped

    free = shutil.disk_usage(existing).free
    reason = why_not_mapped(existing)
    way = f"written with plain writes, since {reason}" if reason else "mapped"
    missing = "" if data.exists() else " (created by the first run)"
    text = f"{shorten_path(data)}{missing}: {format_size(free)} free; journals are {way}"
    if free < LITTLE_SPACE:
        yield Finding("data", WARNING, text, "free some space: what does not fit on the disk is not recorded")
    else:
        yield Finding("data", OK, text)


def _check_runs(data: Path) -> Iterator[Finding]:
    from collections import Counter

    from tracelet.cli.views.formatting import pluralize
    from tracelet.errors import StoreError
    from tracelet.store import open_store

    try:
        records = open_store(data).runs(archived=None)
    except StoreError:
        yield Finding("runs", OK, "none yet")
        return
    except OSError as error:
        yield Finding("runs", ERROR, f"{error.filename}: {error.strerror}", "fix the permissions")
        return
    by_outcome = Counter(record.outcome for record in records)
    parts = ", ".join(f"{times} {outcome}" for outcome, times in by_outcome.most_common())
    yield Finding("runs", OK, pluralize(len(records), "run") + (f": {parts}" if parts else ""))
    for record in records:
        if record.problem:
            yield Finding("runs", WARNING, f"{record.id}: {record.problem}", f"tracelet verify {record.id}")


def _check_plugins(options: GlobalOptions, config: Config) -> Iterator[Finding]:
    from tracelet.cli.plugin_faults import find_configuration_faults
    from tracelet.cli.views.plugin_tables import describe_plugins

    manager = options.manager(config)
    listed: dict[str, Any] = describe_plugins(manager)
    names = [plugin["name"] for plugin in listed["plugins"] if plugin["activated"] in ("asked", "default")]
    idle = len(listed["plugins"]) - len(names)
    yield Finding("plugins", OK, f"in use: {', '.join(names) or 'none'}; {idle} more available")
    for name in names:
        for fault in find_configuration_faults(manager, name):
            yield Finding("plugins", ERROR, fault, f"tracelet plugins info {name} lists its keys")
    for plugin in listed["plugins"]:
        if plugin["error"]:
            yield Finding("plugins", ERROR, plugin["error"], f"tracelet plugins info {plugin['name']}")
    for problem in listed["problems"]:
        yield Finding("plugins", WARNING, problem)


def _check_terminal() -> Iterator[Finding]:
    width = shutil.get_terminal_size().columns
    kind = f"{width} columns" if sys.stdout.isatty() else "not a terminal"
    yield Finding("terminal", OK, f"{kind}, {sys.stdout.encoding}")


def _print(screen: Screen, findings: list[Finding]) -> None:
    from tracelet.cli.views.formatting import pluralize
    from tracelet.cli.views.screen import join_parts, state_text

    for finding in findings:
        remedy = (f" ({finding.remedy})", "dim") if finding.remedy else ""
        text = join_parts(state_text(finding.level), f"  {finding.text}", remedy)
        screen.field(finding.topic, text, width=14)
    issues = sum(finding.level != OK for finding in findings)
    screen.blank()
    if issues:
        screen.line((f"{pluralize(issues, 'issue')} found", "bold yellow"))
    else:
        screen.line(("no issues found", "bold green"))
