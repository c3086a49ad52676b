"""The pytest plugin: fixtures, and the results of conformance suites. It imports nothing until one of them is used."""

from __future__ import annotations

import pytest

TYPE_CHECKING = False  # as type checkers know it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from tracelet.run import Run
    from tracelet.testing.harness import Harness
    from tracelet.testing.project import Project


@pytest.fixture
def tracelet_project(tmp_path: Path) -> Project:
    """Return a project folder with an environment and a home folder of its own, where programs run for real."""
    from tracelet.testing.project import make_project

    return make_project(tmp_path)


@pytest.fixture
def tracelet_sealed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seal this process: an empty home folder, and no variables of tracelet's. Returns the home folder."""
    from tracelet.testing.project import seal

    home = tmp_path_factory.mktemp("home")
    seal(monkeypatch, home)
    return home


@pytest.fixture
def tracelet_run(tracelet_sealed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return a run in a temporary store, strict, without the collectors that are on by default."""
    import tracelet

    folder = tmp_path_factory.mktemp("store")
    off = {name: {"enabled": False} for name in ("system", "gpu", "environment")}
    run = tracelet.start_run("test", dir=folder, config={"plugins": off}, strict=True)
    try:
        yield run
    finally:
        run.finish()


@pytest.fixture
def tracelet_harness(
    tracelet_sealed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Harness]]:
    """Return a function that drives one plugin in the real host: ``tracelet_harness(Plugin, config)``."""
    from tracelet.testing.harness import Harness

    made: list[Harness] = []

    def make(plugin: Any, config: Any = None, **options: Any) -> Harness:
        options.setdefault("folder", tmp_path_factory.mktemp("harness"))
        made.append(Harness(plugin, config, **options))
        return made[-1]

    yield make
    for harness in reversed(made):
        harness.close()
    for harness in made:
        if harness.strict:
            harness.check()
