"""What Aim shows of a run, and what errors say."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import tracelet
from tracelet.core.plugins import PluginManager
from tracelet.delivery import sync
from tracelet_builtin_plugins.backends.aim import AimBackend, mapping


def table(repo: Path, **more: object) -> dict[str, object]:
    return {"plugins": {"aim": {"isolation": "thread", "repo": str(repo), **more}}}


def deliver(run: tracelet.Run, repo: Path | str) -> None:
    """Deliver a run that was recorded without Aim, as ``tracelet sync`` does."""
    with PluginManager() as manager:
        info = manager.register_plugin(AimBackend)
        assert manager.initialize_plugin(info.name, {"repo": str(repo)}), info.error
        assert manager.start_plugin(info.name), info.error
        [result] = sync(run.dir, manager, [info.name], timeout=150)
        assert result.complete, result.error


def test_a_run_has_its_own_times_name_and_experiment(aim_repo, read_aim, tmp_path):
    with tracelet.start_run("training", project="digits", dir=tmp_path, config={"plugins": {}}) as run:
        run.log_metric("loss", 0.1, step=-1)
        run.log_table("rows", [{"a": 1}], step=1)
    time.sleep(0.2)
    deliver(run, aim_repo)
    there = read_aim(aim_repo, mapping.run_hash(run.id))
    record = tracelet.open_store(tmp_path).run(run.id)
    assert (there.name, there.experiment) == ("training", "digits")
    assert there.creation_time == pytest.approx(record.started_at, abs=0.15)  # not when it was delivered
    steps, (values, _, times) = there.get_metric("loss", _no_context()).data.items_list()
    assert (list(steps), list(values)) == ([-1], [0.1])
    assert times[0] == pytest.approx(record.metric("loss").timestamps[0], abs=1e-6)
    assert there["tracelet"] == {"run_id": run.id, "project": "digits", "outcome": "finished"}
    [artifact] = there.artifacts.values()
    assert Path(unquote(urlsplit(artifact.uri).path)).read_bytes().startswith(b'{"columns"')


def test_a_metric_and_an_image_of_one_name_are_both_kept(aim_repo, read_aim, tmp_path):
    with tracelet.start_run("t", dir=tmp_path, config=table(aim_repo, experiment="e"), strict="all") as run:
        run.log_metric("x", 1.0, step=0)
        run.log_text("x", "text", step=0)
    there = read_aim(aim_repo, mapping.run_hash(run.id))
    assert there.experiment == "e"
    assert there.get_metric("x", _no_context()) is not None
    assert [info["context"] for info in there.collect_sequence_info("texts")["texts"]] == [{"media": "text"}]


def test_a_repository_is_created(read_aim, tmp_path):
    with tracelet.start_run("t", dir=tmp_path / ".tracelet", config={"plugins": {}}) as run:
        run.log_metric("x", 1.0, step=0)
    deliver(run, "repository")
    assert read_aim(tmp_path / "repository", mapping.run_hash(run.id)) is not None
    assert [path.name for path in (tmp_path / "repository").iterdir()] == [".aim"]


def test_a_lock_of_a_killed_process_is_no_obstacle(aim_repo, read_aim, tmp_path):
    with tracelet.start_run("t", dir=tmp_path, config={"plugins": {}}) as run:
        run.log_metric("x", 1.0, step=0)
    (aim_repo / ".aim" / "locks" / f"{mapping.run_hash(run.id)}.softlock").write_text("")
    with tracelet.start_run(
        run_id=run.id, resume=True, dir=tmp_path, config=table(aim_repo), strict="all"
    ) as again:
        assert again.flush()
    assert read_aim(aim_repo, mapping.run_hash(run.id)) is not None


def test_the_address_of_a_server_is_refused(tmp_path):
    with pytest.raises(tracelet.PluginError, match="expected a folder, found the address of a server"):
        tracelet.start_run("t", dir=tmp_path, config=table("aim://127.0.0.1:53800"), strict=True)


def _no_context():
    from aim.storage.context import Context

    return Context({})


def test_group_parent_and_edits_reach_aim(aim_repo, read_aim, tmp_path):
    with tracelet.start_run(
        "t",
        dir=tmp_path,
        config={"plugins": {}},
        group="sweep",
        parent="other",
        tags={"team": "v", "old": ""},
    ) as run:
        run.log_metric("x", 1.0, step=0)
    tracelet.open_store(tmp_path).edit(run.id, name="edited", untag="old", notes="why")
    deliver(run, aim_repo)
    there = read_aim(aim_repo, mapping.run_hash(run.id))
    assert (there.name, there["group"], there["parent"], there.description) == (
        "edited",
        "sweep",
        "other",
        "why",
    )
    assert sorted(there.tags) == ["team=v"]
    assert there["tags"] == {"team": "v"}
