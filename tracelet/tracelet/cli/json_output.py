"""What ``--json`` prints."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from tracelet.cli.views.screen import Encodable


def emit_json(data: Any, stream: TextIO | None = None) -> None:
    """Print data as JSON. NaN and infinities, which JSON lacks, become ``"NaN"``, ``"Infinity"``, ``"-Infinity"``."""
    stream = sys.stdout if stream is None else stream
    out = Encodable(stream)
    readable = out.encoding.lower().replace("-", "") == "utf8"
    out.write(json.dumps(jsonable(data), indent=2, ensure_ascii=not readable) + "\n")
    out.flush()


def jsonable(data: Any) -> Any:
    """Return a copy that JSON can hold; what it has no word for becomes text."""
    if isinstance(data, Mapping):
        return {str(key): jsonable(value) for key, value in data.items()}
    if isinstance(data, (list, tuple, set, frozenset)):
        return [jsonable(value) for value in data]
    if isinstance(data, float):
        return json_float(data)
    if data is None or isinstance(data, (str, int)):
        return data
    return str(data)


def json_float(value: float) -> float | str:
    """Return a float as JSON can hold it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
