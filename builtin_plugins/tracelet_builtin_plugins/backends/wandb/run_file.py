"""The file in which wandb keeps a run (``run-ID.wandb``): what of a run has been written to it.

The format is LevelDB's log: blocks of 32 KiB, in them fragments of records with a header of seven bytes (checksum,
length, kind), after seven bytes that identify the file. Records are not parsed here: it is enough to find a text.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from tracelet_builtin_plugins.backends.wandb.mapping import read_delivered

__all__ = ["RunFile", "delivered_in"]

_BLOCK: Final = 32_768
_HEADER: Final = struct.Struct("<IHB")
_START: Final = 7  # the file's own header


class RunFile:
    """Reads the file as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = _START
        self._tail = b""  # the end of what was read, since a text may continue in the next fragment

    def read_delivered(self) -> dict[str, list[int]]:
        """Return the positions that were written since the last call."""
        data = self._tail + self._read_fragments()
        self._tail = data[-4096:]
        return read_delivered(data)

    def _read_fragments(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                start = self._position - self._position % _BLOCK
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return b""
        parts = []
        at = self._position - start
        while True:
            left = _BLOCK - at % _BLOCK
            if left < _HEADER.size:
                at += left
            if at + _HEADER.size > len(data):
                break
            _, length, kind = _HEADER.unpack_from(data, at)
            if kind == 0 and length == 0:  # the rest of the block is padding
                at += left
                continue
            end = at + _HEADER.size + length
            if end > len(data):
                break
            parts.append(data[at + _HEADER.size : end])
            at = end
        self._position = max(self._position, start + min(at, len(data)))
        return b"".join(parts)


def delivered_in(folder: Path, run_id: str) -> dict[str, list[int]]:
    """Return the last position of each writer in all files of a run, below wandb's folder."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob(f"*run-*-{run_id}*/run-{run_id}.wandb")):  # "-1" follows within a second
        for writer, position in RunFile(path).read_delivered().items():
            found[writer] = max(found.get(writer, position), position)
    return found
