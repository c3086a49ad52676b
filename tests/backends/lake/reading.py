"""Reading a lake as a stranger would: fsspec and pyarrow, no tracelet. The names come from docs/lake.md."""

from __future__ import annotations

import json
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet


class Lake:
    """The files below a URL."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.fs, self.root = fsspec.url_to_fs(
            url, skip_instance_cache=True, use_listings_cache=False, **options
        )

    def paths(self, prefix: str = "") -> list[str]:
        """Return the paths of all objects, relative to the URL, sorted."""
        start = f"{self.root}/"
        return sorted(
            path[len(start) :] for path in self.fs.find(self.root) if path.startswith(start + prefix)
        )

    def get(self, path: str) -> bytes:
        """Return an object."""
        return self.fs.cat_file(f"{self.root}/{path}")

    def documents(self) -> list[dict[str, Any]]:
        """Return all run documents."""
        return [json.loads(self.get(path)) for path in self.paths("runs/")]

    def files(self, run: str, kind: str) -> list[str]:
        """Return the data files of one kind of a run: those of the manifest, and all that it does not replace."""
        folder = next(
            (path.split(f"/run={run}/")[0] for path in self.paths("project=") if f"/run={run}/" in path), None
        )
        if folder is None:
            return []
        base = f"{folder}/run={run}/"
        found = [path[len(base) :] for path in self.paths(base) if path[len(base) :].startswith(f"{kind}/")]
        manifest = (
            json.loads(self.get(base + "merged.json")) if base + "merged.json" in self.paths(base) else {}
        )
        merged = set(manifest.get("files", ()))
        return [
            base + path
            for path in found
            if path.endswith(
                ".parquet"
            )  # a folder may have drafts of killed processes, whose names begin with a dot
            and (path in merged or not path.startswith(f"{kind}/merged-"))
            and path not in set(manifest.get("replaced", ()))
        ]

    def rows(self, run: str, kind: str = "metrics") -> list[dict[str, Any]]:
        """Return the rows of a run, in the order of the key, with all repeats."""
        tables = [
            pyarrow.parquet.read_table(pyarrow.BufferReader(self.get(path))) for path in self.files(run, kind)
        ]
        found = [row for table in tables for row in table.to_pylist()]
        return sorted(found, key=key_of)

    def metrics(self, run: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return step, value and time of the points of each metric, each record once."""
        unique = {key_of(row): row for row in self.rows(run)}
        found: dict[str, list[tuple[Any, ...]]] = {}
        for row in unique.values():
            found.setdefault(row["name"], []).append((row["step"], row["value"], row["time"]))
        return found

    def values(self, run: str, kind: str) -> dict[str, Any]:
        """Return parameters or tags: of each name the latest value."""
        rows = sorted(self.rows(run, kind), key=lambda row: (row["time"], *key_of(row)))
        return {row["name"]: row["value"] for row in rows}


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return a row's key."""
    return row["writer"], row["sequence"], row["index"]
