"""A store to import into, and how to look at what is in it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.importers import ImportResult, import_runs


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


class Target:
    """A store that the tests import into."""

    def __init__(self, folder: Path) -> None:
        self.dir = folder / "target" / ".tracelet"

    def load(self, source: Path | str, format: str | None = None, **more: Any) -> list[ImportResult]:
        return import_runs(source, format=format, dir=self.dir, **more)

    def runs(self) -> dict[str, Any]:
        return {run.name: run for run in tracelet.open_store(self.dir).runs()}

    def run(self, name: str) -> Any:
        return tracelet.open_store(self.dir).run(name)

    def points(self, run: str, metric: str) -> list[tuple[int, bytes, float]]:
        """Return step, the bits of the value, and time of each point, in the order of recording."""
        series = self.run(run).metric(metric)
        return [
            (int(step), bits(value), float(time))
            for step, value, time in zip(series.iterations, series.values, series.timestamps, strict=True)
        ]

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.dir).as_posix() for path in self.dir.rglob("*") if path.is_file())


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "tracelet.toml").write_text("")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("TRACELET_DIR", raising=False)
    return Target(tmp_path)


@pytest.fixture
def without_numpy(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes NumPy unavailable to the importers."""

    def hide() -> None:
        import sys

        from tracelet.importers import columns

        monkeypatch.setattr(columns, "use_numpy", lambda wanted=None: False)
        name = "tracelet_builtin_plugins.backends.tensorboard.history.columns"
        monkeypatch.setitem(sys.modules, name, None)

    return hide


def grown(parts: list[bytes]) -> Iterator[bytes]:
    for count in range(1, len(parts) + 1):
        yield b"".join(parts[:count])
