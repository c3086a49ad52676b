"""Where ``tracelet_plugins.py`` files, or packages of that name, are found."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FILE_NAME: Final = "tracelet_plugins.py"
INIT: Final = "__init__.py"
_FOLDER: Final = "tracelet_plugins"


def file_label(file: Path) -> str:
    """Return the name of a plugin file without its suffix; of a package's ``__init__.py``, that of the package."""
    return file.parent.name if file.name == INIT else file.stem


def project_folders(root: Path, script_dir: Path) -> list[Path]:
    """Return the folders in which plugin files of the project count, outermost first."""
    root, script_dir = root.resolve(), script_dir.resolve()
    folders = [script_dir, *script_dir.parents]
    chain = folders[: folders.index(root) + 1] if root in folders else [script_dir, root]
    return list(dict.fromkeys(reversed(chain)))


def project_files(root: Path, script_dir: Path) -> list[Path]:
    """Return the plugin files from the project root down to the script's folder, outermost first.

    A folder without such a file may have a package ``tracelet_plugins/`` instead.
    For a script outside the root these are the root's own file and the one in the script's folder.
    """
    found = []
    for folder in project_folders(root, script_dir):
        files = (folder / FILE_NAME, folder / _FOLDER / INIT)
        found += [file for file in files if file.is_file()][:1]
    return found


def ignored_folder(folder: Path) -> str:
    """Return a sentence about a folder ``tracelet_plugins/`` that does not count, or an empty text."""
    package = folder / _FOLDER
    if (package / INIT).is_file():
        if (folder / FILE_NAME).is_file():
            return f"{folder / FILE_NAME} counts, and the package {package} next to it does not; remove one of them"
        return ""
    try:
        has_code = any(package.glob("*.py"))
    except OSError:
        return ""
    return (
        f"{package} has no {INIT}, so nothing in it is loaded; add one that imports its plugins"
        if has_code
        else ""
    )
