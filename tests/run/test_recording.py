"""What a training program records is what anybody reads back."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import threading
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import tracelet


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracelet.toml").write_text(
        'project = "tests"\nplugins = ["no:system", "no:environment", "no:gpu"]\n'
    )
    run = tracelet.start_run("trial", dir=tmp_path / "data")
    yield run
    run.finish()


@pytest.fixture
def strict_run(run, tmp_path):
    with tracelet.start_run("strict", dir=tmp_path / "data", strict=True) as strict:
        yield strict


def read(run):
    return tracelet.open_store(run.dir.parent.parent).run(run.id)


def test_metrics_params_and_tags_read_back(run):
    run.log_params({"lr": 0.1, "model": {"layers": [64, 10]}, "note": None})
    run.set_tags({"team": "vision"})
    run.set_tags(["baseline"])
    for step in range(100):
        run.log({"train/loss": 1 / (step + 1), "train": {"acc": step / 100}}, step=step)
        run.log_metric("lr", 0.1, step)
    run.finish()
    record = read(run)
    assert record.outcome == "finished"
    assert (record.name, record.project) == ("trial", "tests")
    assert record.params == {"lr": 0.1, "model/layers/0": 64, "model/layers/1": 10, "note": None}
    assert record.tags == {"team": "vision", "baseline": ""}
    assert sorted(record.metrics()) == ["lr", "train/acc", "train/loss"]
    series = record.metric("train/loss")
    assert list(series.iterations) == list(range(100))
    assert list(series.values) == [1 / (step + 1) for step in range(100)]
    assert all(run.started_at <= t <= run.started_at + 60 for t in series.timestamps)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (True, 1.0),
        (2.5, 2.5),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.array(3.0), 3.0),
        (Decimal("0.25"), 0.25),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (5e-324, 5e-324),
    ],
)
def test_numbers_of_every_kind_are_kept(run, value, expected):
    run.log_metric("x", value, step=0)
    run.log({"y": value}, step=0)
    record = read(run)
    assert list(record.metric("x").values) == [expected]
    assert list(record.metric("y").values) == [expected]


def test_nan_is_kept(run):
    run.log_metric("x", math.nan, step=0)
    assert math.isnan(read(run).metric("x").values[0])


NOT_NUMBERS = ["0.5", None, [1, 2], np.zeros(3), object(), 1j]


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_what_is_not_a_number_is_left_out_counted_and_reported_once(run, caplog, value):
    for step in range(3):
        run.log_metric("loss", value, step)
    run.log_metric("loss", 1.0, step=3)
    assert list(read(run).metric("loss").iterations) == [3]
    assert sum(run.status()["dropped"].values()) == 3
    [warning] = [record.getMessage() for record in caplog.records]
    assert "metric 'loss': expected one number, found" in warning
    run.finish()
    assert sum(read(run).dropped.values()) == 3


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_what_is_not_a_number_is_a_clear_error_in_a_strict_run(strict_run, value):
    with pytest.raises(tracelet.RecordingError, match="loss") as caught:
        strict_run.log_metric("loss", value)
    assert isinstance(caught.value, (TypeError, ValueError, tracelet.TraceletError))
    assert caught.value.__context__ is None


def test_steps_count_up_above_explicit_ones_and_any_order_is_taken(run):
    run.log_metric("x", 1)
    run.log_metric("x", 2)
    run.log_metric("x", 3, step=10)
    run.log_metric("x", 4)
    run.log_metric("x", 5, iteration=4)
    run.log_metric("other", 1)
    record = read(run)
    assert sorted(record.metric("x").iterations) == [0, 1, 4, 10, 11]
    assert list(record.metric("other").iterations) == [0]


def test_a_running_run_can_be_read(run):
    run.log_metric("x", 1.0, step=0)
    record = read(run)
    assert record.outcome == "running"
    assert list(record.metric("x").values) == [1.0]


def test_an_exception_ends_the_run_as_failed_and_goes_on(tmp_path):
    run = tracelet.start_run(dir=tmp_path)

    def train():
        with run:
            run.log_metric("x", 1)
            raise ZeroDivisionError("by hand")

    with pytest.raises(ZeroDivisionError):
        train()
    record = read(run)
    assert record.outcome == "failed"
    assert record.error == "ZeroDivisionError: by hand"


def test_artifacts_are_copied_with_size_and_hash(run, tmp_path):
    source = tmp_path / "model"
    (source / "layers").mkdir(parents=True)
    (source / "weights.bin").write_bytes(b"\x00\x01" * 1000)
    (source / "layers" / "one.txt").write_text("one")
    run.log_artifact(source / "weights.bin")
    run.log_artifact(source, "checkpoints")
    (source / "weights.bin").unlink()
    record = read(run)
    files = {file["path"]: file for artifact in record.artifacts for file in artifact["files"]}
    assert set(files) == {
        "artifacts/weights.bin",
        "artifacts/checkpoints/model/weights.bin",
        "artifacts/checkpoints/model/layers/one.txt",
    }
    copied = run.dir / "artifacts/weights.bin"
    assert files["artifacts/weights.bin"]["size"] == copied.stat().st_size == 2000
    assert files["artifacts/weights.bin"]["sha256"] == hashlib.sha256(copied.read_bytes()).hexdigest()


@pytest.mark.parametrize("path", ["/etc", "../out", "a/../../b"])
def test_an_artifact_path_must_stay_inside(run, tmp_path, path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(tracelet.UsageError, match="artifact_path"):
        run.log_artifact(tmp_path / "file", path)


def test_an_artifact_that_is_not_there_is_a_clear_error(run, tmp_path):
    with pytest.raises(tracelet.UsageError, match="found nothing at"):
        run.log_artifact(tmp_path / "nothing")


def test_media_are_files_under_the_run(run):
    run.log_text("note", "hello", step=1)
    run.log_histogram("weights", np.arange(100.0), step=1, bins=10)
    run.log_table("confusion", [[1, 2], [3, 4]], columns=["a", "b"])
    run.log_table("rows", [{"a": 1, "b": 2}, {"a": 3}])
    run.log_image("sample", np.zeros((4, 5, 3)), step=2)
    media = {artifact["name"]: artifact for artifact in read(run).artifacts}
    assert {artifact["media"] for artifact in media.values()} == {"text", "histogram", "custom", "image"}
    load = lambda name: json.loads((run.dir / media[name]["path"]).read_text())  # noqa: E731
    assert (run.dir / media["note"]["path"]).read_text() == "hello"
    assert load("weights")["counts"] == [10] * 10
    assert load("confusion") == {"columns": ["a", "b"], "rows": [[1, 2], [3, 4]]}
    assert load("rows") == {"columns": ["a", "b"], "rows": [[1, 2], [3, None]]}
    assert (run.dir / media["sample"]["path"]).read_bytes().startswith(b"\x89PNG\r\n")


def test_a_histogram_has_numpys_counts(run):
    values = np.random.default_rng(0).normal(size=1000)
    run.log_histogram("h", values, bins=20)
    [artifact] = read(run).artifacts
    histogram = json.loads((run.dir / artifact["path"]).read_text())
    counts, edges = np.histogram(values, bins=20)
    assert histogram["counts"] == counts.tolist()
    assert np.allclose(histogram["edges"], edges)


def test_an_image_of_numpy_decodes(run):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 4), dtype=np.uint8)
    run.log_image("noise", pixels)
    [artifact] = read(run).artifacts
    assert (np.asarray(image.open(run.dir / artifact["path"])) == pixels).all()


def test_logging_without_a_run_is_a_clear_error():
    assert tracelet.active_run() is None
    with pytest.raises(tracelet.NoActiveRunError, match="start_run"):
        tracelet.log_metric("x", 1)


def test_module_functions_record_into_the_active_run(run):
    assert tracelet.active_run() is run
    tracelet.log_metric("x", 1.0)
    tracelet.log({"y": 2.0}, step=3)
    tracelet.log_params({"a": 1})
    tracelet.end_run()
    assert tracelet.active_run() is None
    assert sorted(read(run).metrics()) == ["x", "y"]


def test_an_inner_run_gives_way_to_the_outer_one(run, tmp_path):
    with tracelet.start_run("inner", dir=tmp_path / "data") as inner:
        assert tracelet.active_run() is inner
    assert tracelet.active_run() is run


def test_logging_after_the_end_is_a_clear_error(run):
    run.finish()
    with pytest.raises(tracelet.NoActiveRunError, match="closed"):
        run.log_metric("x", 1)
    assert run.finish() == {}


def test_threads_record_every_point(run):
    def work(number):
        for step in range(2000):
            run.log_metric(f"t{number}", step, step)
            run.log({"a": step, "b": number}, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = read(run)
    assert all(len(record.metric(f"t{number}").values) == 2000 for number in range(8))
    assert len(record.metric("a").values) == 16000


def test_a_forked_child_records_into_the_same_run(run):
    run.log_metric("x", 0.0, step=0)
    child = os.fork()
    if child == 0:
        try:
            for step in range(1, 100):
                run.log_metric("x", float(step), step)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    run.log_metric("x", 100.0, step=100)
    run.finish()
    assert sorted(read(run).metric("x").values) == [float(step) for step in range(101)]


def test_the_data_folder_is_private_and_ignored_by_git(run):
    data = run.dir.parent.parent
    assert (data / ".gitignore").read_text().splitlines()[-1] == "*"
    assert stat.S_IMODE(run.dir.stat().st_mode) == 0o700
    files = [path for path in run.dir.rglob("*") if path.is_file()]
    assert files
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)


def test_secrets_in_params_are_masked(run):
    run.log_params({"api_key": "sk-12345678", "lr": 1})
    assert read(run).params == {"api_key": "***", "lr": 1}
    assert b"sk-12345678" not in b"".join(p.read_bytes() for p in run.dir.rglob("*") if p.is_file())


def test_status_says_what_there_is(run):
    run.log_metric("x", 1)
    status = run.status()
    assert (status["id"], status["recorded"], status["dropped"]) == (run.id, 1, {})
    assert status["outcome"] is None


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "x" * 200])
def test_a_run_id_must_name_a_folder(tmp_path, run_id):
    with pytest.raises(ValueError, match="run_id"):
        tracelet.start_run(run_id=run_id, dir=tmp_path)


def test_flush_durable_returns(run):
    run.log_metric("x", 1)
    assert run.flush(durable=True) is True


def test_a_backend_that_is_still_starting_has_nothing_yet(tmp_path):
    class Slow:
        seen = 0
        may_start = threading.Event()

        @tracelet.hookimpl
        def run_started(self):
            self.may_start.wait(60)

        @tracelet.hookimpl
        def log_metric(self, name, value):
            self.seen += 1

    class SlowToStart(Slow):
        @tracelet.hookimpl
        def start(self):
            self.may_start.wait(60)

    for plugin in (Slow(), SlowToStart()):
        plugin.may_start.clear()
        quiet = ["no:system", "no:environment", "no:gpu"]
        config = {"start_timeout": 0.3}
        with tracelet.start_run(dir=tmp_path, plugins=[plugin, *quiet], config=config) as run:
            run.log_metric("x", 1)
            assert not run.flush(timeout=0.3)
            assert not plugin.seen
            plugin.may_start.set()
            assert run.flush(timeout=60)
            assert plugin.seen == 1


def test_disabled_mode_touches_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACELET_MODE", "disabled")
    with tracelet.start_run("off", dir=tmp_path / "data", params={"a": 1}) as run:
        run.log_metric("x", 1)
        run.log_text("t", "text")
        run.log_metric("x", "no number")
        with pytest.raises(TypeError):
            run.log_metric("x", 1, step="no step")
    assert not (tmp_path / "data").exists()
    assert Path(run.dir).name == run.id


def test_a_tensor_with_a_gradient_is_a_number_like_any_other(project):
    project.write(
        "train.py",
        """
        import warnings, tracelet

        class Tensor:
            def __float__(self):
                warnings.warn("Converting a tensor with requires_grad=True to a scalar may lead to ...", stacklevel=2)
                return 1.5

        with tracelet.start_run() as run:
            for step in range(3):
                run.log_metric("loss", Tensor(), step)
                run.log({"loss": Tensor()}, step=step)
        """,
    )
    assert project.python("train.py").stderr == ""
    assert list(tracelet.open_store(project.path).runs()[0].metric("loss").values) == [1.5] * 6


def test_a_parameter_too_large_to_record_is_not_searched_for_secrets(tmp_path, caplog):
    text = '{"key": "value", "token": 5} ' * 700_000
    with tracelet.start_run("large", dir=tmp_path, plugins=["no:system", "no:environment", "no:gpu"]) as run:
        began = time.process_time()
        run.log_params({"large": text, "small": 1})
        run.set_tags({"large": text})
        assert time.process_time() - began < 1
    record = tracelet.open_store(tmp_path).run(run.id)
    assert record.params == {"small": 1}
    assert "'large': expected at most" in caplog.text
