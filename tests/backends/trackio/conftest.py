"""Trackio's own storage class, which reads a folder in a process of its own: it chooses the folder at import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trackio", reason="needs Trackio: pip install 'tracelet[trackio]'")

READER = """
import sys, json, hashlib
import trackio
from trackio import cas
from trackio.sqlite_storage import SQLiteStorage as storage, TRACKIO_DIR
from pathlib import Path

def read(project, run_id):
    artifacts = {}
    for link in storage.get_run_artifacts(project, None, run_id)["output"]:
        manifest = storage.get_artifact_manifest(project, link["artifact"], f"v{link['version']}") \
            if "artifact" in link else storage.get_artifact_manifest(project, link["name"], f"v{link['version']}")
        for entry in manifest["manifest"]:
            artifacts[entry["path"]] = entry["digest"]
    return {
        "logs": storage.get_logs(project, run_id=run_id),
        "system": storage.get_system_logs(project, run_id=run_id),
        "config": storage.get_run_config(project, run_id=run_id),
        "artifacts": artifacts,
        "runs": storage.get_run_records(project),
        "projects": storage.get_projects(),
        "links": storage.get_run_artifacts(project, None, run_id)["output"],
    }

for line in sys.stdin:
    project, run_id = json.loads(line)
    print(json.dumps(read(project, run_id), default=str), flush=True)
"""


class Reader:
    """A process that reads one folder."""

    def __init__(self, folder: Path) -> None:
        environ = {**os.environ, "TRACKIO_DIR": str(folder)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, project: str, run_id: str) -> dict[str, Any]:
        """Return what the folder has of a run."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([project, run_id]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the reader has failed"
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        with suppress(OSError):
            self._process.communicate(timeout=20)


@pytest.fixture(scope="session")
def folder_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of Trackio for many runs: importing Trackio takes seconds, so one process reads it."""
    return tmp_path_factory.mktemp("trackio")


@pytest.fixture(scope="session")
def read(folder_of_all: Path) -> Iterator[Callable[[str, str], dict[str, Any]]]:
    """Return a function that reads a run of a project."""
    reader = Reader(folder_of_all)
    yield reader.read
    reader.close()


@pytest.fixture
def read_folder() -> Iterator[Callable[[Path], Reader]]:
    """Return a function that opens a folder of the test's own."""
    readers: dict[Path, Reader] = {}

    def open_folder(folder: Path) -> Reader:
        if folder not in readers:
            readers[folder] = Reader(folder)
        return readers[folder]

    yield open_folder
    for reader in readers.values():
        reader.close()
