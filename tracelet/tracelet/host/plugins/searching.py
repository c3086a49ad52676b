"""The sources of plugins, in their order of precedence. A broken plugin does not hide the others of its source."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from tracelet.config.trust import refusal
from tracelet.errors import PluginError, UsageError
from tracelet.host import discovery
from tracelet.host.answers import shown
from tracelet.host.discovery import Candidate
from tracelet.host.plugins.table import PluginTable
from tracelet.host.projectfile import FILE_NAME, project_files
from tracelet_hookspecs import PluginInfo, PluginState

BY_HAND: Final = "by hand"


@attrs.define
class Sources:
    """Where to look.

    ``names`` are requested by the user (``-p``, TRACELET_PLUGINS, configuration). The folders from ``root`` down to
    ``script_dir`` are searched for ``tracelet_plugins.py``; without a root, none are.
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


def search(sources: Sources, table: PluginTable) -> None:
    """Add everything that the sources have to a table. Never raises for what a plugin does."""
    for candidate in _Search(sources, table).all():
        table.add(candidate, sources.blocked)


def register_by_hand(plugin: Any, name: str | None, table: PluginTable) -> list[PluginInfo]:
    """Add a class, an object, or all plugins that a module holds, and return their descriptions.

    Raises :class:`~tracelet.errors.UsageError` if a name is taken, or if the module holds no plugin.
    """
    return [_add_by_hand(candidate, table) for candidate in _held(plugin, name, table.deadline("import"))]


def _held(plugin: Any, name: str | None, deadline: float) -> list[Candidate]:
    if not discovery.is_module(plugin):
        described = discovery.describe_object(plugin, BY_HAND, deadline, name=name or "", activate=True)
        return [_renamed(described, name)]
    module_name = str(vars(plugin)["__name__"])
    found = list(discovery.plugins_in_module(plugin, module_name, BY_HAND, deadline, activate=True))
    if not found:
        raise UsageError(
            f"module {module_name}: expected hook implementations or plugin classes, found neither; decorate a"
            " function with @tracelet.hookimpl, or subclass a base class"
        )
    return [_renamed(found[0], name), *found[1:]]


def _renamed(candidate: Candidate, name: str | None) -> Candidate:
    """Give a plugin the name that it is registered under. Its own metadata object may be shared, so it is copied."""
    if name:
        candidate.info.metadata = attrs.evolve(candidate.info.metadata, name=name)
    return candidate


def _add_by_hand(candidate: Candidate, table: PluginTable) -> PluginInfo:
    info, plugin = candidate.info, candidate.load() if candidate.load is not None else None
    holder = table.plugins.get(info.name)
    if holder is not None:
        if holder.instance is plugin:
            return holder
        raise UsageError(
            f"plugin name {info.name!r} is taken by the one from {holder.origin}; give this one"
            f" ({shown(plugin)}) another name in its get_metadata(), or register it with register_plugin(..., name=)"
        )
    table.add(candidate)
    if info.state is not PluginState.ERROR:
        info.instance = plugin
    return info


class _Search:
    """One look into every source."""

    def __init__(self, sources: Sources, table: PluginTable) -> None:
        self.sources = sources
        self.table = table
        self.points = list(discovery.entry_point_plugins()) if sources.entry_points else []
        self.by_name: dict[str, Candidate] = {}
        for found in self.points:
            self.by_name.setdefault(found.info.name, found)
        self.seen: set[str] = set()  # modules; they may name each other

    def all(self) -> list[Candidate]:
        """Return all plugins, the sources in the contract's order."""
        sources = self.sources
        project = list(self._project()) if sources.autoload else []
        points = [found for found in self.points if sources.autoload or found.builtin]
        paths = list(self._paths()) if sources.autoload else []
        # A name that a source has means that plugin, even if a module has the same name ("mlflow").
        elsewhere = {found.info.name for found in (*project, *paths)} | self.table.plugins.keys()
        return [*self._named(sources.names, elsewhere), *project, *points, *paths]

    def _named(self, names: Iterable[str], elsewhere: Iterable[str] = ()) -> Iterator[Candidate]:
        """Yield what a user or a module asks for by name: an entry point, or an importable module with plugins."""
        for name in names:
            if name in self.sources.blocked:
                continue
            if name in self.by_name:
                self.by_name[name].activate = True
                yield self.by_name[name]
            elif name not in elsewhere and name not in self.seen and _is_importable(name):
                self.seen.add(name)
                self.table.modules.add(name)
                yield from self._module(name)

    def _module(self, name: str) -> Iterator[Candidate]:
        origin = f"module {name}"
        deadline = self.sources.import_deadline
        try:
            value = discovery.run_guarded(lambda: discovery.import_by_name(name), name, origin, deadline)
        except PluginError as error:
            yield discovery.broken_candidate(
                name,
                origin,
                error,
                module_path=name,
                activate=True,
                load=lambda: discovery.import_by_name(name),
            )
            return
        yield from self._contents(value, name, origin)

    def _contents(self, value: Any, name: str, origin: str) -> Iterator[Candidate]:
        """Yield the plugins in an imported value, and those in the modules that it names."""
        deadline = self.sources.import_deadline
        if not discovery.is_module(value):
            yield discovery.describe_object(value, origin, deadline, activate=True)
            return
        plugins = list(discovery.plugins_in_module(value, name, origin, deadline, activate=True))
        try:
            more = discovery.modules_named_by(value)
        except PluginError as error:
            self.table.report(str(error))
            more = []
        fault = "" if plugins or more else self._nothing_in(value, name)
        if fault:
            fault = f"plugin {name!r} ({origin}): {fault}"
            yield discovery.broken_candidate(name, origin, fault, activate=True, load=lambda: value)
        yield from plugins
        yield from self._others(more, origin)

    def _nothing_in(self, module: Any, name: str) -> str:
        """Return what is wrong with a module without plugins: nothing, unless it was requested by name."""
        asked_for = "holds neither hook implementations nor plugin classes" if name in self.seen else ""
        return discovery.forgotten_decorator(module) or asked_for

    def _others(self, names: Iterable[str], origin: str) -> Iterator[Candidate]:
        for name in names:
            if name not in self.by_name and not _is_importable(name):
                self.table.report(
                    f"{origin}: tracelet_plugins names {name!r}, but no such module can be found"
                )
        yield from self._named(names)

    def _project(self) -> Iterator[Candidate]:
        """Yield the plugins of every ``tracelet_plugins.py`` from the root down."""
        root = self.sources.root
        if root is not None:
            for file in project_files(root, self.sources.script_dir or root):
                yield from self._project_file(file, _project_name(file, root.resolve()))

    def _project_file(self, file: Path, name: str) -> Iterator[Candidate]:
        def load() -> Any:
            return discovery.checked_import(file, self._refuse)

        why = self._refuse(file)
        if why is not None:
            yield discovery.broken_candidate(name, str(file), why, module_path=str(file), load=load)
            return
        try:
            module = discovery.run_guarded(load, name, str(file), self.sources.import_deadline)
        except PluginError as error:
            yield discovery.broken_candidate(
                name, str(file), error, module_path=str(file), activate=True, load=load
            )
            return
        yield from self._contents(module, name, str(file))

    def _refuse(self, file: Path) -> str | None:
        return refusal(file, self.sources.root, self.sources.program)

    def _paths(self) -> Iterator[Candidate]:
        for place in dict.fromkeys(path.expanduser() for path in self.sources.paths):
            try:
                files = discovery.plugin_files(place)
            except OSError as error:
                self.table.report(f"plugin path {place}: cannot be read ({error.strerror})")
                continue
            for file in files:
                yield from self._path_file(file)

    def _path_file(self, file: Path) -> Iterator[Candidate]:
        if not file.exists():
            self.table.report(f"plugin path {file}: there is no such file or folder")
        elif file.suffix != ".py" or not file.is_file():
            self.table.report(f"plugin path {file}: expected a Python file (.py) or a folder of them")
        else:
            yield from discovery.path_plugins(file, self.sources.import_deadline, self._refuse)


def _project_name(file: Path, root: Path) -> str:
    """Return the name of a project file's own hooks: ``tracelet_plugins``, prefixed by its folder below the root."""
    stem = FILE_NAME.removesuffix(".py")
    if file.parent == root or root not in file.parents:
        return stem
    return f"{file.parent.relative_to(root).as_posix()}/{stem}"


def _is_importable(name: str) -> bool:
    """Return whether a module's top package exists, without importing it."""
    head = name.partition(":")[0].partition(".")[0]
    try:
        return importlib.util.find_spec(head) is not None
    except (ImportError, ValueError):
        return False
