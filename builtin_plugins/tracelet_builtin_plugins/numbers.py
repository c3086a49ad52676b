"""Numbers from the files of other programs, which may hold anything."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["ROUNDED", "is_rounded", "is_step"]

ROUNDED: Final = "whole numbers beyond 2**53, rounded"  # counted under this reason
_EXACT: Final = 1 << 53
_LARGEST: Final = 1 << 63


def is_step(value: Any) -> bool:
    """Return whether a value is a whole number of 64 bits."""
    return isinstance(value, int) and -_LARGEST <= value < _LARGEST


def is_rounded(value: float) -> bool:
    """Return whether a whole number changes if it becomes a float64. Raises ``OverflowError`` if it does not fit."""
    return isinstance(value, int) and not -_EXACT <= value <= _EXACT and int(float(value)) != value
