"""Media: whatever a program gives becomes a file of its own, or is left out with a word."""

from __future__ import annotations

import json
import os
import threading

import numpy as np
import pytest

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tracelet.start_run("media", dir=tmp_path / "data", plugins=QUIET) as run:
        yield run


def read(run):
    return tracelet.open_store(run.dir.parent.parent).run(run.id)


def test_processes_and_threads_that_log_one_name_lose_nothing(run):
    def work(who: str) -> None:
        for step in range(20):
            run.log_text("sample", f"{who} {step}", step=step)

    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            try:
                work(f"child {number}")
            finally:
                os._exit(0)
        children.append(child)
    threads = [threading.Thread(target=work, args=(f"thread {number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    texts = sorted((run.dir / artifact["path"]).read_text() for artifact in read(run).artifacts)
    assert texts == sorted(
        f"{kind} {who} {n}" for kind in ("child", "thread") for who in range(3) for n in range(20)
    )
    assert not list(run.dir.rglob("*.part"))


@pytest.mark.parametrize(
    "name",
    [
        "why " * 80,
        "为什么" * 60,
        "/".join(["part" * 20] * 30),
        "s" * 250,
        "../../x",
        "/abs",
        "a/../b",
        "\0",
        "...",
        " ",
        "é" * 2000,
    ],
    ids=lambda name: f"{name[:12]!r}",
)
def test_a_name_of_any_kind_and_length_is_kept(run, tmp_path, name):
    for step in (None, 7):
        for number in range(3):
            run.log_text(name, f"{step} {number}", step)
    found = [(artifact["name"], (run.dir / artifact["path"]).read_text()) for artifact in read(run).artifacts]
    assert found == [(name, f"{step} {number}") for step in (None, 7) for number in range(3)]
    outside = [path for path in tmp_path.rglob("*.txt") if run.dir / "media" not in path.parents]
    assert outside == []


@pytest.mark.parametrize("step", [7, 7.0, np.int64(7), np.array(7), np.float32(7), True + 6])
def test_a_step_is_the_same_in_metrics_and_media(run, step):
    run.log_metric("m", 1.0, step)
    run.log_text("t", "text", step)
    run.log_image("i", np.zeros((2, 2)), step)
    record = read(run)
    assert list(record.metric("m").iterations) == [7]
    assert [(type(medium["step"]), medium["step"]) for medium in record.artifacts] == [(int, 7)] * 2
    assert record.artifacts[0]["path"] == "media/t-7.txt"


@pytest.mark.parametrize("step", [1.5, "7", "../../x", [1], float("nan"), 2**63])
def test_a_step_that_is_not_a_whole_number_raises(run, step):
    for call in (
        lambda: run.log_metric("x", 1.0, step),
        lambda: run.log({"x": 1.0}, step),
        lambda: run.log_text("x", "text", step),
        lambda: run.log_table("x", [[1]], step=step),
        lambda: run.log_histogram("x", [1.0], step),
        lambda: run.log_image("x", np.zeros((2, 2)), step),
    ):
        with pytest.raises(tracelet.RecordingError, match="step"):
            call()
    assert read(run).artifacts == []


@pytest.mark.parametrize("bins", [0, -1, 1.5, "a", None, [], [1], [2, 1], [1, 1], [0, float("inf")], 10**9])
def test_wrong_bins_raise(run, bins):
    with pytest.raises(tracelet.RecordingError, match="bins"):
        run.log_histogram("h", [1.0, 2.0], bins=bins)


def test_columns_as_a_text_raise(run):
    with pytest.raises(tracelet.RecordingError, match="columns"):
        run.log_table("t", [[1, 2]], columns="ab")


class Broken:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name):
        raise KeyError(name)

    def __str__(self):
        raise KeyError("str")

    __repr__ = __iter__ = __str__


class Figure:
    def savefig(self, file, **options):
        raise RuntimeError("cannot be drawn")


def test_no_object_ends_the_training(run, caplog):
    for value in (
        Broken(),
        Figure(),
        object(),
        5,
        None,
        {"a": object()},
        [Broken()],
        b"\xff",
        "\ud800",
        float("nan"),
    ):
        run.log_text("text", value)
        run.log_table("table", value)
        run.log_histogram("histogram", value)
        run.log_image("image", value)
        run.log_figure("figure", value)
    run.log_metric("x", 1.0, 0)
    record = read(run)
    assert record.metrics() == ["x"]
    dropped = run.status()["dropped"]
    assert sum(dropped.values()) + len(record.artifacts) == 50
    assert {reason.partition(":")[0] for reason in dropped} == {
        "text",
        "table",
        "histogram",
        "image",
        "figure",
    }
    assert len(caplog.records) == len(dropped)


def test_a_strict_run_raises_what_it_cannot_record(run, tmp_path):
    with tracelet.start_run("strict", dir=tmp_path / "data", plugins=QUIET, strict=True) as strict:
        for call in (strict.log_image, strict.log_figure, strict.log_histogram, strict.log_table):
            with pytest.raises(tracelet.RecordingError):
                call("x", Broken())


def test_an_image_of_every_mode_of_pillow(run):
    image = pytest.importorskip("PIL.Image")
    modes = (
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBa",
        "La",
        "RGBX",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "I;16",
        "I;16B",
    )
    for mode in modes:
        run.log_image(mode, image.new(mode, (3, 2)))
    found = {artifact["name"]: artifact for artifact in read(run).artifacts}
    assert list(found) == list(modes)
    for artifact in found.values():
        with image.open(run.dir / artifact["path"]) as decoded:
            assert (decoded.format, decoded.size) == ("PNG", (3, 2))


def test_the_range_of_a_scaled_image_is_recorded(run):
    run.log_image("depth", np.array([[2.5, np.nan], [10.0, 6.0]]))
    [artifact] = read(run).artifacts
    assert artifact["metadata"] == {"range": [2.5, 10.0], "not_finite": 1}


def test_a_histogram_of_any_range_counts_as_numpy_does(run):
    rng = np.random.default_rng(0)
    for values in (
        rng.normal(size=3_000_000).astype("f4"),
        rng.integers(-5, 5, 1000),
        np.array([-1.7e308, 0, 1.7e308]),
    ):
        run.log_histogram("h", values, bins=16)
        told = json.loads((run.dir / read(run).artifacts[-1]["path"]).read_text())
        counts, _ = np.histogram(values.astype("f8"), bins=told["edges"])
        assert told["counts"] == counts.tolist()
        assert np.all(np.diff(told["edges"]) > 0)


def test_sparse_matrices_count_their_zeros(run):
    class Sparse:  # as SciPy's
        shape = (4, 4)

        def tocoo(self):
            self.data = np.ones(4)
            return self

    run.log_histogram("h", Sparse(), bins=2)
    told = json.loads((run.dir / read(run).artifacts[0]["path"]).read_text())
    assert (told["counts"], told["count"]) == ([12, 4], 16)


class Tensor:
    """As PyTorch's on a GPU, with a gradient: NumPy gets it only after detach() and cpu()."""

    dtype = "torch.float32"

    def __init__(self, data, *, ready=()):
        self.data, self.shape, self.ready = data, data.shape, ready

    def detach(self):
        return Tensor(self.data, ready=(*self.ready, "detach"))

    def cpu(self):
        return Tensor(self.data, ready=(*self.ready, "cpu"))

    def __array__(self, *_, **__):
        if self.ready != ("detach", "cpu"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return self.data

    def tolist(self):
        return self.data.tolist()

    def item(self):
        return self.data.item()


def test_tensors_of_another_device(run):
    run.log_histogram("h", Tensor(np.arange(4.0)))
    run.log_image("i", Tensor(np.ones((3, 4, 5), "f4")))
    run.log_table("t", Tensor(np.arange(4.0).reshape(2, 2)))
    run.log_params({"t": Tensor(np.array([0.123456789])), "v": Tensor(np.array([0.1, 0.2]))})
    run.log({"loss": Tensor(np.array([1.5]))}, step=0)
    assert run.status()["dropped"] == {}
    record = read(run)
    assert record.params == {"t": 0.123456789, "v": [0.1, 0.2]}
    assert list(record.metric("loss").values) == [1.5]
    assert len(record.artifacts) == 3


def test_without_numpy_and_pillow(project):
    project.write(
        "train.py",
        """
        import sys
        sys.modules.update(dict.fromkeys(["numpy", "PIL", "pandas"]))  # as if they were not installed
        import tracelet
        with tracelet.start_run(plugins=["no:system", "no:environment", "no:gpu"]) as run:
            run.log_image("grey", [[0.0, 0.5], [1.0, float("nan")]])
            run.log_image("colour", [[[0, 1, 255]]])
            run.log_image("mask", [[True, False]])
            run.log_image("wrong", [[1, 2], [3]])
            run.log_histogram("h", [1.0, 2.0, float("nan"), [3.0]], bins=2)
            run.log_table("t", [{"a": 1}, {"a": 2}])
            run.log_params({"layers": [1, 2], "empty": []})
            print(run.status()["dropped"])
        """,
    )
    assert project.python("train.py").stdout == "{'image: not an image': 1}\n"
    [record] = tracelet.open_store(project.path).runs()
    files = {artifact["name"]: (record.dir / artifact["path"]).read_bytes() for artifact in record.artifacts}
    assert json.loads(files["h"]) == {"edges": [1.0, 2.0, 3.0], "counts": [1, 2], "count": 4, "not_finite": 1}
    assert json.loads(files["t"]) == {"columns": ["a"], "rows": [[1], [2]]}
    image = pytest.importorskip("PIL.Image")
    for name, pixels in (("grey", [0, 128, 255, 0]), ("colour", [0, 1, 255]), ("mask", [255, 0])):
        [path] = [record.dir / one["path"] for one in record.artifacts if one["name"] == name]
        with image.open(path) as decoded:
            assert np.asarray(decoded).ravel().tolist() == pixels
