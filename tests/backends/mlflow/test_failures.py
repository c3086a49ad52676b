"""What users see when MLflow cannot be reached, or does not want them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from backend_servers import HOST

import tracelet

pytest.importorskip("mlflow", reason="needs MLflow: pip install 'tracelet[mlflow]'")

PROGRAM = """
import tracelet
run = tracelet.start_run("x")
run.log({"loss": 1.0}, step=1)
print("FLUSHED", run.flush(timeout=30))
print("STATE", run.status()["delivery"]["mlflow"]["state"])
run.finish()
"""


def record(here: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Record a point, and return the states of the plugin and of its delivery, and what is pending at the end."""
    run = tracelet.start_run("x", dir=here.data, project=here.name, plugins=["mlflow"], config=here.config)
    run.log({"loss": 1.0}, step=1)
    assert not run.flush(timeout=5)
    status = run.status()
    return status["plugins"]["mlflow"], status["delivery"].get("mlflow", {}), run.finish(timeout=1)


def test_wrong_credentials_stop_the_backend(
    project: Callable[..., Any], answering: Callable[[int], str], capfd: pytest.CaptureFixture[str]
) -> None:
    here = project(answering(401).replace("http://", "http://me:sesame-open@"))
    plugin, delivery, pending = record(here)
    shown = f"{plugin} {delivery} {pending} {capfd.readouterr()}"
    assert "check the credentials" in shown
    assert "sesame-open" not in shown
    assert delivery.get("state", "resting") == "resting"


@pytest.mark.parametrize("status", [503, 429, 502])
def test_an_outage_is_waited_for(
    project: Callable[..., Any], answering: Callable[[int], str], status: int
) -> None:
    plugin, delivery, pending = record(project(answering(status)))
    assert plugin["state"] == "active"
    assert delivery["state"] == "retrying"
    assert str(status) in delivery["error"]
    assert "mlflow" in pending


def test_a_server_that_never_answers_is_an_outage(
    project: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen(50)
        plugin, delivery, pending = record(project(f"http://{HOST}:{silent.getsockname()[1]}"))
    assert plugin["state"] == "active"
    assert delivery["state"] == "retrying"
    assert "mlflow" in pending


def test_a_server_that_is_not_there_is_an_outage(project: Callable[..., Any]) -> None:
    with socket.socket() as closed:
        closed.bind((HOST, 0))
        plugin, delivery, pending = record(project(f"http://{HOST}:{closed.getsockname()[1]}"))
    assert "no answer from" in f"{plugin} {delivery}"
    assert "mlflow" in pending


def test_an_unknown_kind_of_server_is_one_clear_line(
    project: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    plugin, _, _ = record(project("gopher://somewhere"))
    assert plugin["state"] == "error"
    assert "gopher" in plugin["error"]
    assert "Traceback" not in capfd.readouterr().err


def test_in_its_own_process_an_outage_is_one_as_well(
    project: Callable[..., Any], answering: Callable[[int], str]
) -> None:
    """MLflow's own retries would take longer than a hook may."""
    out = project(answering(503)).run(PROGRAM)
    assert "FLUSHED False" in out
    assert "STATE retrying" in out
    assert "was abandoned" not in out
