"""What the fault suite shares: the stage of delivery's tests, and an environment without the machine's habits."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest


def load(path: Path) -> ModuleType:
    """Import a file of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(f"faults_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shared = load(Path(__file__).parents[1] / "delivery" / "conftest.py")
stage, backend, one_by_one = shared.stage, shared.backend, shared.one_by_one


@pytest.fixture
def campaign():
    """Return a function that imports a campaign, one of the programs in this folder."""
    return lambda name: load(Path(__file__).with_name(f"{name}.py"))


@pytest.fixture
def environ() -> dict[str, str]:
    """Return an environment in which nothing but the journal is at work."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TRACELET_")}
    return {**kept, "TRACELET_DISABLE_PLUGIN_AUTOLOAD": "1", "TRACELET_MODE": "offline"}
