"""Runs in wandb's own files, read with wandb's own messages."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy
import pytest
from backend_servers import wait_until

import tracelet

pytest.importorskip("wandb", reason="needs wandb: pip install 'tracelet[wandb]'")

PROGRAM = """
import os, sys, tracelet
before = dict(os.environ), os.getcwd()
with tracelet.start_run("apart", run_id="apart", strict=True) as run:
    for step in range(50):
        run.log({"loss": step}, step=step)
    assert run.flush(timeout=100), run.status()
    if "{fail}" == "yes":
        raise RuntimeError("out of luck")
assert (dict(os.environ), os.getcwd()) == before
assert "wandb" not in sys.modules
"""


def test_one_row_per_record_with_the_step_as_a_metric(project: Any) -> None:
    with project.record("first", run_id="one") as run:
        for step in (5, 3, 900, 3, -2):
            run.log({"train/loss": step / 2, "größe": step}, step=step)
        run.log_metric("single", 1.5, step=7)
    there = project.read("one")
    rows = [
        {key: value for key, value in row.items() if key not in ("_runtime", "_step", "_timestamp")}
        for row in there.rows
    ]
    assert rows == [
        *({"train/loss": step / 2, "größe": step, "step": step} for step in (5, 3, 900, 3, -2)),
        {"single": 1.5, "step": 7},
    ]
    [metric] = there.of_type("metric")
    assert (metric.glob_name, metric.step_metric) == ("*", "step")
    [about, *_] = there.of_type("run")
    assert (about.run_id, about.project, about.display_name) == ("one", "digits", "first")
    wait_until(lambda: project.read("one").exit_codes == [0])  # written by wandb's own process


def test_timestamps_are_those_of_the_journal(project: Any) -> None:
    import tracelet

    with project.record(run_id="times") as run:
        run.log({"loss": 1.0}, step=1)
    recorded = tracelet.open_store(project.data).run("times").metric("loss").timestamps
    assert [row["_timestamp"] for row in project.read("times").rows] == pytest.approx(
        list(recorded), abs=1e-6
    )


def test_special_values_and_names(project: Any) -> None:
    with project.record(run_id="odd") as run:
        run.log({"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "a.b": 1, "odd (name)!": 2}, step=1)
        run.log({"step": 5, "_hidden": 6, "tiny": 5e-324}, step=2)
    first, second = project.read("odd").rows
    assert math.isnan(first["nan"])
    assert (first["inf"], first["-inf"], first["a.b"], first["odd (name)!"]) == (math.inf, -math.inf, 1, 2)
    assert (second["step"], second["tiny"]) == (2, 5e-324)
    assert sorted(value for key, value in second.items() if key.startswith("x")) == [5, 6]


def test_parameters_and_tags(project: Any) -> None:
    with project.record(
        run_id="about", params={"lr": 0.1, "deep": {"a": [1, None]}}, tags={"team": "vision"}
    ) as run:
        run.log_params({"lr": 0.2, "_wandb": "mine", "long": "x" * 20_000})
        run.set_tags({"team": "audio", "only": "", "long": "y" * 100})
    there = project.read("about")
    config = there.config
    assert (config["lr"], config["deep/a/0"], config["deep/a/1"], config["long"]) == (
        0.2,
        1,
        None,
        "x" * 20_000,
    )
    assert "mine" in config.values()
    assert config["tags"] == {"team": "audio", "only": "", "long": "y" * 100}
    assert {"team: audio", "only"} <= set(there.tags)
    assert "team: vision" not in there.tags
    assert all(len(tag) <= 64 for tag in there.tags)


def test_a_removed_tag_is_gone(project: Any) -> None:
    with project.record(run_id="untagged", tags={"team": "vision", "old": "1"}) as run:
        tracelet.open_store(run.dir.parent.parent).edit(run.id, untag="old", notes="why")
    there = project.read("untagged")
    assert there.config["tags"] == {"team": "vision"}
    assert "team: vision" in there.tags
    assert "old: 1" not in there.tags


def test_media_are_of_wandbs_own_types(project: Any) -> None:
    with project.record(run_id="media") as run:
        run.log_image("samples/cat", numpy.zeros((4, 6, 3), numpy.uint8), step=5)
        run.log_table("eval/table", [[1, "a"], [None, 2]], columns=["n", "s"], step=3)
        run.log_histogram("weights", list(range(2000)), step=1, bins=1000)
        run.log_text("notes", "<b>hello", step=2)
        run.log_text("without a step", "x")
    there = project.read("media")
    kinds = {
        key.removesuffix("/_type"): (value, row.get("step"))
        for row in there.rows
        for key, value in row.items()
        if key.endswith("/_type")
    }
    assert kinds == {
        "samples/cat": ("image-file", 5),
        "eval/table": ("table-file", 3),
        "weights": ("histogram", 1),
        "notes": ("html-file", 2),
        "without a step": ("html-file", None),
    }
    [histogram] = [row for row in there.rows if "weights/values" in row]
    assert sum(histogram["weights/values"]) == 2000
    folder = there.files[0].parent / "files"
    [page] = folder.glob("media/html/notes*.html")
    assert "&lt;b&gt;hello" in page.read_text()


def test_artifacts(project: Any, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"one")
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "größe #1.txt").write_text("two")
    with project.record(run_id="files") as run:
        run.log_artifact(tmp_path / "weights.bin")
        run.log_artifact(tmp_path / "data", "sets")
    first, second = project.read("files").of_type("artifact")
    assert (first.name, first.type) == ("files-weights.bin", "file")
    assert [(entry.path, entry.size) for entry in first.manifest.contents] == [("weights.bin", 3)]
    assert second.type == "folder"
    assert [(entry.path, entry.size) for entry in second.manifest.contents] == [("deep/größe #1.txt", 3)]


def test_delivering_again_adds_nothing(project: Any, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"one")
    with project.record(run_id="twice", params={"lr": 1}, tags={"a": 1}) as run:
        for step in range(300):
            run.log({"loss": step, "acc": step / 2}, step=step)
        run.log_artifact(tmp_path / "weights.bin")
        run.log_text("notes", "hello")
    project.forget_deliveries()
    assert [(one.delivered > 600, one.complete) for one in project.sync()] == [(True, True)]
    there = project.read("twice")
    assert len(there.files) == 2
    assert there.points("loss") == [(step, step) for step in range(300)]
    assert len(there.of_type("artifact")) == 1
    assert len(there.media) == 1


def test_a_resumed_run_continues_after_the_last_record(project: Any) -> None:
    with pytest.raises(RuntimeError, match="out of luck"), project.record(run_id="again") as run:
        for step in range(10):
            run.log({"loss": step}, step=step)
        assert run.flush(timeout=60)
        raise RuntimeError("out of luck")
    with project.record(run_id="again", resume=True) as run:
        for step in range(10, 20):
            run.log({"loss": step}, step=step)
    there = project.read("again")
    assert there.points("loss") == [(step, step) for step in range(20)]
    wait_until(lambda: project.read("again").exit_codes == [1, 0])
    assert len(there.config["tracelet"]["delivered"]) == 2


def test_in_its_own_process_nothing_of_the_program_changes(project: Any) -> None:
    project.env["WANDB_SERVICE"] = "3-1-unix-/nowhere/socket"  # as after wandb.init() in the program
    lines = '[plugins.wandb]\nmode = "offline"\nproject = "elsewhere"\ngroup = "g"\njob_type = "train"\n'
    (project.folder / "tracelet.toml").write_text(lines)
    out = project.run(PROGRAM.replace("{fail}", "no"))
    assert out == ""
    there = project.read("apart")
    assert there.points("loss") == [(step, step) for step in range(50)]
    [about, *_] = there.of_type("run")
    assert (about.project, about.run_group, about.job_type) == ("elsewhere", "g", "train")
    wait_until(lambda: project.read("apart").exit_codes == [0])


def test_a_program_that_is_killed_after_a_flush_has_everything_in_the_file(project: Any) -> None:
    (project.folder / "tracelet.toml").write_text('[plugins.wandb]\nmode = "offline"\n')
    program = PROGRAM.replace("{fail}", "no").replace(
        "    if", "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n    if"
    )
    project.run(program, status=-9)
    assert project.read("apart").points("loss") == [(step, step) for step in range(50)]
    assert all(one.complete for one in project.sync())
    assert project.read("apart").points("loss") == [(step, step) for step in range(50)]
