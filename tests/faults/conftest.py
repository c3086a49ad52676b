"""What the fault suite shares with the tests of delivery and of the journal, and a program's bare environment."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest


def load(path: Path) -> ModuleType:
    """Import a file of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TESTS = Path(__file__).parents[1]
delivery = load(TESTS / "delivery" / "conftest.py")
stage, backend, one_by_one = delivery.stage, delivery.backend, delivery.one_by_one
journal = load(TESTS / "journal" / "conftest.py").journal


@pytest.fixture
def campaign():
    """Return a function that imports a campaign, one of the programs in this folder."""
    return lambda name: load(Path(__file__).with_name(f"{name}.py"))


@pytest.fixture
def environ() -> dict[str, str]:
    """Return an environment in which nothing but the journal is at work."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TRACELET_")}
    return {**kept, "TRACELET_DISABLE_PLUGIN_AUTOLOAD": "1", "TRACELET_MODE": "offline"}
