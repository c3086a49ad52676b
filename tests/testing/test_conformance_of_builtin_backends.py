"""The built-in backend jsonl passes the kit, read back from its file."""

from __future__ import annotations

import json
from pathlib import Path

from tracelet.testing import BackendConformance, FarSide


def files_of(path, place):
    """Return the contents of an artifact, which the file names by its place in the run's folder."""
    top = Path(place or "", path.name)
    if path.is_file():
        return {top.as_posix(): path.read_bytes()}
    return {
        (top / file.relative_to(path)).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
    }


class TestJsonl(BackendConformance):
    plugin = "jsonl"
    config = {"path": "events.jsonl"}

    def read_back(self, run):
        path = run.dir / "events.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        metrics = {}
        for line in lines:
            if line["type"] == "metric":
                metrics.setdefault(line["name"], []).append(
                    (line["step"], float(line["value"]), line["time"])
                )
        params = {k: v for line in lines if line["type"] == "params" for k, v in line["params"].items()}
        tags = {k: v for line in lines if line["type"] == "tags" for k, v in line["tags"].items()}
        artifacts = {}
        for line in lines:
            if line["type"] == "artifact":
                artifacts |= files_of(run.dir / line["path"], line["artifact_path"])
        return FarSide(metrics=metrics, params=params, tags=tags, artifacts=artifacts)
