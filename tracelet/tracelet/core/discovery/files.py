"""Plugins from files: ``tracelet_plugins.py`` beside the code, and the folders of plugin files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tracelet.core.discovery.found import Found, broken
from tracelet.core.discovery.modules import describe, guarded, import_file, plugins_of
from tracelet.core.discovery.static import literal_metadata
from tracelet.errors import PluginError
from tracelet_hookspecs import PluginInfo


def plugin_files(place: Path) -> list[Path]:
    """Return the plugin files of a place: itself, or those in the folder that do not start with ``_``."""
    if place.is_dir():
        return sorted(file for file in place.glob("*.py") if not file.name.startswith("_"))
    return [place]


def path_plugins(file: Path, deadline: float) -> Iterator[Found]:
    """Yield the plugins in one file of a plugin path, without importing it where its source says enough."""
    origin = str(file)
    try:
        known = literal_metadata(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        yield broken(file.stem, origin, f"{file}: {describe(error)}", module_path=str(file))
        return
    if known is None:
        yield from _imported(file, deadline)
        return
    for class_name, metadata in known.items():
        info = PluginInfo(metadata, module_path=str(file), class_name=class_name, origin=origin)
        yield Found(info, load=lambda class_name=class_name: getattr(import_file(file), class_name))  # type: ignore[misc]


def _imported(file: Path, deadline: float) -> Iterator[Found]:
    origin = str(file)
    try:
        found = guarded(lambda: list(plugins_of(import_file(file), file.stem, origin)), str(file), deadline)
    except PluginError as error:
        yield broken(file.stem, origin, str(error), module_path=str(file))
        return
    yield from found


def load_from_path(module_path: str, class_name: str) -> object:
    """Load what a :class:`PluginInfo` made by hand points at: a file or an import name, and a class in it."""
    import importlib

    is_file = module_path.endswith(".py")
    module = import_file(Path(module_path)) if is_file else importlib.import_module(module_path)
    return getattr(module, class_name) if class_name else module
