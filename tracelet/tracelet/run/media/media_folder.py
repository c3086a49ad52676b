"""Where media go: a file per medium, named after the metric and its step."""

from __future__ import annotations

import errno
import hashlib
import re
import secrets
from pathlib import Path, PurePosixPath
from typing import Any

from tracelet.run.run_files import WrittenFiles, fit_name, new_part, open_inside, publish_file, remove_tree
from tracelet.safe_files import Descriptor, write_all


def media_parts(name: str) -> list[str]:
    """Return a medium's name as the names of folders and, last, of a file without its suffix."""
    parts = [re.sub(r"[^\w.\- ]", "_", part) for part in name.split("/") if part.strip(". ")]
    parts = [fit_name(part, 160) for part in parts] or ["unnamed"]
    if sum(len(part.encode()) + 1 for part in parts) > 1500:
        whole = "/".join(parts)
        parts = [fit_name(parts[0], 60), hashlib.sha256(whole.encode()).hexdigest()[:24]]
    return parts


class MediaFolder:
    """The media of a run: each becomes a file named after the metric and its step, with a number if that is taken."""

    def __init__(self, run_dir: Path, written: WrittenFiles) -> None:
        self._run_dir = run_dir
        self._written = written
        self._next: dict[str, int] = {}  # the number to try next, by path

    def write(self, name: str, step: int | None, suffix: str, data: bytes) -> dict[str, Any]:
        """Write a medium and return its record: path, size, SHA-256."""
        *folders, stem = media_parts(name)
        stem = stem if step is None else f"{stem}-{step}"
        folders = ["media", *folders]
        folder = open_inside(self._run_dir, PurePosixPath(*folders))
        file, part = new_part(folder)
        try:
            write_all(file, data)
            final = self._publish(folder, part, "/".join([*folders, stem]), suffix)
        except BaseException:
            remove_tree(folder, part)
            raise
        path = str(PurePosixPath(*folders, final))
        self._written.add(path)
        return {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def _publish(self, folder: Descriptor, part: str, key: str, suffix: str) -> str:
        count, stem = self._next.get(key + suffix, 0), key.rpartition("/")[2]
        for attempt in range(20):
            name = f"{stem}.{count}{suffix}" if count else stem + suffix
            if publish_file(folder, part, name):
                self._next[key + suffix] = count + 1
                return name
            # Other processes number their media, too. After some attempts a number at random is free.
            count = count + 1 if attempt < 10 else secrets.randbits(48)
        raise FileExistsError(errno.EEXIST, "no free name found", stem + suffix)
