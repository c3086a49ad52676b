"""What the tests of launchers need: a Slurm cluster and two hosts of their own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    """Import a module beside this file, which is in no package."""
    spec = importlib.util.spec_from_file_location(
        f"tracelet_tests_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def slurm() -> Iterator[Any]:
    """Return a Slurm cluster with one node, which takes 8 tasks at once."""
    cluster = _load("slurm").Slurm()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Any]:
    """Return two hosts that share all folders."""
    both = _load("hosts").Hosts()
    try:
        both.start(tmp_path)
        yield both
    finally:
        both.close()
