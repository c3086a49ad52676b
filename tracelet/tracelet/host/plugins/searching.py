"""The sources of plugins, in their order. Each is asked for all it has, and survives what is broken in it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from tracelet.errors import PluginError
from tracelet.host import discovery
from tracelet.host.discovery import Found
from tracelet.host.plugins.catalog import Catalog
from tracelet.host.projectfile import FILE_NAME, project_files, refusal


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


def search(sources: Sources, catalog: Catalog) -> None:
    """Put all that the sources have into a catalog. Never raises for what a plugin does."""
    for found in _Search(sources, catalog).all():
        catalog.add(found, sources.blocked)


class _Search:
    """One look into every source."""

    def __init__(self, sources: Sources, catalog: Catalog) -> None:
        self.sources = sources
        self.catalog = catalog
        self.points = list(discovery.entry_point_plugins()) if sources.entry_points else []
        self.by_name: dict[str, Found] = {}
        for found in self.points:
            self.by_name.setdefault(found.info.name, found)
        self.seen: set[str] = set()  # modules, which may name each other

    def all(self) -> list[Found]:
        """Return everything, the sources in the contract's order."""
        sources = self.sources
        project = list(self._project()) if sources.autoload else []
        points = [found for found in self.points if sources.autoload or found.builtin]
        paths = list(self._paths()) if sources.autoload else []
        # A name that some source has is that plugin, even where a module is called the same ("mlflow").
        elsewhere = {found.info.name for found in (*project, *paths)} | self.catalog.plugins.keys()
        return [*self._named(sources.names, elsewhere), *project, *points, *paths]

    def _named(self, names: Iterable[str], elsewhere: Iterable[str] = ()) -> Iterator[Found]:
        """Yield what a user or a module names: an entry point, or an importable module with plugins."""
        for name in names:
            if name in self.sources.blocked:
                continue
            if name in self.by_name:
                self.by_name[name].activate = True
                yield self.by_name[name]
            elif name not in elsewhere and name not in self.seen and _is_importable(name):
                self.seen.add(name)
                self.catalog.modules.add(name)
                yield from self._module(name)

    def _module(self, name: str) -> Iterator[Found]:
        origin = f"module {name}"
        deadline = self.sources.import_deadline
        try:
            value = discovery.guarded(lambda: discovery.import_name(name), name, origin, deadline)
        except PluginError as error:
            yield discovery.broken(
                name, origin, error, module_path=name, activate=True, load=lambda: discovery.import_name(name)
            )
            return
        yield from self._contents(value, name, origin)

    def _contents(self, value: Any, name: str, origin: str) -> Iterator[Found]:
        """Yield what an imported value holds, and what it names in turn."""
        deadline = self.sources.import_deadline
        if not discovery.is_module(value):
            yield discovery.of_object(value, origin, deadline, activate=True)
            return
        plugins = list(discovery.contents(value, name, origin, deadline, activate=True))
        try:
            more = discovery.named_by(value)
        except PluginError as error:
            self.catalog.report(str(error))
            more = []
        fault = "" if plugins or more else self._nothing_in(value, name)
        if fault:
            fault = f"plugin {name!r} ({origin}): {fault}"
            yield discovery.broken(name, origin, fault, activate=True, load=lambda: value)
        yield from plugins
        yield from self._others(more, origin)

    def _nothing_in(self, module: Any, name: str) -> str:
        """Say what is wrong with a module without plugins: nothing, if nobody asked for it, as with a conftest.py."""
        asked_for = "holds neither hook implementations nor plugin classes" if name in self.seen else ""
        return discovery.forgotten_decorator(module) or asked_for

    def _others(self, names: Iterable[str], origin: str) -> Iterator[Found]:
        for name in names:
            if name not in self.by_name and not _is_importable(name):
                self.catalog.report(
                    f"{origin}: tracelet_plugins names {name!r}, which is no module that can be found"
                )
        yield from self._named(names)

    def _project(self) -> Iterator[Found]:
        """Yield the plugins of every ``tracelet_plugins.py`` from the root down."""
        root = self.sources.root
        if root is not None:
            for file in project_files(root, self.sources.script_dir or root):
                yield from self._project_file(file, _project_name(file, root.resolve()))

    def _project_file(self, file: Path, name: str) -> Iterator[Found]:
        def load() -> Any:
            return discovery.checked_import(file, self._refuse)

        why = self._refuse(file)
        if why is not None:
            yield discovery.broken(name, str(file), why, module_path=str(file), load=load)
            return
        try:
            module = discovery.guarded(load, name, str(file), self.sources.import_deadline)
        except PluginError as error:
            yield discovery.broken(name, str(file), error, module_path=str(file), activate=True, load=load)
            return
        yield from self._contents(module, name, str(file))

    def _refuse(self, file: Path) -> str | None:
        return refusal(file, self.sources.root, self.sources.program)

    def _paths(self) -> Iterator[Found]:
        for place in dict.fromkeys(path.expanduser() for path in self.sources.paths):
            try:
                files = discovery.plugin_files(place)
            except OSError as error:
                self.catalog.report(f"plugin path {place}: cannot be read ({error.strerror})")
                continue
            for file in files:
                yield from self._path_file(file)

    def _path_file(self, file: Path) -> Iterator[Found]:
        if not file.exists():
            self.catalog.report(f"plugin path {file}: there is no such file or folder")
        elif file.suffix != ".py" or not file.is_file():
            self.catalog.report(f"plugin path {file}: expected a Python file (.py) or a folder of them")
        else:
            yield from discovery.path_plugins(file, self.sources.import_deadline, self._refuse)


def _project_name(file: Path, root: Path) -> str:
    """Name a project file's own hooks: ``tracelet_plugins``, with its folder below the root."""
    stem = FILE_NAME.removesuffix(".py")
    if file.parent == root or root not in file.parents:
        return stem
    return f"{file.parent.relative_to(root).as_posix()}/{stem}"


def _is_importable(name: str) -> bool:
    """Whether a module's top package exists, without importing it."""
    head = name.partition(":")[0].partition(".")[0]
    try:
        return importlib.util.find_spec(head) is not None
    except (ImportError, ValueError):
        return False
