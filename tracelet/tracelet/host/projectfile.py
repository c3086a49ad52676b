"""Where ``tracelet_plugins.py`` files, or packages of that name, are found."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FILE_NAME: Final = "tracelet_plugins.py"
_PACKAGE: Final = "tracelet_plugins/__init__.py"


def project_files(root: Path, script_dir: Path) -> list[Path]:
    """Return the plugin files from the project root down to the script's folder, outermost first.

    A folder without such a file may have a package ``tracelet_plugins/`` instead.
    For a script outside the root these are the root's own file and the one in the script's folder.
    """
    root, script_dir = root.resolve(), script_dir.resolve()
    folders = [script_dir, *script_dir.parents]
    chain = folders[: folders.index(root) + 1] if root in folders else [script_dir, root]
    found = []
    for folder in reversed(chain):
        files = (folder / FILE_NAME, folder / _PACKAGE)
        found += [file for file in files if file.is_file()][:1]
    return found
