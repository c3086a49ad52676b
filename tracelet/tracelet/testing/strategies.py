"""Hypothesis strategies: points, names, parameters, and configurations of a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tracelet.testing.doubles import make_points
from tracelet_hookspecs import MetricData

_STEPS: Final = (-(2**53), 2**53)
#: Names that programs really use, and that far sides tend to stumble over.
_USUAL: Final = (
    "loss",
    "train/loss",
    "val.acc",
    "epoch time (s)",
    "a:b",
    "../x",
    "/x",
    "x/",
    "caf\u00e9",
    "\u8a9e",
    "100%",
)


def names(max_size: int = 1000) -> SearchStrategy[str]:
    """Names of metrics: usual ones, and any text of 1 to ``max_size`` characters without control characters."""
    letters = st.characters(exclude_categories=("Cs", "Cc", "Cn"))
    return st.one_of(st.sampled_from(_USUAL), st.text(letters, min_size=1, max_size=max_size))


def values(*, finite: bool = False) -> SearchStrategy[float]:
    """Values of metrics: every float64, NaN and the infinities included unless ``finite``."""
    return st.floats(allow_nan=not finite, allow_infinity=not finite)


def steps() -> SearchStrategy[int | None]:
    """Steps: whole numbers of either sign, in any order, or none."""
    return st.one_of(st.none(), st.integers(0, 10_000), st.integers(*_STEPS))


def points(
    *, min_size: int = 0, max_size: int = 50, finite: bool = False, max_name: int = 1000
) -> SearchStrategy[list[MetricData]]:
    """Batches of points as a backend gets them, with ids and times."""
    one = st.tuples(names(max_name), values(finite=finite), steps())
    return st.lists(one, min_size=min_size, max_size=max_size).map(make_points)


def parameters(*, max_size: int = 20) -> SearchStrategy[dict[str, Any]]:
    """Parameters as a backend gets them: flat, with values that JSON can hold."""
    leaf = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.text(max_size=200)
    )
    return st.dictionaries(names(250), st.one_of(leaf, st.lists(leaf, max_size=5)), max_size=max_size)


def configurations(schema: Mapping[str, Any]) -> SearchStrategy[dict[str, Any]]:
    """Valid configurations of a schema in the short form; optional keys are given or left out."""
    required = {key: _value_of(entry) for key, entry in schema.items() if entry.get("required")}
    optional = {key: _value_of(entry) for key, entry in schema.items() if not entry.get("required")}
    return st.fixed_dictionaries(required, optional=optional)


def _value_of(entry: Mapping[str, Any]) -> SearchStrategy[Any]:
    known: dict[str, SearchStrategy[Any]] = {
        "string": st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40),
        "number": st.floats(-1e9, 1e9),
        "integer": st.integers(-(2**31), 2**31),
        "boolean": st.booleans(),
        "array": st.lists(st.text(max_size=10), max_size=4),
        "object": st.dictionaries(st.text(min_size=1, max_size=10), st.text(max_size=10), max_size=4),
    }
    choices = entry.get("enum") or entry.get("choices")
    if choices:
        return st.sampled_from(list(choices))
    found = known.get(str(entry.get("type", "string")), known["string"])
    if "default" in entry and entry["default"] is not None:
        return st.one_of(st.just(entry["default"]), found)
    return found
