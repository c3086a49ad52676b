"""What a thread has made last: the number of a scalar in full precision, and whether a figure is being drawn."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["latest", "marking_figures", "remembering"]

_EIGHT: Final = 8  # bytes of a float64


class _Latest(threading.local):
    """What this thread has just made: the number of a scalar in full precision, and whether a figure is drawn."""

    scalar: tuple[Any, float, Any] = None, 0.0, None  # the summary, its number and the tag that was given
    is_figure = False


latest = _Latest()


def remembering(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``scalar``: a summary has 32 bits for a number, and is made from one with 64."""

    def remember(summary: Any, name: Any, value: Any) -> None:
        if isinstance(value, (float, int)):
            latest.scalar = summary, float(value), name
        elif getattr(getattr(value, "dtype", None), "itemsize", 0) == _EIGHT and hasattr(value, "item"):
            latest.scalar = summary, float(value.item()), name

    def scalar(name: Any, value: Any, *arguments: Any, **keywords: Any) -> Any:
        summary = original(name, value, *arguments, **keywords)
        remember(summary, name, value)
        return summary

    def quick_scalar(
        name: Any, tensor: Any, collections: Any = None, new_style: Any = False, double_precision: Any = False
    ) -> Any:
        summary = original(name, tensor, collections, new_style, double_precision)
        if tensor.__class__ is float:
            latest.scalar = summary, tensor, name
        else:
            remember(summary, name, tensor)
        return summary

    # Passing on named arguments one by one costs half as much.
    is_known = list(inspect.signature(original).parameters) == list(
        inspect.signature(quick_scalar).parameters
    )
    return quick_scalar if is_known else scalar


def marking_figures(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``add_figure``: what is written as an image during the call is a figure."""

    def add_figure(*arguments: Any, **keywords: Any) -> Any:
        latest.is_figure = True
        try:
            return original(*arguments, **keywords)
        finally:
            latest.is_figure = False

    return add_figure
