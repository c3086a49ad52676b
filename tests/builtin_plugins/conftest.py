"""The built-in plugins run here under a bare pluggy manager: they need no more than any plugin has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from tracelet_hookspecs import PROJECT_NAME, specs


def bare_manager(plugin: Any) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(specs)
    manager.register(plugin)
    manager.check_pending()
    return manager


@pytest.fixture
def started() -> Iterator[Callable[..., Any]]:
    """Return a function that starts a plugin under a bare manager, and stop them all afterwards.

    What it returns calls the plugin's hooks: ``hooks.collect()`` gives that plugin's own answer.
    """
    managers = []

    def start(plugin: Any, **config: Any) -> Any:
        manager = bare_manager(plugin)
        managers.append(manager)
        manager.hook.initialize(config=config)
        manager.hook.start()
        return SimpleNamespace(
            **{name: answer_of(getattr(manager.hook, name)) for name in dir(manager.hook) if name[0] != "_"}
        )

    yield start
    for manager in managers:
        manager.hook.stop()


def answer_of(caller: pluggy.HookCaller) -> Callable[..., Any]:
    return lambda **arguments: next(iter(caller(**arguments)), None)


@pytest.fixture
def run(tmp_path: Path) -> SimpleNamespace:
    """Return a run as hooks see it."""
    folder = tmp_path / "runs" / "20260101-000000-abcdef"
    folder.mkdir(parents=True)
    return SimpleNamespace(
        id=folder.name, name="digits", project="vision", dir=folder, started_at=1767225600.5
    )


@pytest.fixture
def flat() -> Callable[[Any], dict[str, Any]]:
    """Return the host's way of naming: nested mappings flattened with a slash."""

    def flatten(values: Any, prefix: str = "") -> dict[str, Any]:
        if not isinstance(values, dict):
            return {prefix: values}
        parts = (flatten(value, f"{prefix}/{name}".lstrip("/")) for name, value in values.items())
        return {name: value for part in parts for name, value in part.items()}

    return flatten
