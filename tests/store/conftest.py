"""Recorded runs to read: real journals, written by the journal's own writer."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tracelet.journal import Writer
from tracelet.store import Store, open_store


class Records:
    """A data folder to record runs into."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._open: list[Writer] = []

    def folder(self, run_id: str) -> Path:
        return self.data / "runs" / run_id

    def start(self, run_id: str, *, name: str | None = None, project: str = "digits", **facts: Any) -> Writer:
        """Begin to record a run, or join it."""
        run = {"id": run_id, "name": name or run_id, "project": project}
        writer = Writer(self.folder(run_id), {"run": run, **facts})
        self._open.append(writer)
        return writer

    def run(
        self,
        run_id: str,
        metrics: Mapping[str, list[float]] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        outcome: str | None = "finished",
        error: str | None = None,
        **facts: Any,
    ) -> Path:
        """Record a whole run and return its folder."""
        writer = self.start(run_id, **facts)
        if params:
            writer.event("params", {"params": dict(params)})
        if tags:
            writer.event("tags", {"tags": dict(tags)})
        for name, values in (metrics or {}).items():
            for step, value in enumerate(values):
                writer.point(name, value, step)
        if outcome is not None:
            writer.close(outcome, error)
        return self.folder(run_id)

    def store(self) -> Store:
        """Open the store as another process would: with nothing remembered."""
        return open_store(self.data)

    def close(self) -> None:
        for writer in self._open:
            writer.close()


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Records]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / ".tracelet").mkdir()
    records = Records(tmp_path / ".tracelet")
    yield records
    records.close()


Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def program(records: Records) -> Iterator[Program]:
    """Return a function that starts a Python program with the data folder as its first argument."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str, *argv: Any) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", textwrap.dedent(text), str(records.data), *map(str, argv)]
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
