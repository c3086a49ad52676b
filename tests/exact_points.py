"""Points as values that can be compared exactly: NaN equals NaN, and -0.0 and 0.0, 1 and 1.0 are not the same."""

from __future__ import annotations

import struct
from typing import Any

from tracelet_hookspecs import MetricData


def exact_fields(point: MetricData) -> tuple[Any, ...]:
    """Return the fields of a point, a float as its bits."""
    value = struct.pack("<d", point.value) if type(point.value) is float else point.value
    return (
        point.name,
        value,
        point.type,
        point.iteration,
        point.timestamp,
        point.source,
        point.metadata,
        point.id,
    )
