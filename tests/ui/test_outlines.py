"""Outlines: what charts of a large run draw at first is prepared, and is what the journal says."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient
from tests.ui.conftest import LOCAL
from tests.ui.sample_runs import PLAIN, record_resumed

import tracelet
from tracelet.journal import Writer
from tracelet.store import Store, open_store
from tracelet.store.outlines.building import build_outline
from tracelet.store.outlines.outline_file import PIXELS, outline_folder, outline_path
from tracelet.ui import create_app

STEPS = 3000


def record_wide(folder: Path, metrics: int = 200, steps: int = STEPS) -> None:
    """Record a run that is large enough for an outline."""
    names = [f"group/metric{number:03d}" for number in range(metrics)]
    with Writer(folder / "runs" / "wide", {"run": {"id": "wide", "name": "wide"}}) as writer:
        writer.event("params", {"params": {"lr": 0.5}})
        for step in range(steps):
            value = math.nan if step == 77 else math.exp(-step / 500) + math.sin(step) / 9
            writer.row(dict.fromkeys(names, value), 2 * step)
        writer.point("rare", 1.0, 5)
        writer.close("finished")


@pytest.fixture
def wide(tmp_path: Path) -> Store:
    record_wide(tmp_path, metrics=4)
    return open_store(tmp_path)


def path_of(store: Store, run: str = "wide") -> Path:
    folder = outline_folder(store.dir)
    assert folder is not None
    return outline_path(folder, run)


def ask(store: Store, path: str, **query: Any) -> dict[str, Any]:
    """Ask a server that has not read anything yet."""
    client = TestClient(create_app(store), base_url=LOCAL)
    answer: dict[str, Any] = client.get(f"/api/v1/{path}", params=query).json()
    return answer


@pytest.mark.parametrize("axis", ["step", "time"])
def test_answers_are_the_same_with_and_without(wide: Store, axis: str) -> None:
    query = {"run": "wide", "name": ["group/metric001", "rare", "absent"], "x": axis, "pixels": PIXELS}
    before = ask(wide, "series", **query)
    shown = ask(wide, "runs/wide")
    assert build_outline(wide, "wide", path_of(wide))
    assert ask(wide, "series", **query) == before
    after = ask(wide, "runs/wide")
    # Over time, a part of the axis is empty whenever the machine had something else to do.
    assert len(before["series"][0]["x"]) > (PIXELS if axis == "step" else 100)
    assert "NaN" in before["series"][0]["values"]
    assert {**after, "duration": 0} == {**shown, "duration": 0}


def test_relative_time_is_time_since_the_start(wide: Store) -> None:
    assert build_outline(wide, "wide", path_of(wide))
    query = {"run": "wide", "name": "group/metric001", "pixels": PIXELS}
    timed, relative = (ask(wide, "series", **query, x=x)["series"][0] for x in ("time", "relative"))
    start = wide.run("wide").started_at
    assert relative["x"] == [x - start for x in timed["x"]]
    assert relative["means"]["x"] == [x - start for x in timed["means"]["x"]]
    assert relative["values"] == timed["values"]


def test_outline_takes_the_place_of_reading_the_journal(wide: Store) -> None:
    assert build_outline(wide, "wide", path_of(wide))
    app = create_app(wide)
    client = TestClient(app, base_url=LOCAL)
    query = {"run": "wide", "name": "group/metric001", "pixels": 300}
    assert client.get("/api/v1/series", params=query).json()["series"][0]["total"] == STEPS
    assert not app.state.sources._series  # nothing was read
    assert client.get("/api/v1/series", params={**query, "from": 10}).json()["series"][0]["x"][0] == 8
    assert app.state.sources._series


def test_edited_run_is_read_again(wide: Store) -> None:
    assert build_outline(wide, "wide", path_of(wide))
    wide.edit("wide", name="renamed", notes="new")
    answer = ask(wide, "runs/wide")
    assert (answer["name"], answer["notes"]) == ("renamed", "new")
    assert answer["params"] == {"lr": 0.5}


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"[1, 2\n", b'{"version": 1, "seal": "x", "state": {}}\n'])
def test_outline_that_is_no_outline_is_ignored(wide: Store, damage: bytes) -> None:
    path_of(wide).write_bytes(damage)
    query = {"run": "wide", "name": "rare"}
    assert ask(wide, "series", **query)["series"][0]["values"] == [1.0]


def test_outline_that_was_cut_short_is_ignored(wide: Store) -> None:
    assert build_outline(wide, "wide", path_of(wide))
    whole = path_of(wide).read_bytes()
    query = {"run": "wide", "name": "group/metric001", "pixels": PIXELS}
    expected = ask(wide, "series", **query)
    path_of(wide).write_bytes(whole[: len(whole) - len(whole) // 2])
    assert ask(wide, "series", **query) == expected


def test_outline_of_somebody_else_is_ignored(wide: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_outline(wide, "wide", path_of(wide))
    path = path_of(wide)
    text = path.read_bytes().replace(b'"lr": 0.5', b'"lr": 9.9')
    head = json.loads(text.partition(b"\n")[0])
    head["seal"] = "0" * 64
    path.write_bytes(json.dumps(head).encode() + b"\n" + text.partition(b"\n")[2])
    assert ask(wide, "runs/wide")["params"] == {"lr": 0.5}


def test_metric_that_was_computed_again_keeps_its_ghost(tmp_path: Path) -> None:
    id = record_resumed(tmp_path)
    store = open_store(tmp_path)
    assert build_outline(store, id, path_of(store, id))
    (one,) = ask(store, "series", run=id, name="train/loss")["series"]
    assert one["ghosts"][0]["shared_steps"] == 60


def test_running_run_has_none(tmp_path: Path) -> None:
    with tracelet.start_run("live", dir=tmp_path, plugins=PLAIN) as run:
        run.log_metric("loss", 1.0, step=0)
        store = open_store(tmp_path)
        assert not build_outline(store, run.id, path_of(store, run.id))
        assert not path_of(store, run.id).exists()


def test_server_prepares_large_runs_and_removes_what_is_gone(
    tmp_path: Path, serve: Callable[..., Any]
) -> None:
    record_wide(tmp_path)
    store = open_store(tmp_path)
    gone = path_of(store, "gone")
    gone.write_bytes(b"{}\n")
    server = serve(tmp_path)
    deadline = time.monotonic() + 60
    while not path_of(store).exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not gone.exists()
    with urlopen(f"{server.address}/api/v1/series?run=wide&name=rare", timeout=20) as answer:
        assert json.load(answer)["series"][0]["values"] == [1.0]
    assert server.stop() in (0, -2, 130)
