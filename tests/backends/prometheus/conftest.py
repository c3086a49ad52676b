"""A real Prometheus, a real Pushgateway, and the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from backend_servers import Prometheus, Pushgateway


@pytest.fixture(scope="session")
def prometheus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a Prometheus that the tests share: each uses a run of its own."""
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def pushgateway(tmp_path: Path) -> Iterator[Any]:
    """Return a Pushgateway of the test's own."""
    server = Pushgateway(tmp_path / "pushgateway")
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def view(tmp_path: Path, request: pytest.FixtureRequest) -> SimpleNamespace:
    """Return a run as hooks see it, with an id of its own."""
    return SimpleNamespace(id=tmp_path.name, name="first", project="tests", dir=tmp_path, started_at=1.7e9)


@pytest.fixture
def start() -> Iterator[Callable[..., Any]]:
    """Return a function that starts the plugin with a configuration; it is stopped at the end."""
    pytest.importorskip("cramjam", reason="needs cramjam: pip install 'tracelet[prometheus]'")
    from tracelet_builtin_plugins.backends.prometheus import PrometheusBackend

    started = []

    def start(**config: Any) -> Any:
        plugin = PrometheusBackend()
        plugin.initialize(config)
        plugin.start()
        started.append(plugin)
        return plugin

    yield start
    for plugin in started:
        plugin.stop()


@pytest.fixture
def plugin(start: Callable[..., Any], prometheus_server: Any) -> Any:
    """Return a started plugin that writes to the shared server."""
    return start(remote_write_url=f"{prometheus_server.url}/api/v1/write")
