"""A stand-in for a ClearML server, and the way to read back what it has."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_spec = importlib.util.spec_from_file_location("clearml_stand_in", Path(__file__).with_name("stand_in.py"))
assert _spec is not None
assert _spec.loader is not None
stand_in_module: Any = sys.modules.setdefault("clearml_stand_in", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(stand_in_module)


@pytest.fixture(scope="session")
def _clearml_server() -> Iterator[Any]:
    if importlib.util.find_spec("clearml") is None:
        pytest.skip("needs the package clearml (pip install 'tracelet[clearml]')")
    server = stand_in_module.StandIn()
    yield server
    server.close()


@pytest.fixture
def clearml_server(_clearml_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a stand-in server. The environment names it as the client's configuration would."""
    for name, value in _clearml_server.environment().items():
        monkeypatch.setenv(name, value)
    _clearml_server.is_down, _clearml_server.status = False, None
    return _clearml_server
