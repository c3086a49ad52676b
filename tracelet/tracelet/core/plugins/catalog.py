"""All plugins that the sources of the contract have, under their names; the first that takes a name keeps it."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from tracelet.core import discovery
from tracelet.core.discovery import Found
from tracelet.core.projectfile import FILE_NAME, project_files, refusal
from tracelet.errors import PluginError, UsageError
from tracelet_hookspecs import PluginInfo

log = logging.getLogger("tracelet.plugins")


@attrs.define
class Sources:
    """Where to look.

    ``names`` are asked for by the user (``-p``, TRACELET_PLUGINS, configuration), ``root`` and
    ``script_dir`` span the folders that are searched for ``tracelet_plugins.py`` (no root: none are).
    """

    names: list[str] = attrs.field(factory=list)
    blocked: frozenset[str] = frozenset()
    autoload: bool = True
    entry_points: bool = True
    root: Path | None = None
    script_dir: Path | None = None
    program: Path | None = None
    paths: list[Path] = attrs.field(factory=list)
    import_deadline: float = 30.0


class Catalog:
    """What has been found, and what went wrong in finding it.

    ``plugins`` may be changed or replaced by its owner; ``found`` keeps the way to load what discovery put there.
    """

    def __init__(self) -> None:
        self.plugins: dict[str, PluginInfo] = {}
        self.found: dict[str, Found] = {}
        self.problems: list[str] = []

    def discover(self, sources: Sources) -> None:
        """Ask every source, in order. Never raises for what a plugin does."""
        points = list(self._entry_points(sources))
        for found in self._all(sources, points):
            self.add(found, sources.blocked)

    def add(self, found: Found, blocked: Iterable[str] = ()) -> bool:
        """Take a plugin in, unless it is blocked or its name is taken (which is reported, with both origins)."""
        name = found.info.name
        if name in blocked:
            return False
        holder = self.plugins.get(name)
        if holder is None:
            self.plugins[name] = found.info
            self.found[name] = found
            if found.info.error:
                self.report(found.info.error)
            return True
        if found.info.origin != holder.origin:
            self.report(
                f"plugin name {name!r} is taken: {holder.origin} keeps it, the one from {found.info.origin} is"
                f" left out; rename one, or block it with -p no:{name}"
            )
        elif found.activate and name in self.found:
            self.found[name].activate = True
        return False

    def report(self, problem: str) -> None:
        """Keep a problem for the status, and log it once."""
        if problem not in self.problems:
            self.problems.append(problem)
            log.warning("%s", problem)

    def closest(self, name: str) -> str:
        """Suggest a known name for an unknown one."""
        matches = difflib.get_close_matches(name, list(self.plugins), n=1, cutoff=0.5)
        return f"; did you mean {matches[0]!r}?" if matches else ""

    def unknown(self, name: str) -> UsageError:
        """Return the error for a name that no source has."""
        hint = self.closest(name) or "; `tracelet plugins` lists all that can be found"
        return UsageError(f"no plugin is named {name!r}{hint}")

    def _entry_points(self, sources: Sources) -> Iterator[Found]:
        if sources.entry_points:
            yield from discovery.entry_point_plugins()

    def _all(self, sources: Sources, points: list[Found]) -> Iterator[Found]:
        by_name = {found.info.name: found for found in points}
        yield from self._by_name(sources.names, by_name, sources)
        if sources.autoload and sources.root is not None:
            yield from self._project(sources, by_name)
        yield from (found for found in points if sources.autoload or found.builtin)
        if sources.autoload:
            yield from self._paths(sources)

    def _by_name(self, names: Iterable[str], points: dict[str, Found], sources: Sources) -> Iterator[Found]:
        """Yield what a user named: an entry point, or an importable module with plugins."""
        for name in names:
            if name in sources.blocked or name in self.plugins:
                continue
            if name in points:
                points[name].activate = True
                yield points[name]
            elif (module := _importable(name)) is not None:
                yield from self._module(name, module, points, sources)

    def _module(self, name: str, module: str, points: dict[str, Found], sources: Sources) -> Iterator[Found]:
        origin = f"module {module}"
        try:
            value = discovery.guarded(
                lambda: discovery.import_name(module), f"plugin {name!r}", sources.import_deadline
            )
        except PluginError as error:
            yield discovery.broken(name, origin, f"{error}", module_path=module, activate=True)
            return
        yield from self._contents(value, name, origin, points, sources)

    def _contents(
        self, value: Any, name: str, origin: str, points: dict[str, Found], sources: Sources
    ) -> Iterator[Found]:
        """Yield what an imported value holds, and what it names in turn."""
        if not hasattr(value, "__path__") and not hasattr(value, "__spec__"):
            yield discovery.of_object(value, origin, activate=True)
            return
        plugins = discovery.guarded(
            lambda: list(discovery.plugins_of(value, name, origin, activate=True)),
            origin,
            sources.import_deadline,
        )
        more = discovery.named_by(value)
        if not plugins and not more:
            error = f"plugin {name!r} ({origin}): holds neither hook implementations nor plugin classes"
            yield discovery.broken(name, origin, error, activate=True)
        yield from plugins
        yield from self._by_name(more, points, sources)

    def _project(self, sources: Sources, points: dict[str, Found]) -> Iterator[Found]:
        """Yield the plugins of every ``tracelet_plugins.py`` from the root down."""
        assert sources.root is not None
        for file in project_files(sources.root, sources.script_dir or sources.root):
            yield from self._project_file(file, sources, points)

    def _project_file(self, file: Path, sources: Sources, points: dict[str, Found]) -> Iterator[Found]:
        name = _project_name(file, sources.root)
        why = refusal(file, sources.root, sources.program)
        if why is not None:
            yield discovery.broken(name, str(file), why, module_path=str(file))
            return
        try:
            module = discovery.guarded(
                lambda: discovery.import_file(file), str(file), sources.import_deadline
            )
        except PluginError as error:
            yield discovery.broken(name, str(file), str(error), module_path=str(file), activate=True)
            return
        yield from self._contents(module, name, str(file), points, sources)

    def _paths(self, sources: Sources) -> Iterator[Found]:
        for place in sources.paths:
            if not place.exists():
                self.report(f"plugin path {place}: there is no such file or folder")
                continue
            for file in discovery.plugin_files(place):
                why = refusal(file, place if place.is_dir() else sources.root, sources.program)
                if why is None:
                    yield from discovery.path_plugins(file, sources.import_deadline)
                else:
                    yield discovery.broken(file.stem, str(file), why, module_path=str(file))


def _project_name(file: Path, root: Path | None) -> str:
    """Name a project file's own hooks: ``tracelet_plugins``, with its folder below the root."""
    stem = FILE_NAME.removesuffix(".py")
    if root is None or file.parent == root.resolve() or root.resolve() not in file.parents:
        return stem
    return f"{file.parent.relative_to(root.resolve()).as_posix()}/{stem}"


def _importable(name: str) -> str | None:
    """Return the name where its package exists, without importing it, else ``None``."""
    import importlib.util

    head = name.partition(":")[0].partition(".")[0]
    try:
        return name if importlib.util.find_spec(head) is not None else None
    except (ImportError, ValueError):
        return None
