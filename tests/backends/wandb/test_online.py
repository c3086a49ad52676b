"""Runs that wandb sends to a server: a stand-in on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from backend_servers import wait_until

pytest.importorskip("wandb", reason="needs wandb: pip install 'tracelet[wandb]'")


def points(stand_in: Any, run_id: str, name: str) -> list[tuple[Any, Any]]:
    """Return the points of a metric, once wandb's own process has ended the run."""
    wait_until(lambda: stand_in.runs[run_id]["complete"] is not None)
    return [(row.get("step"), row[name]) for row in stand_in.rows(run_id) if name in row]


def test_rows_and_parameters_reach_the_server(online: Callable[[], Any], stand_in: Any) -> None:
    with online().record("first", run_id="one", params={"lr": 0.1}, tags={"team": "vision"}) as run:
        for step in range(200):
            run.log({"loss": step, "acc": step / 2}, step=step)
    assert points(stand_in, "one", "loss") == [(step, step) for step in range(200)]
    assert points(stand_in, "one", "acc") == [(step, step / 2) for step in range(200)]
    there = stand_in.runs["one"]
    config = json.loads(there["config"])
    assert config["lr"]["value"] == 0.1
    assert config["tracelet"]["value"]["run_id"] == "one"
    assert there["tags"] == ["team: vision"]
    assert there["displayName"] == "first"
    assert there["complete"] == 0


def test_a_run_is_continued_on_another_machine(online: Callable[[], Any], stand_in: Any) -> None:
    """Without the files of the first part, the position is read from the configuration at the server."""
    here = online()
    with here.record(run_id="moved") as run:
        for step in range(10):
            run.log({"loss": step}, step=step)
    assert len(points(stand_in, "moved", "loss")) == 10
    stand_in.runs["moved"]["complete"] = None
    (here.folder / "wandb").rename(here.folder / "wandb-of-the-first-machine")
    here.forget_deliveries()
    with here.record(run_id="moved", resume=True) as run:
        for step in range(10, 20):
            run.log({"loss": step}, step=step)
    assert points(stand_in, "moved", "loss") == [(step, step) for step in range(20)]


def test_an_outage_of_the_server_loses_nothing(online: Callable[[], Any], stand_in: Any) -> None:
    with online().record(run_id="outage") as run:
        run.log({"loss": 0}, step=0)
        assert run.flush(timeout=60)
        stand_in.status = 503
        for step in range(1, 50):
            run.log({"loss": step}, step=step)
        assert run.flush(timeout=60)  # wandb's file on this machine has it
        stand_in.status = 200
    assert points(stand_in, "outage", "loss") == [(step, step) for step in range(50)]


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_stop_the_backend(
    online: Callable[[], Any], stand_in: Any, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    import tracelet

    stand_in.status = status
    here = online()
    run = tracelet.start_run("x", dir=here.data, plugins=["wandb"], config=here.config)
    run.log({"loss": 1.0}, step=1)
    assert not run.flush(timeout=10)
    shown = f"{run.status()} {run.finish(timeout=1)} {capfd.readouterr()}"
    assert "API key" in shown
    assert here.table["api_key"] not in shown
