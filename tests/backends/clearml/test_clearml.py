"""What ClearML's own client makes of an offline session, and what errors say."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracelet

IMPORT = """\
import sys
from clearml import Task
print("task", Task.import_offline_session(sys.argv[1]))
"""
SESSION = """\
from clearml import Task
Task.set_offline(True)
task = Task.init("p", "name", reuse_last_task_id=False, auto_connect_arg_parser=False, auto_connect_frameworks=False,
                 auto_resource_monitoring=False, auto_connect_streams=False)
task.get_logger().report_scalar("train", "loss", iteration=3, value=0.5)
task.connect({"lr": 0.1})
task.upload_artifact("model", __file__)
task.flush(wait_for_uploads=True)
print("folder", task.get_offline_mode_folder())
task.close()
"""


def record(folder: Path, **config: object) -> tracelet.Run:
    table = {"plugins": {"clearml": {"isolation": "thread", **config}}}
    with tracelet.start_run("training", project="digits", dir=folder, config=table, strict="all") as run:
        run.log_params({"lr": 0.1, "deep": {"er": [1, 2]}})
        run.set_tags({"team": "vision"})
        for step in range(20):
            run.log({"train/loss": step / 4, "acc": step}, step=step)
        run.log_metric("bad", math.nan, step=3)
        (folder / "model.bin").write_bytes(b"weights")
        run.log_artifact(folder / "model.bin", "models")
        run.log_text("story", "once", step=1)
        run.log_table("rows", [{"a": 1}], step=1)
    return run


def program(text: str, *arguments: str, folder: Path, env: dict[str, str]) -> str:
    path = folder / "program.py"
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_client_imports_the_offline_session(clearml_server, tmp_path):
    """Upload a session with ClearML's own ``Task.import_offline_session``."""
    run = record(tmp_path, offline=True)
    env = {"CLEARML_CACHE_DIR": str(tmp_path / "cache")}
    out = program(IMPORT, str(run.dir / "clearml-offline"), folder=tmp_path, env=env)
    task = clearml_server.tasks[out.rpartition("task ")[2].strip()]
    scalars = clearml_server.events_of(task["id"], "training_stats_scalar")
    loss = {event["iter"]: event["value"] for event in scalars if event["variant"] == "loss"}
    assert loss == {step: step / 4 for step in range(20)}
    assert [
        event["msg"] for event in clearml_server.events_of(task["id"], "log") if "bad" in event["msg"]
    ] == ["bad = nan at iteration 3"]
    assert {name: item["value"] for name, item in task["hyperparams"]["General"].items()} == {
        "lr": "0.1",
        "deep/er/0": "1",
        "deep/er/1": "2",
    }
    assert set(task["tags"]) == {f"tracelet={run.id}", "team=vision"}
    assert (task["name"], task["type"]) == ("training", "training")
    [artifact] = task["execution"]["artifacts"]
    assert (artifact["key"], artifact["content_size"]) == ("models/model.bin", 7)
    assert b"weights" in clearml_server.files.values()
    assert b"once" in clearml_server.files.values()
    assert len(clearml_server.events_of(task["id"], "plot")) == 1


def test_the_session_has_the_form_of_the_clients_own(clearml_server, tmp_path):
    """Every key that the client writes for a scalar, a parameter and an artifact has the same type in ours."""
    out = program(SESSION, folder=tmp_path, env={"CLEARML_CACHE_DIR": str(tmp_path / "cache")})
    theirs = Path(out.partition("folder ")[2].splitlines()[0])
    ours = record(tmp_path, offline=True).dir / "clearml-offline"
    mine, their = (json.loads((folder / "task.json").read_text()) for folder in (ours, theirs))
    for key in ("id", "name", "project_name", "type", "tags", "hyperparams", "execution", "offline_folder"):
        assert type(mine[key]) is type(their.get(key, mine[key])), key
    assert mine["hyperparams"]["General"]["lr"] == their["hyperparams"]["General"]["lr"]
    [artifact], [other] = mine["execution"]["artifacts"], their["execution"]["artifacts"]
    assert artifact.keys() == other.keys()
    assert str(artifact["uri"]).startswith(f"{mine['offline_folder']}/data/")
    scalar = json.loads((theirs / "metrics.jsonl").read_text().splitlines()[0])[0]
    event = json.loads((ours / "metrics.jsonl").read_text().splitlines()[0])[0]
    scalar.pop("method")
    assert event.keys() == scalar.keys()
    assert [type(event[key]) for key in sorted(event)] == [type(scalar[key]) for key in sorted(scalar)]


def test_the_server_has_the_run(clearml_server, tmp_path):
    run = record(tmp_path)
    task = clearml_server.task_of(run.id)
    assert (task["status"], task["name"]) == ("completed", "training")
    assert clearml_server.projects["digits"] == task["project"]
    [line] = clearml_server.events_of(task["id"], "log")
    assert line["msg"] == "bad = nan at iteration 3"


def test_a_token_that_has_expired_is_renewed(clearml_server, tmp_path):
    with tracelet.start_run("t", dir=tmp_path, config=_on_a_thread(), strict="all") as run:
        run.log_metric("loss", 1.0, step=0)
        assert run.flush()
        clearml_server.tokens.clear()
        run.log_metric("loss", 2.0, step=1)
    task = clearml_server.task_of(run.id)
    scalars = clearml_server.events_of(task["id"], "training_stats_scalar")
    assert [event["value"] for event in scalars if event["metric"] == "loss"] == [1.0, 2.0]


def test_wrong_credentials_are_one_clear_line(clearml_server, tmp_path, monkeypatch):
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "another-secret")
    with pytest.raises(tracelet.PluginError) as raised:
        tracelet.start_run("t", dir=tmp_path, config=_on_a_thread(), strict=True)
    assert "does not accept the credentials" in str(raised.value)
    assert "clearml-init" in str(raised.value)
    assert "another-secret" not in str(raised.value)


def test_missing_credentials_are_one_clear_line(clearml_server, tmp_path, monkeypatch):
    monkeypatch.delenv("CLEARML_API_ACCESS_KEY")
    with pytest.raises(tracelet.PluginError, match="found no credentials; run clearml-init"):
        tracelet.start_run("t", dir=tmp_path, config=_on_a_thread(), strict=True)


def test_a_link_in_a_foreign_run_leads_nowhere(tmp_path):
    """A run's folder from someone else may have a link in place of the session."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "metrics.jsonl").write_text("mine, without a newline")
    with tracelet.start_run("t", dir=tmp_path, config={"plugins": {}}) as run:
        run.log_metric("loss", 1.0, step=0)
    (run.dir / "clearml-offline").symlink_to(precious)
    table = {"plugins": {"clearml": {"isolation": "thread", "offline": True}}}
    with tracelet.start_run(run_id=run.id, resume=True, dir=tmp_path, config=table) as again:
        again.flush()
    assert [path.name for path in precious.iterdir()] == ["metrics.jsonl"]
    assert (precious / "metrics.jsonl").read_text() == "mine, without a newline"


def _on_a_thread() -> dict[str, object]:
    return {"plugins": {"clearml": {"isolation": "thread"}}}


def test_parent_and_edits_reach_the_server(clearml_server, tmp_path):
    table = {"plugins": {"clearml": {"isolation": "thread"}}}
    with tracelet.start_run("parent", dir=tmp_path, config=table, strict="all") as parent:
        parent.log_metric("x", 1.0)
        with tracelet.start_run(
            "child",
            dir=tmp_path,
            config=table,
            strict="all",
            parent=parent,
            group="sweep",
            job_type="train",
            tags={"team": "v", "old": ""},
        ) as child:
            child.log_metric("x", 1.0)
            tracelet.open_store(tmp_path).edit(child.id, name="edited", untag="old", notes="why")
            assert child.flush(timeout=60)
    tasks = {task["name"]: task for task in clearml_server.tasks.values()}
    assert tasks["edited"]["parent"] == tasks["parent"]["id"]
    assert tasks["edited"]["comment"] == "why"
    facts = tasks["edited"]["hyperparams"]["tracelet"]
    assert {key: item["value"] for key, item in facts.items()} == {"group": "sweep", "job_type": "train"}
    assert [tag for tag in tasks["edited"]["tags"] if "tracelet" not in tag] == ["team=v"]
