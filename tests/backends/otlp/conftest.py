"""A receiver of OTLP, and the plugin, over both protocols."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PROTOCOLS = ["http/protobuf", "grpc"]


@pytest.fixture
def module() -> Any:
    """Return the module with the receivers."""
    pytest.importorskip(
        "opentelemetry.proto", reason="needs opentelemetry-proto: pip install 'tracelet[otlp]'"
    )
    name = "otlp_receiver"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("receiver.py"))
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        sys.modules[name] = made
    return sys.modules[name]


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    """Return each protocol in turn."""
    if request.param == "grpc":
        pytest.importorskip("grpc", reason="needs grpcio: pip install 'tracelet[otlp-grpc]'")
    return request.param


@pytest.fixture
def receiver(module: Any, protocol: str) -> Iterator[Any]:
    """Return a receiver, with ``config`` for the plugin, ``stop()`` and ``restart()``."""
    made = module.Receiver()
    state: dict[str, Any] = {}

    def restart() -> None:
        if protocol == "grpc":
            state["server"], state["port"] = module.serve_grpc(made, state.get("port", 0))
        else:
            state["server"] = module.serve_http(made, state.get("port", 0))
            state["port"] = state["server"].server_port

    def stop() -> None:
        if protocol == "grpc":
            state["server"].stop(0).wait()
        else:
            state["server"].shutdown()
            state["server"].server_close()
            made.hang_up()

    made.restart, made.stop = restart, stop
    restart()
    made.config = {"endpoint": f"http://127.0.0.1:{state['port']}", "protocol": protocol}
    yield made
    stop()


@pytest.fixture
def view(tmp_path: Path) -> SimpleNamespace:
    """Return a run as hooks see it."""
    return SimpleNamespace(id="run-1", name="first", project="tests", dir=tmp_path, started_at=1.7e9)


@pytest.fixture
def start() -> Iterator[Callable[..., Any]]:
    """Return a function that starts the plugin with a configuration; it is stopped at the end."""
    pytest.importorskip(
        "opentelemetry.proto", reason="needs opentelemetry-proto: pip install 'tracelet[otlp]'"
    )
    from tracelet_builtin_plugins.backends.otlp import OtlpBackend

    started = []

    def start(**config: Any) -> Any:
        plugin = OtlpBackend()
        plugin.initialize(config)
        plugin.start()
        started.append(plugin)
        return plugin

    yield start
    for plugin in started:
        plugin.stop()


@pytest.fixture
def plugin(start: Callable[..., Any], receiver: Any) -> Any:
    """Return a started plugin that sends to the receiver."""
    return start(**receiver.config)
