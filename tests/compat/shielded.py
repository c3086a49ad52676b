"""Runs the programs of this folder under the shield, and reads what they have recorded."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import tracelet

PROGRAMS = Path(__file__).with_name("programs")


def run_program(project: Any, name: str, *options: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Copy a program into a project and run it with the drop-in of the package that it is named after."""
    shutil.copy(PROGRAMS / name, project.path / name)
    package = name.partition("_")[0]
    quick = ("-p", "no:system", "-p", "no:environment", "-p", "no:gpu")
    command = ("run", "-q", *quick, "--shield", package, *options, name)
    return project.tracelet(*command, status=status, timeout=120)


def records(project: Any, of: str | None = None) -> list[Any]:
    """Return the runs of a project, the oldest first."""
    return tracelet.open_store(project.path).runs(of)[::-1]


def points(record: Any, name: str) -> list[tuple[int, float]]:
    """Return steps and values of a metric."""
    series = record.metric(name)
    return list(zip(map(int, series.iterations), map(float, series.values), strict=True))


def media(record: Any) -> dict[str, dict[str, Any]]:
    """Return what is recorded of each medium, by name."""
    return {one["name"]: one for one in record.artifacts if one["media"] is not None}


def files(record: Any) -> dict[str, bytes]:
    """Return the contents of the files that the program has kept, by their path among the artifacts."""
    found = {}
    for one in record.artifacts:
        if one["media"] is None and one["artifact_path"] != "code" and one["name"] != "code":
            top = "/".join(filter(None, (one["artifact_path"], one["name"])))
            for file in one["files"]:
                inner = file["path"].removeprefix(one["path"]).lstrip("/")
                found[f"{top}/{inner}" if inner else top] = (record.dir / file["path"]).read_bytes()
    return found
