"""Rules of W&B's rows and configuration and of MLflow's filters, against a few lines that state them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shielded import points

import tracelet
from tracelet.compat.mlflow.entities import Run, RunData, RunInfo
from tracelet.compat.mlflow.exceptions import MlflowException
from tracelet.compat.mlflow.filters import holds, parse_filter
from tracelet.compat.wandb.config_values import Config
from tracelet.compat.wandb.errors import ConfigError
from tracelet.compat.wandb.summary_values import Summary
from tracelet.compat.wandb.wandb_run import Run as WandbRun

CALLS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abc"), st.integers(-5, 5), min_size=1, max_size=2),
        st.none() | st.integers(0, 6),
        st.sampled_from([None, True, False]),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CALLS)
def test_the_steps_of_rows(tmp_path: Path, calls: list[Any]) -> None:
    """As in W&B, but a row with a smaller step is recorded at that step, instead of being dropped."""
    quiet = {"plugins": {"system": False, "environment": False, "gpu": False}, "quiet": True}
    with tracelet.start_run(dir=tmp_path, config=quiet) as recorded:
        run = WandbRun(recorded, {})
        current, expected = 0, {}
        for data, step, commit in calls:
            run.log(data, step=step, commit=commit)
            at = current if step is None else step
            for name, value in data.items():
                expected.setdefault(name, []).append((at, value))
            current = max(current, at)
            if commit or (commit is None and step is None):
                current = max(current, at + 1)
            assert run.step == current
    record = tracelet.open_store(tmp_path).run(recorded.id)
    assert {name: sorted(points(record, name)) for name in expected} == {
        name: sorted(pairs) for name, pairs in expected.items()
    }


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.booleans())))
def test_values_of_a_configuration_change_only_with_permission(changes: list[Any]) -> None:
    recorded: dict[str, Any] = {}
    config = Config(recorded.update)
    expected: dict[str, int] = {}
    for name, value, allowed in changes:
        if expected.get(name, value) != value and not allowed:
            with pytest.raises(ConfigError, match=f'value of key "{name}" from {expected[name]} to {value}'):
                config.update({name: value, "other": 1})
        else:
            config.update({name: value}, allow_val_change=allowed)
            expected[name] = value
    assert config.as_dict() == recorded == expected


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_what_a_summary_keeps(values: list[float]) -> None:
    summary = Summary(lambda *_: None)
    summary.define("x", ["min", "max", "mean", "first", "last"])
    for value in values:
        summary.note({"x": value, "y": value})
    assert summary["y"] == values[-1]
    mean = sum(values) / len(values)
    expected = {"min": min(values), "max": max(values), "first": values[0], "last": values[-1]}
    assert {key: one for key, one in summary["x"].items() if key != "mean"} == expected
    assert summary["x"]["mean"] == pytest.approx(mean, rel=1e-6, abs=1e-3)


def make_run(accuracy: float, model: str) -> Run:
    info = RunInfo("id", "0", "FINISHED", 1000, 2000, "file:///x", "My run")
    return Run(info, RunData({"acc": accuracy, "val/loss": 0.5}, {"model": model}, {"team a": "x"}))


@given(st.floats(-10, 10), st.floats(-10, 10), st.sampled_from(["<", "<=", ">", ">=", "=", "!="]))
def test_filters_on_numbers(accuracy: float, limit: float, op: str) -> None:
    python = {"=": "==", "!=": "!="}.get(op, op)
    [condition] = parse_filter(f"metrics.acc {op} {limit}")
    assert holds(condition, make_run(accuracy, "CNN")) == eval(f"accuracy {python} limit")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("params.model = 'CNN' and metrics.acc > 0.5", True),
        ('params."model" = "CNN"', True),
        ("params.model LIKE 'C%' AND params.model ILIKE 'cn_'", True),
        ("params.model LIKE 'c%'", False),
        ("tags.`team a` = 'x'", True),
        ("metrics.`val/loss` <= 0.5", True),
        ("metrics.val/loss <= 0.5", True),
        ("attributes.status = 'FINISHED' and run_name LIKE 'My%'", True),
        ("attributes.start_time > 999", True),
        ("params.model IN ('RNN', 'CNN')", True),
        ("params.model NOT IN ('RNN', 'CNN')", False),
        ("params.missing IS NULL and params.model IS NOT NULL", True),
        ("params.missing != 'x'", False),
        ("metrics.acc > 'high'", False),
    ],
)
def test_filters(text: str, expected: bool) -> None:
    run = make_run(0.75, "CNN")
    assert all(holds(condition, run) for condition in parse_filter(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics.acc >", "expected conditions joined by 'and'"),
        ("metrics.acc > 1 or metrics.b < 2", "found 'or metrics.b < 2'"),
        ("params.model = CNN", "expected a text in quotes, found CNN"),
        ("things.a = 1", "Invalid entity type 'things'"),
    ],
)
def test_filters_that_are_none(text: str, message: str) -> None:
    with pytest.raises(MlflowException, match=r"Invalid|filter") as caught:
        parse_filter(text)
    assert message in str(caught.value)
