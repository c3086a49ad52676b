"""From what a program logs to what a record holds: numbers, steps, flat names."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from tracelet.journal.format import MAX_STEP, MIN_STEP

_NOT_NUMBERS = (str, bytes, bytearray, memoryview, complex)
_PLAIN = frozenset({float, int, bool})


def as_number(value: Any, name: str = "value") -> float:
    """Return a value as a float.

    Takes numbers of Python (also bool, Decimal, Fraction), of NumPy (scalars and 0-d arrays), of PyTorch
    and of anything else with ``__float__`` or a one-element ``item()``. NaN and infinities stay as they are.

    Raises:
        TypeError: anything else. Names the metric, what was expected and what was found.
    """
    try:
        if isinstance(value, (float, int)):
            return float(value)
        item = getattr(value, "item", None)
        number = item() if callable(item) else value
        if not isinstance(number, _NOT_NUMBERS):
            return float(number)
    except (TypeError, ValueError, OverflowError, RuntimeError) as cause:
        raise TypeError(_not_a_number(value, name)) from cause
    raise TypeError(_not_a_number(value, name))


def _not_a_number(value: Any, name: str) -> str:
    shape = getattr(value, "shape", None)
    found = f"of type {type(value).__qualname__}" + (f" and shape {tuple(shape)}" if shape else "")
    return f"metric {name!r}: expected one number, found {_short(value)} {found}"


def _short(value: Any) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception as error:
        text = f"<repr failed: {type(error).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


def as_step(step: Any, name: str = "step") -> int:
    """Return a step as an int: anything with ``__index__``, and floats that are whole.

    Raises:
        TypeError: not a whole number. ValueError: beyond 64 bits.
    """
    try:
        whole = operator.index(step)
    except TypeError:
        whole = _whole(step, name)
    if not MIN_STEP <= whole <= MAX_STEP:
        raise ValueError(f"metric {name!r}: expected a step that fits 64 bits, found {_short(step)}")
    return whole


def _whole(step: Any, name: str) -> int:
    try:
        number = as_number(step)
        if number.is_integer():
            return int(number)
    except TypeError:
        pass
    raise TypeError(
        f"metric {name!r}: expected a whole number as step, found {_short(step)} of type {type(step).__qualname__}"
    )


def flatten(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested mapping as a flat one: ``{"a": {"b": [1, 2]}}`` gives ``a/b/0`` and ``a/b/1``.

    Raises:
        TypeError: it is no mapping.
        ValueError: two values come to the same name, or a mapping contains itself.
    """
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"expected a mapping of names to values, found {_short(metrics)} of type {type(metrics).__qualname__}"
        )
    flat: dict[str, Any] = {}
    _flatten_into(flat, "", metrics, ())
    return flat


def is_nested(value: Any) -> bool:
    """Say whether a value holds further values for :func:`flatten` to name."""
    return value.__class__ not in _PLAIN and isinstance(value, (dict, list, tuple, Mapping))


def _flatten_into(flat: dict[str, Any], prefix: str, nested: Any, inside: tuple[int, ...]) -> None:
    if id(nested) in inside:
        raise ValueError(f"metrics under {prefix.rstrip('/')!r} contain themselves")
    items = nested.items() if isinstance(nested, Mapping) else enumerate(nested)
    for key, value in items:
        name = f"{prefix}{key}"
        if is_nested(value):
            _flatten_into(flat, name + "/", value, (*inside, id(nested)))
        elif name in flat:
            raise ValueError(
                f"metric {name!r}: expected one value, found two: {_short(flat[name])} and {_short(value)}"
            )
        else:
            flat[name] = value
