"""The sources of plugins, in their order of precedence. A broken plugin does not hide the others of its source."""

from __future__ import annotations

import copy
import importlib.util
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from tracelet.config.trust import refusal
from tracelet.errors import PluginError, UsageError
from tracelet.host import discovery
from tracelet.host.answers import shown
from tracelet.host.discovery import BY_HAND, Candidate
from tracelet.host.plugins.plugin_table import PluginTable
from tracelet.host.projectfile import FILE_NAME, INIT, ignored_folder, project_files, project_folders
from tracelet.messages import closest
from tracelet_hookspecs import PluginInfo, PluginState

_SHORTEST: Final = 0.05  # seconds that an import gets in any case


@attrs.define
class Sources:
    """Where to look.

    ``names`` are requested by the user (``-p``, TRACELET_PLUGINS, configuration), ``blocked`` and ``disabled`` are
    switched off, and ``tables`` have a table in the configuration. The folders from ``root`` down to
    ``script_dir`` are searched for ``tracelet_plugins.py``; without a root, none are.
    """

    names: list[str] = attrs.field(factory=list)
    blocked: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    autoload: bool = True
    entry_points: bool = True
    under_run: bool = False  # whether `tracelet run` runs the program: more plugins are on by default
    tables: frozenset[str] = frozenset()
    root: Path | None = None
    script_dir: Path | None = None
    program: Path | None = None
    paths: list[Path] = attrs.field(factory=list)
    import_deadline: float = 30.0
    end: float | None = None  # when imports that have not ended are left out; ``None`` to wait for each

    def limit(self, patience: float | None) -> None:
        """Set the seconds for all imports together, after which those that are late are left out."""
        if patience is not None and patience < self.import_deadline:
            self.end = time.monotonic() + patience

    def time_for_import(self) -> float:
        """Return the seconds that the next import may take."""
        if self.end is None:
            return self.import_deadline
        return min(self.import_deadline, max(_SHORTEST, self.end - time.monotonic()))


def search(sources: Sources, table: PluginTable) -> bool:
    """Add everything that the sources have to a table. Never raises for what a plugin does.

    Returns whether that is all: with a limit, what takes longer to import is left for another search.
    """
    searching = _Search(sources, table)
    found = searching.all()
    late = [candidate for candidate in found if candidate.overran and sources.end is not None]
    found = [candidate for candidate in found if candidate not in late]
    switched_off = SwitchedOff(sources, [*table.candidates.values(), *searching.points, *found], table)
    table.switched_off.update(switched_off.reasons)
    for candidate in found:
        if candidate.info.name not in switched_off.blocked:
            table.add(candidate)
    return not late


def switch_off(name: str, sources: Sources, table: PluginTable) -> list[str]:
    """Block a plugin after the search, as ``no:NAME`` does before it. Returns the plugins that the name means."""
    blocking = attrs.evolve(sources, blocked=frozenset((name,)), disabled=frozenset())
    switched_off = SwitchedOff(blocking, list(table.candidates.values()), table)
    table.switched_off.update(switched_off.reasons)
    return sorted(switched_off.blocked)


class SwitchedOff:
    """Which plugins the user switched off, by ``no:NAME`` or ``enabled = false``.

    A name means the plugin of exactly that name, else one that differs only in ``-``, ``_``, ``.`` or case, else the
    plugins in the module, package, class (``module:Class``) or file of that name. A blocked name that means nothing is
    reported, and so is a disabled one that resembles a plugin's: a table may stay for a plugin that is not installed.
    """

    def __init__(self, sources: Sources, candidates: list[Candidate], table: PluginTable) -> None:
        self.reasons: dict[str, str] = {}
        self.blocked: set[str] = set()
        self._candidates = candidates
        self._table = table
        self._sources = sources
        self._root = sources.root
        for name in sorted(sources.disabled):
            self._switch_off(name, f"plugins.{name}.enabled = false")
        for name in sorted(sources.blocked):
            meant = self._switch_off(name, f"-p no:{name}")
            self.blocked.update(meant)
            if not meant and not self._may_be_known(name):
                self._table.note_unknown(name)

    def _switch_off(self, name: str, how: str) -> list[str]:
        meant = self._meant_by(name)
        if not meant and (similar := self._similar(name)):
            self._table.report(f"{how}: no plugin is named {name!r}; did you mean {similar!r}?")
        self.reasons.update(dict.fromkeys(meant, how))
        return meant

    def _similar(self, name: str) -> str | None:
        return closest(name, [each.info.name for each in self._candidates])

    def _may_be_known(self, name: str) -> bool:
        """Return whether a name that means no plugin was reported, or may mean one that was not looked for."""
        if name in self._sources.names or not self._sources.autoload or self._similar(name) is not None:
            return True
        places = [folder / os.path.expanduser(name) for folder in (Path.cwd(), self._root or Path.cwd())]
        return any(place.exists() for place in places) if is_path(name) else _is_importable(name)

    def _meant_by(self, name: str) -> list[str]:
        names = [each.info.name for each in self._candidates]
        if name in names:
            return [name]
        alike = [each for each in names if _canonical(each) == _canonical(name)]
        return alike or [each.info.name for each in self._candidates if _is_in(each, name, self._root)]


def _is_in(candidate: Candidate, place: str, root: Path | None) -> bool:
    """Return whether a plugin is in a place: ``package``, ``package.module``, either with ``:Class``, or a file."""
    ends = ("", ".py", f"/{INIT}")
    folders = (Path.cwd(), root or Path.cwd())
    files = {
        os.path.abspath(folder / (os.path.expanduser(place) + end)) for folder in folders for end in ends
    }
    its_own = {candidate.info.module_path, candidate.info.origin}
    if is_path(place):  # or a folder of files
        its_own |= {os.path.dirname(each) for each in its_own if os.path.isabs(each)}
    if files & its_own:
        return True
    if candidate.identity is None:
        return False
    module, _, class_name = place.partition(":")
    return f"{candidate.identity[0]}.".startswith(f"{module}.") and class_name in ("", candidate.identity[1])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


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
        candidate.info.metadata = copy.copy(
            candidate.info.metadata
        )  # not evolve(): it checks what may be broken
        candidate.info.metadata.name = name
    return candidate


def _add_by_hand(candidate: Candidate, table: PluginTable) -> PluginInfo:
    info, plugin = candidate.info, candidate.load() if candidate.load is not None else None
    holder = table.plugins.get(info.name)
    if holder is not None:
        if holder.instance is plugin:
            return holder
        raise UsageError(
            f"plugin name {info.name!r} is taken by the one from {holder.origin}; give this one ({shown(plugin)})"
            " another name in its get_metadata(), or use PluginManager.register_plugin(plugin, name=...)"
        )
    if not discovery.is_class(plugin) and (known := _registered_as(plugin, table)) is not None:
        raise UsageError(
            f"plugin {info.name!r}: {shown(plugin)} is registered already, as {known!r}, and an object is one plugin;"
            " register its class under each name, or another object"
        )
    table.add(candidate)
    if info.state is not PluginState.ERROR:
        info.instance = plugin
    return info


def _registered_as(plugin: Any, table: PluginTable) -> str | None:
    """Return the name under which an object was registered by hand."""
    if plugin is None:
        return None
    return next((name for name, info in table.plugins.items() if info.instance is plugin), None)


class _Search:
    """One search of every source."""

    def __init__(self, sources: Sources, table: PluginTable) -> None:
        self.sources = sources
        self.table = table
        self.points = (
            list(discovery.entry_point_plugins(table.report, under_run=sources.under_run))
            if sources.entry_points
            else []
        )
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
        """Yield what a user or a module requests by name: an entry point, or an importable module with plugins."""
        for name in names:
            if name in self.sources.blocked:
                continue
            if name in self.by_name:
                self.by_name[name].activate = True
                yield self.by_name[name]
            elif name in elsewhere or name in self.seen:
                continue
            elif self._is_path(name):
                self._note_module(name)
                yield from self._named_file(name)
            elif _is_importable(name):
                self._note_module(name)
                yield from self._held_in(name)

    def _note_module(self, name: str) -> None:
        self.seen.add(name)
        self.table.modules.add(name)

    def _held_in(self, name: str) -> Iterator[Candidate]:
        """Yield the plugins in a module. If it is the only one, the module's name means this plugin, too."""
        held = list(self._module(name))
        names = [each.info.name for each in held]
        if len(names) == 1:
            self.table.aliases.setdefault(name, names[0])
        elif names and name in self.sources.tables and name not in names:
            self.table.report(
                f"plugins.{name}: names a module with the plugins {', '.join(names)}; its settings are ignored;"
                f" write [plugins.{names[0]}]"
            )
        yield from held

    def _is_path(self, name: str) -> bool:
        return is_path(name) or (os.sep in name and self._place_of(name).is_dir())

    def _place_of(self, name: str) -> Path:
        """Return where a path leads that a user has written: from the current folder, else from the root."""
        place = Path(name).expanduser()
        if not place.exists() and self.sources.root is not None and (self.sources.root / place).exists():
            place = self.sources.root / place
        return Path(os.path.abspath(place))

    def _named_file(self, name: str) -> Iterator[Candidate]:
        """Yield the plugins in a file or folder that is requested by its path."""
        place = self._place_of(name)
        held = [
            each
            for file in self._files_at(place)
            for each in self._path_file(file, requested=file in (place, place / INIT))
        ]
        if not held and place.is_dir():
            self.table.report(
                f"{name}: the folder has no plugin; expected a package, or a folder of plugin files"
            )
        for each in held:
            each.activate = True
        if len(held) == 1:
            self.table.aliases.setdefault(name, held[0].info.name)
        yield from held

    def _module(self, name: str) -> Iterator[Candidate]:
        origin = f"module {name}"
        deadline = self.sources.time_for_import()
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
        deadline = self.sources.time_for_import()
        if not discovery.is_module(value):
            yield self._object(value, name, origin, deadline)
            return
        plugins = list(discovery.plugins_in_module(value, name, origin, deadline, activate=True))
        plugins = plugins or discovery.reexported(value, origin, deadline, activate=True)
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

    def _object(self, value: Any, name: str, origin: str, deadline: float) -> Candidate:
        try:
            fault = discovery.run_guarded(lambda: discovery.why_no_plugin(value), name, origin, deadline)
        except PluginError as error:
            return discovery.broken_candidate(name, origin, error, activate=True, load=lambda: value)
        if fault:
            fault = f"plugin {name!r} ({origin}): {fault}"
            return discovery.broken_candidate(name, origin, fault, activate=True, load=lambda: value)
        return discovery.describe_object(value, origin, deadline, activate=True)

    def _nothing_in(self, module: Any, name: str) -> str:
        """Return what is wrong with a module without plugins: nothing, unless it was requested by name."""
        if fault := discovery.forgotten_decorator(module):
            return fault
        if name not in self.seen:
            return ""
        fault = "has neither hook implementations nor plugin classes"
        foreign = discovery.foreign_classes(module)
        if not foreign:
            return fault
        cls = foreign[0]
        there = f"it imports {cls.__name__} from {cls.__module__}"
        return f"{fault} of its own; {there}: name {module.__name__}:{cls.__name__}"

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
            for folder in project_folders(root, self.sources.script_dir or root):
                if problem := ignored_folder(folder):
                    self.table.report(problem)
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
            module = discovery.run_guarded(load, name, str(file), self.sources.time_for_import())
        except PluginError as error:
            yield discovery.broken_candidate(
                name, str(file), error, module_path=str(file), activate=True, load=load
            )
            return
        self._report_shadowed(file)
        yield from self._contents(module, name, str(file))

    def _report_shadowed(self, file: Path) -> None:
        for problem in discovery.shadowed_neighbors(file):
            self.table.report(problem)

    def _refuse(self, file: Path) -> str | None:
        return refusal(file, self.sources.root, self.sources.program)

    def _paths(self) -> Iterator[Candidate]:
        for place in dict.fromkeys(path.expanduser() for path in self.sources.paths):
            for file in self._files_at(place):
                yield from self._path_file(file, requested=file in (place, place / INIT))

    def _files_at(self, place: Path) -> list[Path]:
        try:
            return discovery.plugin_files(place)
        except OSError as error:
            self.table.report(f"plugin path {place}: cannot be read ({error.strerror})")
            return []

    def _path_file(self, file: Path, *, requested: bool = False) -> Iterator[Candidate]:
        if not file.exists():
            kind = "is a broken link" if file.is_symlink() else "there is no such file or folder"
            self.table.report(f"plugin path {file}: {kind}")
        elif file.suffix != ".py" or not file.is_file():
            self.table.report(f"plugin path {file}: expected a Python file (.py) or a folder of them")
        elif self._is_program(file):
            if requested:
                self.table.report(f"plugin path {file}: is the program itself, and is not run a second time")
        else:
            found = discovery.path_plugins(
                file, self.sources.time_for_import(), self._refuse, requested=requested
            )
            sound = False
            for candidate in found:
                sound = sound or not candidate.broken
                yield candidate
            if sound:  # once for the file, however many plugins it has
                self._report_shadowed(file)
            elif file.name == INIT and (problem := discovery.find_unloaded(file)):
                self.table.report(problem)

    def _is_program(self, file: Path) -> bool:
        program = self.sources.program
        return program is not None and program.exists() and os.path.samefile(file, program)


def is_path(name: str) -> bool:
    """Return whether a requested name is a path in any case, rather than the name of a plugin."""
    return name.endswith(".py") or name.startswith(("./", "../", "~/", "/")) or name in (".", "..")


def _project_name(file: Path, root: Path) -> str:
    """Return the name of a project file's own hooks: ``tracelet_plugins``, prefixed by its folder below the root."""
    stem = FILE_NAME.removesuffix(".py")
    folder = file.parent if file.name == FILE_NAME else file.parent.parent
    if folder == root or root not in file.parents:
        return stem
    return f"{folder.relative_to(root).as_posix()}/{stem}"


def _is_importable(name: str) -> bool:
    """Return whether a module's top package exists, without importing it."""
    head = name.partition(":")[0].partition(".")[0]
    try:
        return importlib.util.find_spec(head) is not None
    except (ImportError, ValueError):
        return False
