"""Importing plugin files and packages by their path, and what they import from their own folder.

A plugin file that imports its neighbors (``from .helpers import x`` or ``import helpers``) gets them under the same
rule as the file itself: no code that another user could have written, and never bytecode in place of the source.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host import locations
from tracelet.host.leftovers import current_owner
from tracelet.host.projectfile import INIT, file_label

NAMES_MORE: Final = "tracelet_plugins"

Refuse = Callable[[Path], str | None]  # why a file must not be run, or None

_PACKAGE: Final = "_tracelet_plugins_"  # what the names of the packages of plugin files begin with
_OF_PYTHON: Final = frozenset((*sys.builtin_module_names, *sys.stdlib_module_names))

_locks: dict[Path, Any] = {}  # by file: another thread must not see a module that is only half executed
_imported: dict[Path, tuple[bytes, ModuleType]] = {}  # by file: the digest of the source, and the module
_rules: dict[str, Refuse] = {}  # by top-level name: the rule for the files of this package
_folders: dict[str, Refuse] = {}  # by folder: the rule for what plugin files there import from it


def import_file(file: Path, refuse: Refuse | None = None) -> ModuleType:
    """Import a ``.py`` file, or a package by its ``__init__.py``, once for each version of its text.

    Its folder is appended to ``sys.path``, so that the file can import its neighbors; ``from .helpers import X`` works
    too, and means the neighbor even if another folder has a module of that name. A file that was edited since is
    executed again, into a new module. ``refuse`` is the rule for those neighbors; the file was examined by the caller.
    """
    file = file.resolve()
    with _locks.setdefault(file, threading.RLock()):
        digest = _digest_of(file)
        known = _imported.get(file)
        if known is not None and known[0] == digest:
            return known[1]
        locations.importers[file] = threading.get_ident()  # for those that wait for the lock
        module = _execute(file, _module_name(file, known[1] if known is not None else None), refuse)
        _imported[file] = digest, module
        return module


def _digest_of(file: Path) -> bytes:
    """Return a digest of a file, or of all source files of a package."""
    digest = hashlib.sha256(file.read_bytes())
    if file.name == INIT:
        for each in sorted(file.parent.rglob("*.py")):
            if each != file and each.is_file():
                digest.update(each.read_bytes())
    return digest.digest()


def _module_name(file: Path, earlier: ModuleType | None) -> str:
    """Return the name to import a file under: its own if Python would import this file by it, else a unique one.

    With its own name, the functions of the file can be pickled and sent to a spawned process. A name that means
    something else, now or later, is never taken.
    """
    if earlier is not None:
        return earlier.__name__
    own, unique = file_label(file), f"{file_label(file)}_{_hash_of(file)}"
    if not own.isidentifier() or own in sys.modules:
        return unique
    try:
        spec = importlib.util.find_spec(own)
    except (ImportError, ValueError):
        return unique
    if spec is None:
        return own if own == NAMES_MORE or file.name == INIT else unique
    return own if spec.origin and Path(spec.origin).resolve() == file else unique


def _hash_of(path: Path) -> str:
    return hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:12]


class _SourceLoader(SourceFileLoader):
    """Runs the source that was checked, and neither reads nor writes the bytecode next to it."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _NeighborFinder(MetaPathFinder):
    """Finds what plugin files import from their own folders, to which the rules for plugin files apply as well.

    An absolute import counts if a plugin makes it: what the program imports is the program's own business.
    """

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        top = fullname.partition(".")[0]
        if top not in _rules and (path is not None or top in _OF_PYTHON or not current_owner()):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None:
            return None
        if top not in _rules and not self._is_neighbor(spec):
            return None
        if not spec.origin or not spec.has_location:
            return spec
        refuse = _rules.get(top)
        if refuse is not None and (why := refuse(Path(spec.origin))) is not None:
            raise ImportError(why, name=fullname, path=spec.origin)
        if type(spec.loader) is SourceFileLoader:
            spec.loader = _SourceLoader(fullname, spec.origin)
        return spec

    def _is_neighbor(self, spec: ModuleSpec) -> bool:
        """Return whether a top-level module is next to a plugin file, and keep the rule for what is in it."""
        inside = spec.submodule_search_locations
        place = next(iter(inside), "") if inside is not None else spec.origin or ""
        refuse = _folders.get(os.path.realpath(os.path.dirname(place))) if place else None
        if refuse is None:
            return False
        _rules[spec.name] = refuse
        return True


_neighbor_finder: Final = _NeighborFinder()


def _execute(file: Path, name: str, refuse: Refuse | None) -> ModuleType:
    if _neighbor_finder not in sys.meta_path:
        sys.meta_path.insert(0, _neighbor_finder)
    is_package = file.name == INIT
    folder = file.parent.parent if is_package else file.parent
    spec = importlib.util.spec_from_file_location(
        name,
        file,
        loader=_SourceLoader(name, str(file)),
        submodule_search_locations=[str(file.parent)] if is_package else None,
    )
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise PluginError(f"{file}: expected a Python file (.py)", step="import")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    if refuse is not None:
        _folders[str(folder)] = refuse
    module = importlib.util.module_from_spec(spec)
    if is_package:
        _register_package(name, refuse)
    else:
        package = _package_of(folder, refuse)
        # The folder acts as the package for relative imports, whatever the name of the module is.
        module.__package__ = package
        module.__spec__ = ModuleSpec(f"{package}.{file.stem}", spec.loader, origin=spec.origin)
    earlier = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if earlier is not None:
            sys.modules[name] = earlier
        else:
            sys.modules.pop(name, None)
        raise
    return module


def _register_package(name: str, refuse: Refuse | None) -> None:
    """Keep the rule for a package's modules, and forget those of an earlier version."""
    _rules[name] = refuse or _rules.get(name, _accept)
    for inner in [each for each in sys.modules if each.startswith(f"{name}.")]:
        del sys.modules[inner]


def _package_of(folder: Path, refuse: Refuse | None) -> str:
    """Create the package that represents a folder of plugin files, and return its name."""
    name = f"{_PACKAGE}{_hash_of(folder)}"
    _rules[name] = refuse or _rules.get(name, _accept)
    if name not in sys.modules:
        package = ModuleType(name, f"The plugin files in {folder}.")
        package.__path__ = [str(folder)]
        package.__package__ = name
        package.__spec__ = ModuleSpec(name, None, is_package=True)
        package.__spec__.submodule_search_locations = [str(folder)]
        sys.modules[name] = package
    return name


def _accept(file: Path) -> None:
    """Refuse nothing."""


def shadowed_neighbors(file: Path) -> list[str]:
    """Return a sentence for each import in a plugin file that gives another module than the one next to the file."""
    try:
        text = file.read_bytes()
        if not any(_shadowed(file, name) for name in _words_beside_import(text)):
            return []  # nearly always; parsing takes much longer
        tree = ast.parse(text, str(file))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return [problem for name in sorted(names) if (problem := _shadowed(file, name))]


def _words_beside_import(text: bytes) -> set[str]:
    """Return the words that may be names of imported modules: all those on lines with the word ``import``."""
    lines = [line for line in text.replace(b"\\\n", b" ").splitlines() if b"import" in line]
    return {word for line in lines for word in re.findall(r"\w+", line.decode(errors="replace"))}


def _shadowed(file: Path, name: str) -> str:
    origin = getattr(sys.modules.get(name), "__file__", None)
    if origin is None:
        return ""
    neighbor = file.parent / f"{name}.py"
    if not neighbor.is_file() or Path(origin).resolve() == neighbor.resolve():
        return ""
    return (
        f"{file}: 'import {name}' gives {origin}, not the {name}.py next to it; write 'from . import {name}'"
    )
