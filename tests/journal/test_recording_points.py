"""Points and rows: what is recorded is what is read, and steps count up as they should."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from tracelet.errors import NoActiveRunError
from tracelet.journal import as_number, as_step, flatten
from tracelet.journal.format import HEADER, WINDOW_BYTES


@pytest.fixture(params=[True, False], ids=["mapped", "plain"])
def writer(request, journal):
    return journal.writer(mapped=request.param)


def test_points_read_back_in_order(journal, writer):
    for step in range(1000):
        writer.point("loss", 1 / (step + 1), step)
    points = journal.points()
    assert [(point.name, point.step, point.value) for point in points] == [
        ("loss", step, 1 / (step + 1)) for step in range(1000)
    ]
    assert {(point.type, point.source, point.index) for point in points} == {("scalar", None, 0)}
    assert [point.time for point in points] == sorted(point.time for point in points)
    assert len({point.seq for point in points}) == 1000
    assert writer.recorded == 1000


def test_type_and_source_belong_to_the_metric(journal, writer):
    writer.point("cpu", 1, 0, type="system", source="psutil")
    writer.point("cpu", 2, 0)
    writer.row({"gpu": 3, "ram": 4}, 0, type="system", source="nvml")
    assert [(point.name, point.type, point.source) for point in journal.points()] == [
        ("cpu", "system", "psutil"),
        ("cpu", "scalar", None),
        ("gpu", "system", "nvml"),
        ("ram", "system", "nvml"),
    ]


def test_a_row_is_one_record_at_one_moment(journal, writer):
    writer.row({f"m{place}": place / 3 for place in range(10)}, 7)
    points = journal.points()
    assert [(point.index, point.name, point.value) for point in points] == [
        (place, f"m{place}", place / 3) for place in range(10)
    ]
    assert len({(point.seq, point.step, point.time) for point in points}) == 1
    assert writer.recorded == 10


def test_nested_metrics_are_flattened(journal, writer):
    writer.row({"train": {"loss": 1, "acc": [0.5, 0.25]}, "lr": 0.1})
    writer.row({"only": {"one": 2}})
    writer.row({})
    assert [(point.name, point.value) for point in journal.points()] == [
        ("train/loss", 1),
        ("train/acc/0", 0.5),
        ("train/acc/1", 0.25),
        ("lr", 0.1),
        ("only/one", 2),
    ]


@pytest.mark.parametrize(
    "metrics",
    [{"a/b": 1, "a": {"b": 2}}, {"a": {"b": 2}, "a/b": 1}, {"x": [5], "x/0": 6}, {1: 0.5, "1": 0.25}],
)
def test_two_values_of_one_name_are_refused(journal, writer, metrics):
    with pytest.raises(
        ValueError, match=r"metric '(a/b|x/0|1)': expected one value, found two: [\d.]+ and [\d.]+"
    ):
        writer.row(metrics)
    assert writer.recorded == 0
    assert journal.points() == []


def test_little_room_is_reserved_for_little(journal):
    """So that many processes that record a few points each take little of the disk."""
    writer = journal.writer(mapped=True)
    for step in range(100):
        writer.point("a", step, step)
    writer._stream.look_ahead()
    assert sum(file.stat().st_size for file in journal.files()) <= HEADER + WINDOW_BYTES


def test_nested_values_may_come_where_plain_ones_came_before(journal, writer):
    for value in (1, {"b": 2}, [3]):
        writer.row({"a": value})
        writer.row({"a": value, "c": 0})
    names = [point.name for point in journal.points()]
    assert names == ["a", "a", "c", "a/b", "a/b", "c", "a/0", "a/0", "c"]


def test_a_mapping_that_contains_itself_is_refused(writer):
    metrics = {"loss": 1}
    metrics["self"] = metrics
    with pytest.raises(ValueError, match="contain themselves"):
        writer.row(metrics)


def test_flatten_names_lists_by_place():
    assert flatten({"a": {"b": [1, (2, {"c": 3})]}, 5: 4}) == {
        "a/b/0": 1,
        "a/b/1/0": 2,
        "a/b/1/1/c": 3,
        "5": 4,
    }


def test_rows_of_any_width_are_whole(journal, writer):
    widths = [1, 2, 3, 4, 5, 63, 1000, 4096, 4097, 9000]
    for width in widths:
        writer.row({f"{width}/{place}": place for place in range(width)}, width)
    points = journal.points()
    assert [(point.name, point.step, point.value) for point in points] == [
        (f"{width}/{place}", width, place) for width in widths for place in range(width)
    ]
    assert writer.recorded == sum(widths)


def test_more_sets_of_metrics_than_plans_are_kept_for(journal, writer):
    for number in range(1500):
        writer.row({f"a{number % 40}": number, f"b{number // 40}": number}, number)
    points = journal.points()
    assert [point.value for point in points] == [number for number in range(1500) for _ in range(2)]
    assert writer.recorded == 3000


def test_an_event_that_is_being_written_does_not_count_as_points(writer, monkeypatch):
    writer.point("a", 0, 0)
    slots, seen = writer._stream.slots, []
    put = slots.put

    def look_and_put(*arguments):
        seen.append(writer.recorded)
        put(*arguments)

    monkeypatch.setattr(slots, "put", look_and_put)
    writer.event("note", {"text": "x" * 10_000})
    assert seen == [1]
    assert writer.recorded == 1


# --- steps -------------------------------------------------------------------------------------------------


def test_without_a_step_each_metric_counts_up_by_itself(journal, writer):
    for _ in range(3):
        writer.point("a", 0)
    writer.point("b", 0)
    writer.point("a", 0, 10)
    writer.point("a", 0, 5)
    writer.point("a", 0)
    assert [(point.name, point.step) for point in journal.points()] == [
        ("a", 0),
        ("a", 1),
        ("a", 2),
        ("b", 0),
        ("a", 10),
        ("a", 5),
        ("a", 11),
    ]


def test_steps_count_up_over_points_and_rows_together(journal, writer):
    writer.point("a", 0)
    writer.row({"a": 0, "b": 0})
    writer.point("b", 0)
    writer.row({"a": 0, "b": 0})
    writer.row({"b": 0, "c": 0})
    writer.point("a", 0)
    writer.row({"c": 0, "a": 0, "b": 0})
    assert [(point.name, point.step) for point in journal.points()] == [
        ("a", 0),
        ("a", 1),
        ("b", 1),
        ("b", 2),
        ("a", 3),
        ("b", 3),
        ("b", 4),
        ("c", 4),
        ("a", 4),
        ("c", 5),
        ("a", 5),
        ("b", 5),
    ]


def test_a_resumed_run_counts_on(journal):
    writer = journal.writer(last_steps={"a": 41})
    writer.point("a", 0)
    writer.row({"a": 0, "b": 0})
    writer.point("b", 0)
    assert [point.step for point in journal.points()] == [42, 43, 43, 44]


@pytest.mark.parametrize(
    "step", [0, -5, 2**63 - 1, -(2**63), True, 3.0, np.int32(7), np.uint8(9), np.float32(4)]
)
def test_whole_steps_of_any_kind(journal, writer, step):
    writer.point("a", 0, step)
    writer.row({"a": 0, "b": 0}, step)
    assert [point.step for point in journal.points()] == [int(step)] * 3


@pytest.mark.parametrize("step", ["1", 1.5, math.nan, math.inf, None, [1], 2**63, -(2**63) - 1, 1e30])
def test_other_steps_are_refused(journal, writer, step):
    if step is not None:
        with pytest.raises((TypeError, ValueError), match="step of 'loss'"):
            writer.point("loss", 0, step)
        with pytest.raises((TypeError, ValueError), match="step of 'loss'"):
            writer.row({"loss": 0, "acc": 1}, step)
    with pytest.raises((TypeError, ValueError)):
        as_step(step)
    writer.point("loss", 0)
    assert [point.step for point in journal.points()] == [0]


def test_no_step_follows_the_greatest(journal, writer):
    writer.point("a", 0, 2**63 - 1)
    wide = {"a": 1, **{f"m{number}": 1 for number in range(5000)}}
    for values in ({"a": 1}, {"a": 1, "b": 1}, wide):
        for _ in range(2):
            with pytest.raises(ValueError, match="step of 'a': expected a whole number that fits 64 bits"):
                writer.row(values)
    with pytest.raises(ValueError, match="step of 'a'"):
        writer.point("a", 1)
    writer.point("other", 1)
    assert [(point.name, point.step) for point in journal.points()] == [("a", 2**63 - 1), ("other", 0)]


# --- values ------------------------------------------------------------------------------------------------


class Tensor:
    """Like a tensor of PyTorch on another device: a number only through ``item``."""

    def __init__(self, *values):
        self.values = values
        self.shape = (len(values),)

    def item(self):
        if len(self.values) != 1:
            raise RuntimeError(f"a Tensor with {len(self.values)} elements cannot be converted to Scalar")
        return self.values[0]


NUMBERS = [
    (3, 3.0),
    (True, 1.0),
    (0.1, 0.1),
    (-0.0, -0.0),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    (5e-324, 5e-324),
    (2**1023, 2.0**1023),
    (Decimal("0.1"), 0.1),
    (Fraction(1, 4), 0.25),
    (np.float64(0.1), 0.1),
    (np.float32(0.1), float(np.float32(0.1))),
    (np.float16(0.5), 0.5),
    (np.int64(-7), -7.0),
    (np.uint8(200), 200.0),
    (np.bool_(True), 1.0),
    (np.array(2.5), 2.5),
    (Tensor(1.5), 1.5),
]


@pytest.mark.parametrize(("value", "expected"), NUMBERS, ids=lambda value: type(value).__name__)
def test_numbers_of_any_kind(journal, writer, value, expected):
    writer.point("a", value)
    writer.row({"a": value, "b": value})
    writer.row({"a": value})
    assert as_number(value) == expected
    found = [point.value for point in journal.points()]
    assert found == [expected] * 4
    assert all(math.copysign(1, one) == math.copysign(1, expected) for one in found)


def test_nan_stays_nan(journal, writer):
    for value in (math.nan, np.float32("nan"), Decimal("nan"), Tensor(math.nan)):
        writer.point("a", value)
        writer.row({"a": value, "b": 1})
    assert [math.isnan(point.value) for point in journal.points()] == [True, True, False] * 4


@pytest.mark.parametrize(
    "value",
    ["1.0", b"1", None, 1j, [], object(), np.zeros(3), Tensor(1, 2), 10**400, Decimal("sNaN")],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_is_refused_and_named(journal, writer, value):
    with pytest.raises(TypeError, match=r"'train/loss'.*expected one number, found .*of type"):
        writer.point("train/loss", value)
    if not isinstance(value, list):
        with pytest.raises(TypeError, match=r"'train/loss'.*expected one number"):
            writer.row({"acc": 1, "train/loss": value})
    with pytest.raises(TypeError):
        as_number(value)
    writer.point("train/loss", 1)
    assert [(point.value, point.step) for point in journal.points()] == [(1, 0)]


def test_a_repr_that_fails_does_not_hide_the_mistake(writer):
    class Broken:
        def __repr__(self):
            raise ValueError("no repr")

    with pytest.raises(TypeError, match=r"'loss'.*repr failed"):
        writer.point("loss", Broken())


@pytest.mark.parametrize("name", ["", None, 5, ("a", "b"), ["a"]])
def test_a_name_is_a_string(writer, name):
    with pytest.raises(TypeError, match="expected a name"):
        writer.point(name, 1)


@pytest.mark.parametrize("metrics", [5, None, [1.0], "loss"])
def test_a_row_is_a_mapping(writer, metrics):
    with pytest.raises(TypeError, match="expected a mapping of names to values"):
        writer.row(metrics)


def test_names_may_hold_anything(journal, writer):
    names = ["ü", "日本", "a b", "a\nb", "a\0b", "\udc80", "😀", "x" * 5000, "/", "'\""]
    for name in names:
        writer.point(name, 1)
    writer.row(dict.fromkeys(names, 2.0))
    assert [point.name for point in journal.points()] == names * 2


# --- events and the end ------------------------------------------------------------------------------------


def test_events_read_back(journal, writer):
    payload = {"params": {"lr": 0.1, "nested": {"a": [1, None, "x"]}}, "source": None}
    writer.event("params", payload)
    writer.event("tags", {"tags": {"team": "ü"}, "type": "taken"})
    writer.event("odd", {"path": journal.run_dir, 5: {1, 2}, ("a", "b"): b"x"})
    first, second, third = journal.events()
    assert (first.type, first.payload) == ("params", payload)
    assert (second.type, second.payload) == ("tags", {"tags": {"team": "ü"}})
    assert third.payload == {"path": str(journal.run_dir), "5": [1, 2], "('a', 'b')": "b'x'"}


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 300_000, 3_000_000])
def test_events_of_any_size(journal, writer, size):
    for _ in range(12):
        writer.point("before", 1)
        writer.event("text", {"text": "x" * size})
    assert [len(event.payload["text"]) for event in journal.events()] == [size] * 12
    assert len(journal.points()) == 12


def test_an_event_larger_than_a_segment_is_refused(writer):
    with pytest.raises(ValueError, match=r"'text'.*at most"):
        writer.event("text", {"text": "x" * (20 << 20)})


def test_the_first_record_says_who_writes(journal):
    writer = journal.writer({"run": {"id": "r1"}, "rank": 3}, owner="ab" * 16)
    first = journal.records()[0]
    assert (first.type, first.seq) == ("writer", 0)
    assert first.payload["run"] == {"id": "r1"}
    assert (first.payload["rank"], first.payload["owner"], first.payload["id"]) == (3, "ab" * 16, writer.id)
    assert first.payload["pid"] > 0


def test_closing_records_the_outcome_and_trims_the_file(journal, writer):
    writer.point("a", 1)
    writer.close("failed", "it broke")
    writer.close("finished")
    last = journal.records()[-1]
    assert (last.type, last.payload) == ("outcome", {"outcome": "failed", "error": "it broke"})
    assert [file.stat().st_size < 1500 for file in journal.files()] == [True]


def test_logging_after_close_is_a_clear_error(journal, writer):
    writer.point("a", 1)
    writer.row({"a": 1, "b": 2})
    writer.close("finished")
    for record in (
        lambda: writer.point("a", 1),
        lambda: writer.point("new", 1),
        lambda: writer.row({"a": 1, "b": 2}),
        lambda: writer.event("x", {}),
    ):
        with pytest.raises(NoActiveRunError, match="is closed") as caught:
            record()
        assert caught.value.__context__ is None
    writer.sync()
    assert writer.recorded == 3
    assert len(journal.points()) == 3


def test_a_mistake_shows_without_what_went_on_inside(writer):
    with pytest.raises(TypeError) as caught:
        writer.point("a", "text")
    assert caught.value.__context__ is None


def test_a_writer_can_be_used_as_a_context(journal):
    with journal.writer() as writer:
        writer.point("a", 1)
    assert "closed" in repr(writer)
    assert journal.records()[-1].type == "outcome"


def test_a_writer_does_not_travel_to_another_process(writer):
    import pickle

    with pytest.raises(TypeError, match="belongs to its process"):
        pickle.dumps(writer)


def test_folders_and_files_are_the_users_alone(journal, writer):
    writer.point("a", 1)
    assert journal.run_dir.stat().st_mode & 0o777 == 0o700
    assert (journal.run_dir / "journal").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in journal.files()} == {0o600}
