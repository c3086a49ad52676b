"""How names, values and parameters appear in Aim: pure rules, without Aim."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.aim import mapping

NAMES = st.text(st.sampled_from("ab/\u8a9e\ud800\0 ."), min_size=1, max_size=8) | st.text(
    min_size=1, max_size=1200
)


@given(NAMES, NAMES)
def test_different_names_never_meet(one: str, other: str) -> None:
    assert (mapping.sequence_name(one) == mapping.sequence_name(other)) == (one == other)


@given(NAMES)
def test_names_can_be_stored(name: str) -> None:
    mapping.sequence_name(name).encode()
    assert 1 <= len(mapping.sequence_name(name)) <= 1000


@given(st.text(), st.text())
def test_runs_have_hashes_of_their_own(one: str, other: str) -> None:
    assert (mapping.run_hash(one) == mapping.run_hash(other)) == (one == other)
    assert len(mapping.run_hash(one)) == 24


@given(st.none() | st.integers(), st.floats(0, 4e9), st.floats(0, 4e9))
def test_steps_fit_into_64_bits(step: int | None, time: float, started: float) -> None:
    assert -(2**63) <= mapping.step_of(step, time, started) < 2**63


def test_a_missing_step_is_milliseconds_since_the_start() -> None:
    assert mapping.step_of(None, 12.5, 10.0) == 2500
    assert mapping.step_of(None, 9.0, 10.0) == 0
    assert mapping.step_of(-3, 12.5, 10.0) == -3


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (True, True),
        (None, None),
        ([1, {"a": (2**64,)}], [1, {"a": ["18446744073709551616"]}]),
        ("\ud800\0", "\\ud800\\x00"),
    ],
)
def test_parameters(value: object, stored: object) -> None:
    assert mapping.parameter_value(value) == stored


@given(st.dictionaries(NAMES, st.sampled_from(["", "x", "y=z"]), min_size=2, max_size=2))
def test_tags_of_different_keys_never_meet(tags: dict[str, str]) -> None:
    assert len({mapping.tag_text(key, value) for key, value in tags.items()}) == 2


@pytest.mark.parametrize(
    ("kind", "file", "what"),
    [
        ("image", "a.PNG", "image"),
        ("figure", "a.png", "image"),
        ("figure", "a.json", None),
        ("image", "a.svg", None),
        ("audio", "a.wav", "audio"),
        ("text", "a.txt", "text"),
        ("table", "a.table.json", None),
    ],
)
def test_media_that_aim_has_no_object_for_are_artifacts(kind: str, file: str, what: str | None) -> None:
    assert mapping.media_type(kind, file) == what


def test_histograms_need_bins_of_equal_width() -> None:
    assert mapping.bins_of(b'{"edges": [0, 1, 2], "counts": [5, 6]}') == ([5.0, 6.0], (0.0, 2.0))
    assert mapping.bins_of(b'{"edges": [0, 1, 3], "counts": [5, 6]}') is None
    assert mapping.bins_of(json.dumps({"edges": list(range(514)), "counts": [1] * 513}).encode()) is None
    assert mapping.bins_of(b"nonsense") is None
