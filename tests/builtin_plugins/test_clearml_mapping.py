"""How names, values and parameters appear in ClearML: pure rules, without the client."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.clearml import mapping
from tracelet_hookspecs import MetricData

NAMES = st.text(st.sampled_from("ab/\u8a9e\ud800\0 ."), max_size=8) | st.text(max_size=1200)


@given(NAMES.filter(bool), NAMES.filter(bool))
def test_different_names_never_meet(one: str, other: str) -> None:
    assert (mapping.title_and_series(one) == mapping.title_and_series(other)) == (one == other)


@given(NAMES.filter(bool))
def test_titles_and_series_can_be_stored(name: str) -> None:
    for part in mapping.title_and_series(name):
        assert 1 <= len(part) <= 1000
        part.encode()
        assert "\0" not in part


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("loss", ("loss", "loss")),
        ("train/loss", ("train", "loss")),
        ("a/b/c", ("a/b", "c")),
        ("loss/loss", ("loss/loss", "loss/loss")),
        ("/loss", ("/loss", "/loss")),
        ("loss/", ("loss/", "loss/")),
    ],
)
def test_title_and_series(name: str, pair: tuple[str, str]) -> None:
    assert mapping.title_and_series(name) == pair


def test_points_become_scalars_with_their_own_time() -> None:
    points = [
        MetricData("train/loss", 0.1, iteration=3, timestamp=1.25),
        MetricData("cpu", 5, timestamp=12.9),
    ]
    assert mapping.scalar_events(points, "t", 10.0) == [
        {
            "type": "training_stats_scalar",
            "task": "t",
            "timestamp": 1250,
            "iter": 3,
            "metric": "train",
            "variant": "loss",
            "value": 0.1,
        },
        {
            "type": "training_stats_scalar",
            "task": "t",
            "timestamp": 12900,
            "iter": 2,
            "metric": "cpu",
            "variant": "cpu",
            "value": 5.0,
        },
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e39])
def test_what_no_scalar_holds_becomes_a_line_of_the_console(value: float) -> None:
    [event] = mapping.scalar_events([MetricData("loss", value, iteration=7, timestamp=1.0)], "t", 0.0)
    assert event["type"] == "log"
    assert event["msg"] == f"loss = {value!r} at iteration 7"


@given(st.floats(), st.none() | st.integers(), st.floats(0, 4e9))
def test_events_are_strict_json(value: float, step: int | None, time: float) -> None:
    events = mapping.scalar_events([MetricData("loss", value, iteration=step, timestamp=time)], "t", 0.0)
    json.dumps(events, allow_nan=False)
    assert all(-(2**63) <= event.get("iter", 0) < 2**63 for event in events)


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (0.1, "0.1", "float"),
        (True, "True", "bool"),
        (None, "None", "NoneType"),
        (["a", 1], '["a", 1]', "list"),
        ("\ud800\0", "\\ud800\\x00", "str"),
    ],
)
def test_parameters_keep_their_type(value: object, text: str, kind: str) -> None:
    item = mapping.parameter("lr", value)
    assert (item["section"], item["name"], item["value"], item["type"]) == ("General", "lr", text, kind)


@given(st.dictionaries(NAMES.filter(bool), st.sampled_from(["", "x", "y=z"]), min_size=2, max_size=2))
def test_tags_of_different_keys_never_meet(tags: dict[str, str]) -> None:
    assert len({mapping.tag_text(key, value) for key, value in tags.items()}) == 2


@given(NAMES.filter(lambda name: name.strip("/")), NAMES.filter(lambda name: name.strip("/")))
def test_paths_are_ascii_and_never_meet(one: str, other: str) -> None:
    first, second = mapping.far_path(one), mapping.far_path(other)
    assert first.isascii()
    assert not {"", ".", ".."} & set(first.split("/"))
    assert (first == second) == ([p for p in one.split("/") if p] == [p for p in other.split("/") if p])


def test_tables_and_histograms_become_plots() -> None:
    table = json.loads(mapping.plot_of("table", "t", b'{"columns": ["a"], "rows": [[1], ["x"]]}') or "")
    assert table["data"][0]["cells"]["values"] == [[1, "x"]]
    bars = json.loads(mapping.plot_of("histogram", "h", b'{"edges": [0, 1, 3], "counts": [5, 6]}') or "")
    assert (bars["data"][0]["x"], bars["data"][0]["y"]) == ([0.5, 2.0], [5, 6])
    assert mapping.plot_of("table", "t", b"nonsense") is None
    assert mapping.plot_of("image", "i", b"") is None


def test_names_of_runs_have_three_characters() -> None:
    assert [mapping.task_name(name) for name in ("a", " b ", "run-1")] == ["a__", "b__", "run-1"]
