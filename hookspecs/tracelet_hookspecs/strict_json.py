"""Values that strict JSON can hold.

JSON has no NaN and no infinities. They become the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` (as in the
JSON mapping of Protocol Buffers), which ``float`` reads back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def to_json(value: Any) -> Any:
    """Return a copy of a value in types that strict JSON can hold. Other objects become their ``str``."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float_to_json(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(item) for item in value]
    if callable(tolist := getattr(value, "tolist", None)):  # scalars and arrays of NumPy and PyTorch
        return to_json(tolist())
    return str(value)


def float_to_json(value: float) -> float | str:
    """Return a finite float as it is, any other as ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
