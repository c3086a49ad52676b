"""Runs of real programs, delivered to a real MLflow server and read back with ``MlflowClient``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

from tracelet_builtin_plugins.backends.mlflow import MlflowBackend

pytest.importorskip("mlflow", reason="needs MLflow: pip install 'tracelet[mlflow]'")

KINDS = [
    pytest.param("sqlite_mlflow", marks=pytest.mark.xdist_group("mlflow on SQLite"), id="sqlite"),
    pytest.param("postgres_mlflow", marks=pytest.mark.xdist_group("mlflow on PostgreSQL"), id="postgres"),
]
pytestmark = pytest.mark.timeout(400)  # the first test starts the server
MAX_FLOAT = 1.7976931348623157e308


def record_everything(run: Any, folder: Path) -> None:
    (folder / "weights.bin").write_bytes(bytes(range(256)))
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "data" / "deep" / "größe #1.txt").write_text("one")
    (folder / "data" / "empty").touch()
    for step in range(1200):
        run.log({"train/loss": 1 / (step + 1), "größe": step}, step=step)
    run.log({"odd (name)!": 1.5, "inf": math.inf, "nan": math.nan}, step=-3)
    run.log({"inf": -math.inf}, step=7)
    run.log_params({"lr": 0.2, "null": "a\0b", "long": "ü" * 7001, "very long": "x" * 20_000})
    run.set_tags({"mlflow.note.content": "notes", "tracelet.run_id": "mine", "big": "y" * 9000, "empty": ""})
    run.log_artifact(folder / "weights.bin")
    run.log_artifact(folder / "data", "sets")
    run.log_table("eval/table", [[1, "a"], [None, "b"]], columns=["n", "s"], step=3)
    run.log_text("notes", "hello")
    run.log_histogram("weights", [1, 2, 3, 4])
    run.log_image("samples/cat", numpy.zeros((4, 6, 3), numpy.uint8), step=5)


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def history(client: Any, run: Any, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, key)]


def files(client: Any, run: Any, folder: str | None = None) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in client.list_artifacts(run.info.run_id, folder):
        found |= files(client, run, entry.path) if entry.is_dir else {entry.path: entry.file_size or 0}
    return found


def test_everything_arrives_and_nothing_twice(
    server: Any, project: Callable[..., Any], tmp_path: Path
) -> None:
    here = project(server.uri)
    here.table = {"tags": {"team": "all", "owner": "me"}}
    params = {"lr": 0.1, "nested": {"a": [1, "zwei"]}}
    with here.record("first", params=params, tags={"team": "vision"}) as run:
        record_everything(run, tmp_path)
    client = server.client()

    def check() -> None:
        run = here.the_run(client)
        assert (run.info.status, run.info.run_name, run.info.lifecycle_stage) == (
            "FINISHED",
            "first",
            "active",
        )
        assert run.info.start_time <= run.info.end_time
        losses = client.get_metric_history(run.info.run_id, "train/loss")
        assert [(p.step, p.value) for p in losses] == [(step, 1 / (step + 1)) for step in range(1200)]
        assert all(run.info.start_time <= point.timestamp <= run.info.end_time for point in losses)
        assert history(client, run, "größe") == [(step, step) for step in range(1200)]
        assert sorted(history(client, run, "inf")) == [(-3, MAX_FLOAT), (7, -MAX_FLOAT)]
        [(step, value)] = history(client, run, "nan")
        assert step == -3
        assert math.isnan(value)
        check_params(run)
        check_tags(run)
        check_files(run)

    def check_params(run: Any) -> None:
        params = run.data.params
        assert {key: params[key] for key in ("lr", "nested/a/0", "nested/a/1", "null")} == {
            "lr": "0.1", "nested/a/0": "1", "nested/a/1": "zwei", "null": "a\\x00b",
        }  # fmt: skip
        assert len(params["long"]) == len(params["very long"]) == 6000
        tags = run.data.tags
        assert tags["tracelet.param.lr"] == "0.2"
        assert tags["tracelet.param.long"] == "ü" * 7001
        parts = [tags[f"tracelet.param.very long{part}"] for part in ("", ".2", ".3")]
        assert "".join(parts) == "x" * 20_000

    def check_tags(run: Any) -> None:
        tags = run.data.tags
        assert (tags["team"], tags["owner"], tags["empty"]) == ("vision", "me", "")
        assert tags["mlflow.note.content"] == "notes"
        assert tags["tracelet.run_id"] != "mine"
        assert "mine" in tags.values()
        assert len(tags["big"]) == 8000
        assert tags["tracelet.tag.big"] + tags["tracelet.tag.big.2"] == "y" * 9000
        assert tags["tracelet.inf.inf"] == '{"inf": [-3], "-inf": [7]}'
        [key] = [key for key in run.data.metrics if key.startswith("odd")]
        assert tags[f"tracelet.name.{key}"] == "odd (name)!"

    def check_files(run: Any) -> None:
        found = files(client, run)
        assert found["weights.bin"] == 256
        assert found["sets/data/empty"] == 0
        [odd] = [path for path in found if path.startswith("sets/data/deep/")]
        assert odd.endswith(".txt")
        assert found[odd] == 3
        [image, preview] = sorted(path for path in found if path.startswith("images/"))
        assert image.startswith("images/samples~cat+step+5+timestamp+")
        assert {image[-4:], preview[-5:]} >= {".png"} or preview.endswith(".png")
        assert {"media/notes.txt", "media/weights.histogram.json"} <= found.keys()
        assert len(found) == 8

    check()
    before = files(client, here.the_run(client))
    here.forget_deliveries()
    assert [one.delivered > 2400 for one in here.sync()] == [True]
    check()
    assert files(client, here.the_run(client)) == before


def test_a_table_is_as_log_table_writes_it(server: Any, project: Callable[..., Any]) -> None:
    import pandas

    here = project(server.uri)
    with here.record() as run:
        run.log_table("eval/t", [[1, "a"], [2, "b"]], columns=["n", "s"], step=3)
    run = here.the_run(server.client())
    local = server.client().download_artifacts(run.info.run_id, "tables/eval/t-3.json")
    frame = pandas.read_json(local, orient="split")
    assert frame.to_dict("list") == {"n": [1, 2], "s": ["a", "b"]}
    assert '"tables/eval/t-3.json"' in run.data.tags["mlflow.loggedArtifacts"]


def record_part(here: Any, start: int, stop: int, error: Exception | None = None) -> None:
    with here.record("again", run_id=f"{here.name}-run", resume=start > 0) as run:
        for step in range(start, stop):
            run.log({"loss": step}, step=step)
        if error:
            raise error


def test_a_resumed_run_continues_the_same_one(server: Any, project: Callable[..., Any]) -> None:
    here, client = project(server.uri), server.client()
    with pytest.raises(RuntimeError, match="out of luck"):
        record_part(here, 0, 10, RuntimeError("out of luck"))
    assert here.the_run(client).info.status == "FAILED"
    record_part(here, 10, 20)
    run = here.the_run(client)
    assert (run.info.status, run.data.tags["tracelet.outcome"]) == ("FINISHED", "finished")
    assert history(client, run, "loss") == [(step, step) for step in range(20)]


KILLED = """
import os, signal, tracelet
run = tracelet.start_run("short", plugins=[])
for step in range(100):
    run.log({"loss": step}, step=step)
run.log_params({"lr": 1})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_is_completed_by_sync(server: Any, project: Callable[..., Any]) -> None:
    here, client = project(server.uri), server.client()
    here.run(KILLED, status=-9, TRACELET_MODE="offline")
    before = time.time()
    assert all(one.complete for one in here.sync())
    run = here.the_run(client)
    assert run.info.status == "KILLED"
    assert history(client, run, "loss") == [(step, step) for step in range(100)]
    assert run.data.params == {"lr": "1"}
    assert run.info.start_time <= run.info.end_time <= before * 1000


def test_requests_stay_within_the_limits(server: Any, project: Callable[..., Any]) -> None:
    here, client = project(server.uri), server.client()
    with here.record() as run:
        run.log_params({f"group{i % 7}/p{i}": "v" * 60 for i in range(1500)})
        run.set_tags({f"tag {i}?": i for i in range(250)})
        run.log({("ü" * 240) + f"{j}": j for j in range(1200)}, step=1)
    there = here.the_run(client)
    assert len(there.data.params) == 1500
    assert len([key for key in there.data.tags if key.startswith("tracelet.name.tag ")]) == 250
    assert len([key for key in there.data.metrics if key.startswith("ü")]) == 1200


def test_a_deleted_run_is_reported_and_continues_when_restored(
    server: Any, project: Callable[..., Any]
) -> None:
    here, client = project(server.uri), server.client()
    record_part(here, 0, 5)
    run = here.the_run(client)
    client.delete_run(run.info.run_id)
    with pytest.raises(Exception, match=f"mlflow runs restore --run-id {run.info.run_id}"):
        record_part(here, 5, 9)
    client.restore_run(run.info.run_id)
    record_part(here, 5, 9)
    assert history(client, here.the_run(client), "loss") == [(step, step) for step in range(9)]


def test_a_deleted_experiment_is_reported(server: Any, project: Callable[..., Any]) -> None:
    here, client = project(server.uri), server.client()
    experiment = client.create_experiment(here.name)
    client.delete_experiment(experiment)
    with pytest.raises(Exception, match=f"mlflow experiments restore --experiment-id {experiment}"):
        record_part(here, 0, 5)


def test_another_program_that_wrote_a_parameter_first_keeps_it(
    server: Any, project: Callable[..., Any]
) -> None:
    here, client = project(server.uri), server.client()
    with here.record() as run:
        run.log({"loss": 1.0}, step=1)
        assert run.flush(timeout=60)
        client.log_param(here.the_run(client).info.run_id, "lr", "theirs")
        run.log_params({"lr": "ours", "other": 1})
    there = here.the_run(client)
    assert there.data.params == {"lr": "theirs", "other": "1"}
    assert there.data.tags["tracelet.param.lr"] == "ours"


def test_a_renamed_run_is_renamed(server: Any, project: Callable[..., Any]) -> None:
    here, client = project(server.uri), server.client()
    with here.record("before") as run:
        run.log({"loss": 1.0}, step=1)
        run.name = "after"
    assert here.the_run(client).info.run_name == "after"


def test_a_child_is_shown_below_its_parent(server: Any, project: Callable[..., Any]) -> None:
    here, client = project(server.uri), server.client()
    with here.record("parent") as run:
        run.log({"loss": 1.0}, step=1)
    parent = here.the_run(client)
    folder = here.data / "runs" / "child"
    folder.mkdir()
    child: Any = SimpleNamespace(
        id="child", name="child", project=here.name, dir=folder, started_at=time.time()
    )
    plugin = MlflowBackend()
    plugin.initialize({"tracking_uri": server.uri})
    plugin.start()
    plugin.run_started(child)
    plugin.run_changed(child, {"parent": run.id, "group": "sweep", "job_type": "train"})
    plugin.run_changed(child, {"notes": "the first child"})
    plugin.set_tags({"team": "vision", "old": "1"})
    plugin.run_changed(child, {"untag": ["old", "unknown"]})
    plugin.run_ended(child, "finished")
    plugin.stop()
    [there] = [one for one in here.runs(client) if one.info.run_name == "child"]
    assert there.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert there.data.tags["tracelet.group"] == "sweep"
    assert there.data.tags["tracelet.job_type"] == "train"
    assert there.data.tags["team"] == "vision"
    assert "old" not in there.data.tags
    assert there.data.tags["mlflow.note.content"] == "the first child"
    assert there.info.status == "FINISHED"


def test_runs_of_the_same_id_in_two_projects_stay_apart(server: Any, project: Callable[..., Any]) -> None:
    here, client = project(server.uri), server.client()
    old: Any = client.create_run(
        client.create_experiment(f"{here.name} of somebody else"),
        start_time=86_400_000,
        tags={"tracelet.run_id": f"{here.name}-run"},
    )
    record_part(here, 0, 3)
    assert len(history(client, here.the_run(client), "loss")) == 3
    assert client.get_run(old.info.run_id).data.metrics == {}


def test_a_run_whose_project_was_renamed_is_found_again(server: Any, project: Callable[..., Any]) -> None:
    here, client = project(server.uri), server.client()
    with here.record() as run:
        run.log({"loss": 1.0}, step=1)
        assert run.flush(timeout=60)
        run.rename(project=f"{here.name} renamed")
    there = here.the_run(client)
    here.forget_deliveries()
    assert all(one.complete for one in here.sync())
    assert client.get_experiment_by_name(f"{here.name} renamed") is None
    assert len(history(client, here.the_run(client), "loss")) == 1
    assert here.the_run(client).info.run_id == there.info.run_id


@pytest.mark.xdist_group("mlflow on SQLite")
def test_a_server_that_is_killed_and_restarted_misses_nothing(
    sqlite_mlflow: Any, project: Callable[..., Any]
) -> None:
    here = project(sqlite_mlflow.uri)
    with here.record() as run:
        for step in range(100):
            run.log({"loss": step, "acc": step / 2}, step=step)
        assert run.flush(timeout=60)
        sqlite_mlflow.kill()
        for step in range(100, 400):
            run.log({"loss": step, "acc": step / 2}, step=step)
        run.log_params({"late": 1})
        assert not run.flush(timeout=2)
        sqlite_mlflow.start()
    client = sqlite_mlflow.client()
    there = here.the_run(client)
    assert (there.info.status, there.data.params) == ("FINISHED", {"late": "1"})
    assert history(client, there, "loss") == [(step, step) for step in range(400)]
    assert history(client, there, "acc") == [(step, step / 2) for step in range(400)]
