"""What the backend ``mlflow`` sends stays within MLflow's limits, and nothing different becomes the same."""

from __future__ import annotations

import json
import math
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.mlflow import MlflowBackend, below, mapping
from tracelet_builtin_plugins.backends.mlflow.client import Server
from tracelet_builtin_plugins.extras import MissingExtraError

names = st.text(max_size=300)


def is_accepted(key: str) -> bool:
    """As in ``mlflow.utils.validation``."""
    normal = posixpath.normpath(key)
    return (
        re.match(r"^[/\w.\- :]*$", key) is not None
        and normal == key
        and normal != "."
        and not normal.startswith(("..", "/"))
        and len(key) <= 250
    )


@given(name=names)
@example(name="")
@example(name="loss\n")
@example(name="../a//b/./c/")
@example(name="...")
@example(name="/" * 300)
@example(name="\ud800")
def test_keys_are_accepted(name: str) -> None:
    for key in (mapping.metric_key(name), mapping.tag_key(name), mapping.own_tag("name", name)):
        assert is_accepted(key)


@pytest.mark.parametrize("name", ["loss", "train/loss", "a.b-c: d", "größe/λ", "x" * 250, "_"])
def test_keys_that_mlflow_accepts_do_not_change(name: str) -> None:
    assert mapping.metric_key(name) == mapping.tag_key(name) == name


@given(one=names, other=names)
@example(one="a?", other="a!")
@example(one="a/", other="a//")
@example(one="x" * 251, other="x" * 252)
def test_different_names_get_different_keys(one: str, other: str) -> None:
    assert (mapping.metric_key(one) == mapping.metric_key(other)) == (one == other)
    assert (mapping.artifact_name(one) == mapping.artifact_name(other)) == (one == other)


def test_the_users_tags_cannot_take_the_place_of_ours() -> None:
    assert not mapping.tag_key("tracelet.run_id").startswith("tracelet.")
    assert mapping.tag_key("tracelets") == "tracelets"


@given(value=st.text(max_size=9000), limit=st.sampled_from([250, 6000, 8000]))
@example(value="x" * 6001, limit=6000)
def test_texts_fit(value: str, limit: int) -> None:
    fitted, clean = mapping.fit_text(value, limit), mapping.text(value)
    assert len(fitted) <= limit
    assert "\0" not in fitted
    assert (fitted == clean) == (len(clean) <= limit)


@given(value=st.text(alphabet="aü😀", min_size=1, max_size=50).map(lambda text: text * 500))
def test_the_parts_of_a_long_text_are_all_of_it(value: str) -> None:
    parts = mapping.parts_of("param", "lr", value)
    assert "".join(parts.values()) == value[:80_000]
    assert all(is_accepted(key) and len(part) <= 8000 for key, part in parts.items())


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "True"), (None, "None"), (0.1, "0.1"), (math.nan, "nan"), ([1, "ü"], '[1, "ü"]'), ({}, "{}")],
)
def test_values_appear_as_mlflow_shows_them(value: Any, shown: str) -> None:
    assert mapping.text(value) == shown


@given(steps=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=700))
def test_the_note_on_infinities_fits_and_repeats_add_nothing(steps: list[int]) -> None:
    note = ""
    for step in steps:
        note = mapping.note_infinity(note, math.inf, step)
    assert len(note) <= 8000
    if steps:
        kept = json.loads(note)["inf"]
        assert kept == list(dict.fromkeys(steps))[: len(kept)]
        assert mapping.note_infinity(note, math.inf, kept[0]) == note


@given(value=st.floats(), step=st.none() | st.integers(), seconds=st.none() | st.floats(-1e9, 1e12))
def test_numbers_fit(value: float, step: int | None, seconds: float | None) -> None:
    stored = mapping.number(value)
    assert math.isfinite(stored) or math.isnan(value)
    assert math.isinf(value) or math.isnan(value) or stored == value
    assert -(2**63) <= mapping.step_of(step) < 2**63
    assert mapping.milliseconds(seconds) >= 0


@given(items=st.lists(st.integers(1, 400_000), max_size=200), most=st.integers(1, 50))
def test_requests_have_everything_in_order_within_the_limits(items: list[int], most: int) -> None:
    chunks = list(mapping.chunks(items, lambda item: item, most))
    assert [item for chunk in chunks for item in chunk] == items
    assert all(0 < len(chunk) <= most for chunk in chunks)
    assert all(sum(chunk) <= mapping.REQUEST_LIMIT for chunk in chunks)


@given(key=st.text(max_size=250), value=st.text(max_size=500))
def test_the_cost_covers_the_json_of_an_entry(key: str, value: str) -> None:
    metric = {"key": key, "value": 1e-300, "timestamp": 2**53, "step": -(2**63), "model_id": ""}
    assert mapping.cost(key) >= len(json.dumps(metric)) - 2
    assert mapping.cost(key, value) >= len(json.dumps({"key": key, "value": value})) - 2


@given(name=names)
@example(name="cat.png")
@example(name="..")
@example(name="größe #1?.tar.gz")
@example(name="ü" * 300 + ".txt")
def test_names_of_files_are_accepted(name: str) -> None:
    fitted = mapping.artifact_name(name)
    assert 0 < len(fitted.encode()) <= 255
    assert not set(fitted) & set('/\\#%?:*"<>|\0\n')
    assert fitted not in (".", "..")
    if name.endswith((".png", ".txt")):
        assert fitted[-4:] == name[-4:]


def test_outcomes() -> None:
    found = [mapping.status_of(name) for name in ("finished", "failed", "killed", "preempted", "converged")]
    assert found == ["FINISHED", "FAILED", "KILLED", "KILLED", "FINISHED"]


def test_a_password_in_the_address_is_never_shown() -> None:
    plugin = MlflowBackend()
    plugin.initialize({"tracking_uri": "https://me:sesame-open@mlflow.example/x"})
    assert "sesame-open" not in str(plugin.get_status()) + str(Server(plugin.config["tracking_uri"]))


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    plugin = MlflowBackend()
    plugin.initialize({})
    with pytest.raises(MissingExtraError, match=r"pip install 'tracelet\[mlflow\]'"):
        plugin.start()


def test_a_relative_database_is_at_the_root(tmp_path: Path) -> None:
    assert below(tmp_path, "sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert below(tmp_path, "sqlite:////elsewhere/m.db") == "sqlite:////elsewhere/m.db"
    assert below(tmp_path, "http://127.0.0.1:5000") == "http://127.0.0.1:5000"
