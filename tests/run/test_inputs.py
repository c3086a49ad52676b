"""No value, name or object that a program logs ends its training, and nothing else is lost with it."""

from __future__ import annotations

import argparse
import io
import json
import math
import warnings
from collections.abc import Mapping
from enum import Enum
from unittest import mock

import numpy as np
import pytest
from tests.run.conftest import read

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu"]


class Name(str, Enum):
    LOSS = "loss"


class Liar:
    """Says that it is a float."""

    __class__ = float  # type: ignore[assignment]


class NoClass:
    @property
    def __class__(self):
        raise RuntimeError("no class")


class Item:
    def item(self, key):
        return key

    def __float__(self):
        return 2.5


class BrokenMapping(Mapping):
    def __getitem__(self, key):
        raise RuntimeError("no item")

    def __iter__(self):
        raise RuntimeError("no keys")

    def __len__(self):
        return 1


ODD = {  # pytest itself cannot show some of these
    "liar": Liar,
    "no class": NoClass,
    "mock": lambda: mock.Mock(spec=float),
    "mapping": BrokenMapping,
    "class": lambda: type,
    "ellipsis": lambda: ...,
    "generator": lambda: (i for i in ()),
    "set": lambda: {1},
    "range": lambda: range(3),
}


@pytest.mark.parametrize("odd", ODD)
def test_the_good_values_of_a_row_are_kept(run, strict, odd):
    value = ODD[odd]()
    run.log_metric("odd", value, 1)
    run.log({"good": 0.5, "odd": value, "inner": {"odd": value, "good": 3}}, step=1)
    record = read(run)
    assert record.metrics() == ["good", "inner/good"]
    assert run.status()["dropped"]
    with pytest.raises(tracelet.RecordingError):
        strict.log({"good": 0.5, "odd": value, "inner": {"good": 3}}, step=1)
    assert read(strict).metrics() == ["good", "inner/good"]


def test_an_object_whose_item_means_something_else_is_its_float(run):
    run.log_metric("x", Item(), 0)
    run.log({"y": Item(), "z": 1.0}, 0)
    record = read(run)
    assert [list(record.metric(name).values) for name in "xyz"] == [[2.5], [2.5], [1.0]]


def test_warnings_as_errors_change_nothing(run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in (np.ma.masked, np.ma.array(1.0, mask=True), np.array([1.0]), np.complex64(1)):
            run.log_metric("x", value)
            run.log({"y": value, "z": 1.0})
    record = read(run)
    assert [math.isnan(value) for value in record.metric("x").values] == [True, True, False]
    assert len(record.metric("z").values) == 4


@pytest.mark.parametrize(
    "value",
    [np.float16(0.5), np.float32(0.5), np.float64(0.5), np.int8(1), np.uint64(2**60), np.bool_(True), 3],
)
def test_numbers_of_each_type_stay_exact_however_often_they_are_logged(run, value):
    for step in range(3):
        run.log_metric("a", value, step)
        run.log({"b": value, "c": 1.5}, step=step)
    record = read(run)
    assert list(record.metric("a").values) == list(record.metric("b").values) == [float(value)] * 3
    assert run.status()["dropped"] == {}


def test_a_row_of_numpy_numbers_warns_of_nothing(run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tracelet\.run\.recording$")
        for kind in (np.float16, np.float32, np.float64):
            for _ in range(3):
                run.log({"a": kind(6e4), "b": kind(6e4), "c": kind("inf"), "d": kind("-inf")})
    assert [str(one.message) for one in caught] == []


def test_rows_of_nan_and_of_large_numbers_are_exact(run):
    for step, value in enumerate((math.nan, math.inf, -1e300, 2**53, -(2**53), 0)):
        run.log({"a": value, "b": 1.0}, step=step)
    values = list(read(run).metric("a").values)
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -1e300, 2.0**53, -(2.0**53), 0.0]


def test_names_of_a_text_enumeration_are_their_texts(run):
    run.log_metric(Name.LOSS, 0.5)
    run.log_metric("loss", 0.5)
    run.log({Name.LOSS: 0.5})
    run.log({Name.LOSS: 1, "acc": 2})
    run.log({"train": {Name.LOSS: 0.5}}, step=0)
    run.log_text(Name.LOSS, "text")
    run.log_params({Name.LOSS: 1, "nested": {Name.LOSS: 2}})
    run.set_tags([Name.LOSS])
    record = read(run)
    assert record.metrics() == ["acc", "loss", "train/loss"]
    assert list(record.metric("loss").iterations) == [0, 1, 2, 3]
    assert record.params == {"loss": 1, "nested/loss": 2}
    assert record.tags == {"loss": ""}
    assert record.artifacts[0]["name"] == "loss"


@pytest.mark.parametrize("name", [None, "", 5, b"loss", ("a",)])
def test_what_is_not_a_name_raises(run, name):
    for call in (
        lambda: run.log_metric(name, 1.0),
        lambda: run.log_metric(name, 1),
        lambda: run.log_text(name, "text"),
    ):
        with pytest.raises(tracelet.RecordingError, match="expected a name"):
            call()


@pytest.mark.parametrize("metrics", [None, 5, "loss", [1.0], object()])
def test_what_is_not_a_mapping_raises(run, metrics):
    with pytest.raises(tracelet.RecordingError, match="expected a mapping"):
        run.log(metrics)


def test_names_that_cannot_be_kept_cost_only_themselves(run):
    run.log({"": 1.0, "good": 2.0, "x" * 2_000_000: 3.0})
    run.log_metric("y" * 20_000_000, 1.0)
    run.log_text("y" * 20_000_000, "text")
    run.log_params({"": 1, "z" * 2_000_000: 2, "lr": 3})
    run.set_tags(["t" * 2_000_000, "good"])
    record = read(run)
    assert (record.metrics(), record.params, record.tags) == (["good"], {"lr": 3}, {"good": ""})
    assert run.status()["dropped"] == {"no name": 2, "name too long": 5}


def test_nesting_without_end_costs_only_itself(run):
    cycle = {"x": 1.0}
    cycle["me"] = cycle
    deep = inner = {}
    for _ in range(3000):
        inner["k"] = {}
        inner = inner["k"]
    inner["v"] = 1.0
    run.log({"cycle": cycle, "deep": deep, "a/b": 1, "a": {"b": 2}}, step=0)
    run.log_params({"cycle": cycle, "deep": deep, "lr": 1})
    record = read(run)
    assert record.metrics() == ["a/b", "cycle/x"]
    assert record.params == {"cycle/x": 1.0, "lr": 1}


def test_reports_name_the_input_once_and_end(run, caplog):
    for step in range(5):
        run.log({f"metric{number}": None for number in range(100)}, step=step)
    assert run.status()["dropped"] == {"no value": 500}
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 21
    assert "metric 'metric0': expected one number, found None of type NoneType" in texts[0]
    assert "further inputs are only counted" in texts[-1]


def test_a_parameter_of_any_kind_keeps_its_neighbours(run):
    for number, value in enumerate(
        [*(make() for make in ODD.values()), np.array([None]), np.zeros(0), 10**6000, lambda: 1, np.ma.masked]
    ):
        run.log_params({f"odd{number}": value, f"after{number}": 1})
    params = read(run).params
    assert [name for name in params if name.startswith("after")] == [
        f"after{number}" for number in range(len(ODD) + 5)
    ]


@pytest.mark.parametrize("kind", ["namespace", "name taken", "contains itself"])
def test_a_run_does_not_start_with_parameters_that_are_plainly_wrong(tmp_path, kind):
    cycle = {"lr": 1}
    cycle["me"] = cycle
    wrong = {
        "namespace": argparse.Namespace(lr=1),
        "name taken": {"a/b": 1, "a": {"b": 2}},
        "contains itself": cycle,
    }
    with pytest.raises(tracelet.RecordingError):
        tracelet.start_run("bad", params=wrong[kind], dir=tmp_path / "data", plugins=QUIET)
    assert tracelet.active_run() is None
    assert [record.outcome for record in tracelet.open_store(tmp_path / "data").runs()] == ["failed"]


def test_many_large_parameters_are_kept(run):
    values = {f"p{number}": "x" * 4_000_000 for number in range(10)}
    run.log_params(values)
    assert read(run).params == values


def test_a_library_configuration_is_the_mapping_that_it_stands_for(run):
    omegaconf = pytest.importorskip("omegaconf")
    plain = {"model": {"layers": [64, 10], "blocks": [{"k": 3}]}, "lr": 0.1, "alias": 0.1, "none": None}
    run.log_params(omegaconf.OmegaConf.create({**plain, "alias": "${lr}", "must": "???"}))
    expected = {
        "model/layers/0": 64,
        "model/layers/1": 10,
        "model/blocks/0/k": 3,
        "lr": 0.1,
        "alias": 0.1,
        "none": None,
    }
    assert read(run).params == expected
    assert run.status()["dropped"] == {"unreadable": 1}


# -- calls as users of other trackers make them -----------------------------------------------------------


def test_a_name_that_is_an_array_raises_like_any_other(run):
    with pytest.raises(tracelet.RecordingError, match=r"^expected a name, found array\(.* of type ndarray$"):
        run.log_image(np.zeros((4, 4)), "swapped")


def test_an_error_of_a_step_names_no_metric_called_step(run):
    for call, text in (
        (lambda: run.log({"loss": 1.0}, step="3"), "step: expected a whole number, found '3' of type str"),
        (
            lambda: run.log_metric("loss", 1.0, "3"),
            "step of 'loss': expected a whole number, found '3' of type str",
        ),
        (
            lambda: run.log({"loss": 1.0}, step=2**63),
            f"step: expected a whole number that fits 64 bits, found {2**63}",
        ),
    ):
        with pytest.raises(tracelet.RecordingError) as caught:
            call()
        assert str(caught.value) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": {"lr": 0.1}}, "found {'lr': 0.1} of type dict; pass parameters as params="),
        ({"name": 3}, "start_run: expected a name (a text), found 3 of type int"),
        ({"dir": 3}, "start_run: dir: expected the path of a folder, found 3 of type int"),
        ({"config": {"epochs": 3}}, "; pass hyperparameters as params="),
    ],
)
def test_a_start_with_arguments_in_the_wrong_place_raises(tmp_path, arguments, text):
    with pytest.raises(tracelet.TraceletError) as caught:
        tracelet.start_run(**{"dir": tmp_path, **arguments})
    assert text in str(caught.value)
    assert tracelet.active_run() is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("outcome", [0, 1, None, ""])
def test_an_exit_status_is_no_outcome(run, outcome):
    with pytest.raises(tracelet.UsageError, match="expected an outcome"):
        run.finish(outcome)
    assert run.outcome is None
    run.finish("failed")
    assert read(run).outcome == "failed"


def test_a_timeout_in_the_place_of_durable_raises(run):
    with pytest.raises(
        tracelet.UsageError, match="flush: durable: expected True or False, found 60; for seconds: timeout=60"
    ):
        run.flush(60)


def test_a_timeout_that_is_no_number_raises(run):
    for call in (lambda: run.finish(timeout="5"), lambda: run.flush(timeout="5")):
        with pytest.raises(tracelet.UsageError, match="expected a timeout in seconds, found '5'"):
            call()


def test_setting_the_name_of_a_run_renames_it(run):
    run.name = "renamed"
    with pytest.raises(tracelet.UsageError, match="expected a name"):
        run.name = 5
    run.finish()
    assert (run.name, read(run).name) == ("renamed", "renamed")


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), 2**60])
def test_two_different_steps_are_reported_and_step_counts(run, value, caplog):
    run.log_metric("same", value, 3, step=3)
    assert caplog.text == ""
    for _ in range(2):
        run.log_metric("loss", value, 3, step=4)
    assert (
        "metric 'loss': found both iteration=3 and step=4; recorded at step 4; pass one of them"
        in caplog.text
    )
    assert caplog.text.count("pass one of them") == 1
    run.finish()
    assert list(read(run).metric("loss").iterations) == [4, 4]
    assert list(read(run).metric("same").iterations) == [3]


def test_a_histogram_that_numpy_has_made_is_recorded_as_it_is(run):
    counts, edges = np.histogram(np.arange(100), bins=7)
    run.log_histogram("made", (counts, edges))
    run.log_histogram(
        "values", (np.arange(3), np.array([4.0, 1.0, 2.0, 3.0]))
    )  # no edges: they do not increase
    run.log_histogram("two", [np.arange(3), np.arange(4)])  # a list of arrays is values
    run.finish()
    made, values, two = (json.loads((run.dir / each["path"]).read_text()) for each in read(run).artifacts)
    assert made == {"edges": edges.tolist(), "counts": counts.tolist(), "count": 100, "not_finite": 0}
    assert (values["count"], two["count"]) == (7, 7)


def test_an_image_in_a_file_object(run, tmp_path):
    image = pytest.importorskip("PIL.Image").new("RGB", (5, 4))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")  # it is at its end now
    run.log_image("buffer", buffer)
    assert buffer.tell() == len(buffer.getvalue())
    (tmp_path / "image.png").write_bytes(buffer.getvalue())
    with open(tmp_path / "image.png", "rb") as file:
        run.log_image("file", file)
    for wrong in (io.StringIO("text"), io.BytesIO(b"no image"), io.BytesIO()):
        run.log_image("wrong", wrong)
    run.finish()
    assert [each["name"] for each in read(run).artifacts] == ["buffer", "file"]
    assert {(run.dir / each["path"]).read_bytes() for each in read(run).artifacts} == {buffer.getvalue()}
    assert run.status()["dropped"] == {"image: not an image": 3}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *[
            ("init", "start_run"),
            ("log_param", "log_params"),
            ("set_tag", "set_tags"),
            ("stop_loging", "stop_logging"),
        ],
        *[
            ("log_metrics", "log"),
            ("log_artifacts", "log_artifact"),
            ("Image", "log_image"),
            ("strat_run", "start_run"),
        ],
    ],
)
def test_the_name_that_another_tracker_has_or_that_is_misspelled(name, meant):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; did you mean tracelet.{meant}\\?$"):
        getattr(tracelet, name)


def test_a_name_that_resembles_nothing():
    for name in ("quantum", "__wrapped__", "_private"):
        with pytest.raises(AttributeError, match=f"module 'tracelet' has no attribute '{name}'$"):
            getattr(tracelet, name)


@pytest.mark.parametrize(("key", "found"), [(None, "None; leave it out"), (3, "3 "), (b"x", "")])
def test_what_names_no_run(run, key, found):
    store = tracelet.open_store(run.dir.parent.parent)
    with pytest.raises(tracelet.StoreError, match=f"expected the id, name or path of a run, found {found}"):
        store.run(key)
    with pytest.raises(tracelet.StoreError, match="; pass its id"):
        store.run(run)
    assert store.run(run.dir).id == run.id
