"""Plugins in files: folders of plugin files, and the target of a description made by hand."""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from tracelet.config.trust import refusal
from tracelet.errors import PluginError
from tracelet.host.discovery.candidate import Candidate, broken_candidate, describe_with_location
from tracelet.host.discovery.fileimport import Refuse, import_file
from tracelet.host.discovery.inspection import forgotten_decorator
from tracelet.host.discovery.modules import attribute_of, plugins_in_module, reexported, run_guarded
from tracelet.host.discovery.static import is_script, literal_metadata, starts_run
from tracelet.host.projectfile import INIT, file_label
from tracelet_hookspecs import PluginInfo

_MARKS: Final = (b"hookimpl", b"PluginMetadata")


def plugin_files(place: Path) -> list[Path]:
    """Return the plugin files at a path: the file itself, or those in the folder not starting with ``_``.

    A package counts as one file, its ``__init__.py``: a folder in the folder, or the folder itself, unless its
    ``__init__.py`` is empty.
    """
    if not place.is_dir():
        return [place]
    if _is_package(place) and _has_code(place / INIT):
        return [place / INIT]
    files = [file for file in place.glob("*.py") if not file.name.startswith("_")]
    files = [file for file in files if file.is_file() or (file.is_symlink() and not file.exists())]
    packages = [folder / INIT for folder in place.iterdir() if _is_package(folder)]
    return sorted([*files, *packages], key=lambda file: (file_label(file), file))


def _is_package(folder: Path) -> bool:
    return not folder.name.startswith(("_", ".")) and (folder / INIT).is_file()


def _has_code(file: Path) -> bool:
    """Return whether a file has more than a docstring. One that cannot be read is reported later."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def find_unloaded(init: Path) -> str:
    """Return why a package without plugins has some after all: they are in its modules, which it does not import."""
    for file in sorted(init.parent.glob("*.py")):
        try:
            text = file.read_bytes()
        except OSError:
            continue
        if file.name != INIT and any(mark in text for mark in _MARKS):
            return (
                f"{init.parent}: the package has no plugin in its {INIT}, and the one in {file.name} is not loaded;"
                f" import it in {INIT} (from .{file.stem} import ...)"
            )
    return ""


def path_plugins(
    file: Path, deadline: float, refuse: Refuse = refusal, *, requested: bool = False
) -> Iterator[Candidate]:
    """Yield the plugins in one file of a plugin path. The file is not imported if its source says enough.

    A script is not imported either: a file that would start a run is a broken candidate, and one that could not hold a
    plugin yields nothing, unless it is ``requested`` by its own path. A plugin of plain functions is named after the
    file, or after the link to it, if it is a link.
    """
    file = Path(os.path.abspath(file))
    try:
        tree = ast.parse(file.read_bytes(), str(file))
        known, line, script = literal_metadata(tree), starts_run(tree), is_script(tree)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"plugin {file_label(file)!r} ({file}): {describe_with_location(error)}"
        yield _broken(file, PluginError(message, step="import", cause=error), refuse)
        return
    if script and not requested:
        return
    if line:
        message = f"plugin {file_label(file)!r} ({file}): not imported, because line {line} starts a run"
        hint = 'move the training into a file of its own, or under: if __name__ == "__main__":'
        yield _broken(file, PluginError(f"{message}; {hint}", step="import"), refuse)
    elif known is None:
        yield from _import(file, deadline, refuse)
    else:
        for class_name, metadata in known.items():
            info = PluginInfo(metadata, module_path=str(file), class_name=class_name, origin=str(file))
            yield Candidate(info, load=_loader(file, class_name, refuse))


def _loader(file: Path, class_name: str, refuse: Refuse) -> Callable[[], object]:
    return lambda: getattr(checked_import(file, refuse), class_name)


def _broken(file: Path, error: PluginError, refuse: Refuse) -> Candidate:
    return broken_candidate(
        file_label(file), str(file), error, module_path=str(file), load=lambda: checked_import(file, refuse)
    )


def _import(file: Path, deadline: float, refuse: Refuse) -> Iterator[Candidate]:
    try:
        module = run_guarded(lambda: checked_import(file, refuse), file_label(file), str(file), deadline)
    except PluginError as error:
        yield _broken(file, error, refuse)
        return
    plugins = list(plugins_in_module(module, file_label(file), str(file), deadline))
    if not plugins and file.name == INIT:
        plugins = reexported(module, str(file), deadline)
    if not plugins and (fault := forgotten_decorator(module)):
        yield _broken(
            file, PluginError(f"plugin {file_label(file)!r} ({file}): {fault}", step="import"), refuse
        )
    yield from plugins


def checked_import(file: Path, refuse: Refuse = refusal) -> ModuleType:
    """Import a plugin file. Raises :class:`PluginError`, with the remedy, if it could hold another user's code."""
    why = refuse(file)
    if why is not None:
        raise PluginError(why, step="import")
    return import_file(file, refuse)


def load_described(info: PluginInfo) -> object:
    """Load the target of a description made by hand: a file or an import name, and a class in it."""
    path, class_name = os.fspath(info.module_path), info.class_name
    if not path and info.metadata.entry_point:
        path, class_name = _split(info.metadata.entry_point)
    if not path:
        raise PluginError(
            f"plugin {info.name!r}: its location is unknown; set instance, or module_path and class_name,"
            " or metadata.entry_point",
            plugin=info.name,
            step="import",
        )
    module = checked_import(Path(path)) if path.endswith(".py") else importlib.import_module(path)
    return attribute_of(module, class_name, f"plugin {info.name!r}: ")


def _split(entry_point: str) -> tuple[str, str]:
    """Split ``pkg.module.Class`` or ``pkg.module:Class``."""
    separator = ":" if ":" in entry_point else "."
    path, _, class_name = entry_point.rpartition(separator)
    return path or class_name, class_name if path else ""
