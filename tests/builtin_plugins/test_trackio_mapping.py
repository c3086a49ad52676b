"""What Trackio cannot hold is mapped by rules that are stable, injective and within its limits."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.trackio import TrackioBackend, mapping
from tracelet_hookspecs import MetricData, MetricType

ANY_TEXT = st.text(st.characters(), max_size=60)
NAMES = ANY_TEXT | st.sampled_from(
    [*sorted(mapping.RESERVED), "__step", "__x", "____x", "tracelet", "_x", ""]
)


@given(NAMES)
def test_a_key_is_the_name_unless_trackio_uses_it_itself(name: str) -> None:
    key = mapping.metric_key(name)
    assert key.encode()
    assert key not in mapping.RESERVED
    if name and name not in mapping.RESERVED and not re.search("^__|[\ud800-\udfff]", name):
        assert key == name


@given(st.lists(NAMES, unique=True, max_size=30))
def test_different_names_have_different_keys(names: list[str]) -> None:
    for rule in (mapping.metric_key, mapping.param_key, mapping.artifact_name, mapping.folder_of):
        assert len(set(map(rule, names))) == len(names), rule


@given(NAMES)
def test_keys_of_the_config_are_free_for_parameters(name: str) -> None:
    key = mapping.param_key(name)
    assert not key.startswith("_")
    assert key not in ("", mapping.OWN_KEY)


@given(ANY_TEXT | st.sampled_from(["registry-x", "a_system", "a_traces", "my.model", "mymodel", "_configs"]))
def test_a_project_is_what_trackio_makes_of_it(name: str) -> None:
    project = mapping.project_name(name)
    kept = "".join(letter for letter in project if letter.isalnum() or letter in "-_").rstrip()
    assert kept == project
    assert 0 < len(project) <= mapping.LARGEST_PROJECT
    assert not project.startswith("registry-")
    assert not project.endswith(("_system", "_configs", "_traces", "_artifacts", "_artifact_versions"))


def test_projects_that_trackio_would_merge_stay_apart() -> None:
    assert mapping.project_name("digits") == "digits"
    assert mapping.project_name("my.model") != mapping.project_name("mymodel") == "mymodel"


@given(ANY_TEXT)
def test_an_artifact_has_a_name_that_trackio_accepts(path: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,120}", mapping.artifact_name(path))


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT, st.lists, max_leaves=8)
)
def test_a_value_is_json_with_64_bit_numbers(value: Any) -> None:
    found = mapping.config_value(value)
    text = json.dumps(found, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert all(
        abs(int(number)) <= 2**63 for number in re.findall(r"(?<![\"\w.e+-])-?\d{15,}(?![\w.\"])", text)
    )


@given(st.floats(0, 4e9))
def test_a_time_is_kept_to_the_microsecond(seconds: float) -> None:
    assert math.isclose(datetime.fromisoformat(mapping.iso_time(seconds)).timestamp(), seconds, abs_tol=2e-6)


@given(st.integers(1, 3000))
def test_a_histogram_keeps_its_range_and_its_count(count: int) -> None:
    edges, counts = mapping.fewer_bins(list(range(count + 1)), [1] * count)
    assert len(edges) == len(counts) + 1 <= mapping.LARGEST_HISTOGRAM + 1
    assert (edges[0], edges[-1], sum(counts)) == (0, count, count)
    assert edges == sorted(set(edges))


def row(sequence: int, indexes: range, kind: MetricType = MetricType.SCALAR) -> list[MetricData]:
    return [
        MetricData(f"m{at}", float(at), kind, iteration=sequence, timestamp=5.0, id=("w", sequence, at))
        for at in indexes
    ]


def test_what_was_recorded_together_is_one_row() -> None:
    system = row(9, range(2), MetricType.SYSTEM)
    rows = mapping.rows_of([*row(7, range(3)), *row(8, range(1)), *system])
    assert [(each.sequence, each.is_system, each.metrics()) for each in rows] == [
        (7, False, {"m0": 0.0, "m1": 1.0, "m2": 2.0}),
        (8, False, {"m0": 0.0}),
        (9, True, {"m0": 0.0, "m1": 1.0}),
    ]
    without_ids = mapping.rows_of([MetricData("a", 1.0), MetricData("a", 2.0)])
    assert [mapping.log_id(each) for each in without_ids] == [None, None]


@given(st.sets(st.integers(0, 40), min_size=1), st.sets(st.integers(0, 40), min_size=1))
def test_a_row_that_was_cut_elsewhere_loses_and_repeats_nothing(
    stored: set[int], given_now: set[int]
) -> None:
    def point(at: int) -> MetricData:
        return MetricData(f"m{at}", 0.0, id=("w:1", 7, at))

    first = mapping.rows_of(map(point, sorted(stored)))
    known = mapping.indexes_of(filter(None, map(mapping.log_id, first)))
    assert known == {("w:1", 7): stored}
    fresh = mapping.without(mapping.rows_of(map(point, sorted(given_now))), known)
    assert {at for each in fresh for at in each.values} == given_now - stored


def test_a_folder_and_a_server_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="expected dir or space_id, found both"):
        TrackioBackend().initialize({"dir": "x", "space_id": "me/space"})
