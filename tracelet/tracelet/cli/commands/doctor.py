"""``tracelet doctor``: is everything in order here, and what to do where it is not."""

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

from tracelet.cli.options import Choices, choices, json_option, place_options, plugin_options

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.config import Config

OK: Final = "ok"
WARNING: Final = "warning"
ERROR: Final = "error"
LITTLE_SPACE: Final = 1_000_000_000  # bytes
OPTIONAL: Final = ("numpy", "pandas", "polars", "pillow", "nvidia-ml-py")


class Finding(NamedTuple):
    """One thing that was looked at. ``remedy`` says what to do about it."""

    topic: str
    level: str
    text: str
    remedy: str | None = None


@click.command("doctor")
@place_options
@plugin_options
@json_option
def doctor() -> int:
    """Look into configuration, data folder, plugins and terminal, and say what is wrong.

    The exit status is 1 where something is.
    """
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.telling import hush
    from tracelet.cli.views.screen import Screen

    hush()
    findings = list({finding.text: finding for finding in _examine(choices())}.values())
    bad = any(finding.level == ERROR for finding in findings)
    if choices().json:
        emit_json({"ok": not bad, "findings": [finding._asdict() for finding in findings]})
    else:
        _print(Screen(), findings)
    return 1 if bad else 0


def _examine(mine: Choices) -> Iterator[Finding]:
    from tracelet.errors import ConfigError

    yield from _program()
    try:
        config = mine.config()
    except ConfigError as error:
        for fault in error.faults:
            yield Finding("configuration", ERROR, fault, "mend the configuration")
        return
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _configuration(config),
        lambda: _data_folder(config.dir),
        lambda: _runs(config.dir),
        lambda: _plugins(mine, config),
        _terminal,
    )
    for look in looks:
        yield from look()


def _program() -> Iterator[Finding]:
    import tracelet

    about = f"tracelet {tracelet.__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    yield Finding("program", OK, about)
    yield Finding("optional", OK, _optional())


def _optional() -> str:
    from importlib import metadata

    found = []
    for name in OPTIONAL:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def _configuration(config: Config) -> Iterator[Finding]:
    from tracelet.cli.views.plugins import near
    from tracelet.config.variables import slips

    sources = ", ".join(near(source) for source in config.sources) or "defaults only"
    yield Finding("configuration", OK, f"root {near(config.root)}; {sources}")
    for faults in config.table_faults.values():
        for fault in faults:
            yield Finding("configuration", ERROR, fault, "mend the plugin's table")
    for slip in slips(os.environ):
        yield Finding("configuration", WARNING, slip)


def _data_folder(data: Path) -> Iterator[Finding]:
    from tracelet.cli.views.plugins import near

    place = data
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        what = (
            "cannot be written to" if place == data else f"cannot be made, since {place} cannot be written to"
        )
        yield Finding(
            "data", ERROR, f"{near(data)} {what}", "mend its permissions, or name another with --dir"
        )
        return
    yield from _space(data, place)
    if data.exists() and stat.S_IMODE(data.stat().st_mode) & 0o077:
        text = f"other users can look into {near(data)}"
        yield Finding("data", WARNING, text, f"chmod 700 {near(data)}")


def _space(data: Path, place: Path) -> Iterator[Finding]:
    from tracelet.cli.views.numbers import size
    from tracelet.cli.views.plugins import near
    from tracelet.journal.writing.filesystem import mapping_is_safe

    free = shutil.disk_usage(place).free
    way = (
        "mapped" if mapping_is_safe(place) else "written plainly, since the file system is remote or unknown"
    )
    there = "" if data.exists() else " (made by the first run)"
    text = f"{near(data)}{there}: {size(free)} free; journals are {way}"
    if free < LITTLE_SPACE:
        yield Finding("data", WARNING, text, "make room: what does not fit on the disk is not recorded")
    else:
        yield Finding("data", OK, text)


def _runs(data: Path) -> Iterator[Finding]:
    from collections import Counter

    from tracelet.cli.views.numbers import plural
    from tracelet.errors import StoreError
    from tracelet.store import open_store

    try:
        records = open_store(data).runs()
    except StoreError:
        yield Finding("runs", OK, "none yet")
        return
    except OSError as error:
        yield Finding("runs", ERROR, f"{error.filename}: {error.strerror}", "mend its permissions")
        return
    by_outcome = Counter(record.outcome for record in records)
    parts = ", ".join(f"{times} {outcome}" for outcome, times in by_outcome.most_common())
    yield Finding("runs", OK, plural(len(records), "run") + (f": {parts}" if parts else ""))
    for record in records:
        if record.problem:
            yield Finding("runs", WARNING, f"{record.id}: {record.problem}", f"tracelet verify {record.id}")


def _plugins(mine: Choices, config: Config) -> Iterator[Finding]:
    from tracelet.cli.commands.plugins_check import configuration_faults
    from tracelet.cli.views.plugins import all_plugins

    manager = mine.manager(config)
    listed: dict[str, Any] = all_plugins(manager)
    names = [plugin["name"] for plugin in listed["plugins"] if plugin["activated"] in ("asked", "default")]
    idle = len(listed["plugins"]) - len(names)
    yield Finding("plugins", OK, f"in use: {', '.join(names) or 'none'}; {idle} more can be found")
    for name in names:
        for fault in configuration_faults(manager, name):
            yield Finding("plugins", ERROR, fault, f"tracelet plugins info {name} shows what it takes")
    for plugin in listed["plugins"]:
        if plugin["error"]:
            yield Finding("plugins", ERROR, plugin["error"], f"tracelet plugins info {plugin['name']}")
    for problem in listed["problems"]:
        yield Finding("plugins", WARNING, problem)


def _terminal() -> Iterator[Finding]:
    width = shutil.get_terminal_size().columns
    kind = f"{width} columns" if sys.stdout.isatty() else "not a terminal"
    yield Finding("terminal", OK, f"{kind}, {sys.stdout.encoding}")


def _print(screen: Screen, findings: list[Finding]) -> None:
    from tracelet.cli.views.screen import joined, state

    for finding in findings:
        remedy = (f" ({finding.remedy})", "dim") if finding.remedy else ""
        screen.field(finding.topic, joined(state(finding.level), f"  {finding.text}", remedy), width=14)
    bad = sum(finding.level != OK for finding in findings)
    screen.blank()
    screen.line((f"{bad} to look at" if bad else "all is in order", "bold yellow" if bad else "bold green"))
