"""Whether a text is the URL of a lake, or a folder is one. Each store that is opened asks this, so it loads little."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

#: As in ``lake_layout``, whose import takes longer than this module's work.
RUNS: Final = "runs"
_BESIDE: Final = frozenset({RUNS, "artifacts"})  # what a lake's folder has besides projects
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(text: Any) -> bool:
    """Return whether a text is a URL (``s3://...``), not the path of a folder."""
    return isinstance(text, str) and _URL.match(text) is not None


def is_lake(folder: Path) -> bool:
    """Return whether a folder on this machine is a lake: it has run documents, or partitions of projects."""
    return _has_projects(folder / RUNS) or _has_projects(folder)


def _has_projects(folder: Path) -> bool:
    """Return whether a folder has projects. The first entry decides: a data folder may have 100,000 runs."""
    try:
        with os.scandir(folder) as entries:
            first = next((one for one in entries if one.name[0] != "." and one.name not in _BESIDE), None)
            return first is not None and first.name.startswith("project=") and first.is_dir()
    except OSError:
        return False
