"""The files of an artifact, and the tables and media among them."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracelet.compat.wandb.tables import Table
from tracelet.compat.wandb.values import Media


class Entry:
    """A file of an artifact, or the address of something elsewhere."""

    def __init__(self, path: str, *, local: Path | None = None, ref: str | None = None) -> None:
        self.path = path
        self.local = local
        self.ref = ref

    @property
    def name(self) -> str:
        """The path in the artifact."""
        return self.path

    @property
    def size(self) -> int:
        """Bytes of the file; 0 for an address."""
        return self.local.stat().st_size if self.local is not None else 0

    @property
    def digest(self) -> str:
        """A checksum of the contents."""
        if self.local is None:
            return str(self.ref)
        with self.local.open("rb") as file:
            summed = hashlib.md5(usedforsecurity=False)
            while block := file.read(1 << 20):
                summed.update(block)
        return base64.b64encode(summed.digest()).decode()

    def copy_to(self, root: Path) -> Path:
        """Copy the file into a folder."""
        assert self.local is not None
        target = root / self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.local, target)
        return target

    def download(self, root: Any = None, **_: Any) -> str:
        """Copy the file into a folder (``artifacts``) and return its path.

        Raises:
            ValueError: it is an address.
        """
        if self.local is None:
            raise ValueError(f"{self.path} is a reference to {self.ref}, which stays where it is")
        return str(self.copy_to(Path(root or "artifacts")))

    def ref_target(self) -> str:
        """Return the address.

        Raises:
            ValueError: it is a file.
        """
        if self.ref is None:
            raise ValueError("Only reference entries support ref_target().")
        return self.ref

    def ref_url(self) -> str:
        """Return what stands for the entry in another artifact."""
        return self.ref or str(self.local)


class Manifest:
    """The entries of an artifact, by path."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)


def write_object(obj: Any, name: str, folder: Path) -> str:
    """Write a table or a medium into a folder, and return its path there.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(obj, Table):
        path = f"{name}.table.json"
        data = json.dumps(obj.plain(), default=str).encode()
    elif isinstance(obj, Media):
        data, suffix = _encode(obj)
        path = f"{name}{suffix}"
    else:
        raise ValueError(  # noqa: TRY004 - as W&B does
            f"Found object of type {type(obj).__name__}, expected a wandb.Table or another medium"
        )
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return path


class _Catcher:
    """Takes the calls that record a medium, and keeps what would become its file."""

    def __init__(self) -> None:
        self.found: list[tuple[bytes, str]] = []

    def _log_medium(self, kind: str, name: str, step: Any, encode: Any) -> None:
        data, suffix, _ = encode()
        self.found.append((data, suffix))

    def __getattr__(self, name: str) -> Any:
        from tracelet.run.media_calls import MediaCalls

        method = getattr(MediaCalls, name)
        return lambda *args, **kwargs: method(self, *args, **kwargs)


def _encode(obj: Media) -> tuple[bytes, str]:
    catcher: Any = _Catcher()
    obj.record(catcher, "object", None)
    data, suffix = catcher.found[0]
    return data, suffix


def read_object(entries: Mapping[str, Entry], name: str) -> Any:
    """Return the table or picture that was added under a name, or None."""
    entry = entries.get(f"{name}.table.json") or entries.get(name)
    if entry is not None and entry.path.endswith(".table.json") and entry.local is not None:
        plain = json.loads(entry.local.read_text(encoding="utf-8"))
        return Table(plain["columns"], plain.get("data", plain.get("rows")))
    pictures = [each for path, each in entries.items() if path.startswith(f"{name}.") or path == name]
    if pictures and pictures[0].local is not None and pictures[0].local.suffix in (".png", ".jpg", ".gif"):
        from tracelet.compat.wandb.data_types import Image

        return Image(str(pictures[0].local))
    return None
