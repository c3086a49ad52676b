"""Turns objects of any kind into values that JSON can hold: for parameters, tags and the cells of tables."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tracelet.errors import RecordingError
from tracelet_hookspecs.strict_json import to_json

MAX_ELEMENTS: Final = 1_000_000  # of an array that is recorded as a value
_MAX_DEPTH: Final = 50
_MAX_BITS: Final = 14_000  # of a whole number that is written in decimals
#: Types that JSON has.
PLAIN: Final = frozenset({bool, int, float, str, type(None)})
QUICK: Final = PLAIN - {int}  # the largest whole numbers have no decimals


def json_value(value: Any) -> Any:
    """Return a value as JSON can hold it: numbers keep every digit, arrays become lists, the rest becomes text.

    Raises:
        RecordingError: an array is too large to be a value.
    """
    if type(value) in QUICK:
        return value
    try:
        return _convert(value, 0)
    except RecordingError:
        raise
    except Exception as error:
        return f"<{type(value).__qualname__}: its text could not be made ({type(error).__name__})>"


def strict_json(value: Any) -> bytes:
    """Return JSON that every reader takes: NaN and infinities are texts (``"NaN"``, ``"-Infinity"``)."""
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        text = json.dumps(to_json(value), allow_nan=False)
    return text.encode()


def _convert(value: Any, depth: int) -> Any:
    if type(value) is int:  # Python writes no decimals of huge numbers
        return value if value.bit_length() <= _MAX_BITS else hex(value)
    if type(value) in PLAIN:
        return value
    if depth > _MAX_DEPTH:
        return "..."
    for convert in (_from_subclass, _from_standard_library, _from_array):
        known, result = convert(value, depth)
        if known:
            return result
    return _from_item(value, depth)


Result = tuple[bool, Any]  # whether the value is of this kind, and what becomes of it
_OTHER: Final[Result] = (False, None)


def _from_subclass(value: Any, depth: int) -> Result:
    from tracelet.secrets import MASK, Secret

    if isinstance(value, Secret):
        return True, MASK
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        plain = isinstance(value.value, (str, int, float))
        return True, _convert(value.value, depth + 1) if plain else value.name
    if isinstance(value, str):
        return True, str.__str__(value)
    if isinstance(value, (int, float)):
        return True, _convert(int(value) if isinstance(value, int) else float(value), depth)
    return _OTHER


def _from_standard_library(value: Any, depth: int) -> Result:
    if isinstance(value, Mapping):
        return True, {str(_convert(key, depth + 1)): _convert(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return True, [_convert(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return True, sorted((_convert(item, depth + 1) for item in value), key=repr)
    if isinstance(value, (bytes, bytearray)):
        return True, value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal):
        number = float(value)
        return True, number if str(value) == str(number) or value.is_nan() else str(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return True, None
    known = sys.modules.get("datetime")
    if known is not None and isinstance(value, (known.date, known.time)):
        return True, value.isoformat()
    return _from_definition(value)


def _from_definition(value: Any) -> Result:
    """Name a function, class or module: its ``repr`` may hold an address, which differs from run to run."""
    if type(value).__name__ == "module":
        return True, value.__name__
    if isinstance(value, type) or type(value).__name__ in (
        "function",
        "builtin_function_or_method",
        "method",
    ):
        module = getattr(value, "__module__", None)
        name = value.__qualname__
        return True, name if module in (None, "builtins") else f"{module}.{name}"
    return _OTHER


def _from_array(value: Any, depth: int) -> Result:
    """Return the elements of an array or tensor (NumPy, PyTorch, TensorFlow, JAX, CuPy), the columns of a frame."""
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        return True, _convert(value.to_dict("list"), depth + 1)
    if isinstance(value, type) or not hasattr(value, "dtype") or not hasattr(value, "shape"):
        return _OTHER
    size = math.prod(int(length) for length in value.shape)
    if size > MAX_ELEMENTS:
        raise RecordingError(
            f"expected at most {MAX_ELEMENTS:,} elements as a value, found an array of shape {tuple(value.shape)};"
            " use log_histogram or log_artifact",
            reason="too large",
        )
    elements = _elements(value)
    if getattr(value.dtype, "kind", "") in ("M", "m", "c"):
        elements = [_text(one) for one in value.ravel()] if value.shape else _text(value)
    while size == 1 and isinstance(elements, list):
        [elements] = elements
    if type(elements) is type(value):  # a longdouble is its own item
        number = float(elements)
        return True, number if number == elements or number != number else str(elements)
    return True, _convert(elements, depth + 1)


def _text(value: Any) -> str | None:
    text = str(value)
    return None if text == "NaT" else text


def _elements(value: Any) -> Any:
    for name in ("detach", "cpu", "get"):  # PyTorch with a gradient, on a GPU; CuPy
        method = getattr(value, name, None)
        if callable(method) and (name != "get" or type(value).__module__.startswith("cupy")):
            value = method()
    if callable(getattr(value, "toarray", None)):
        value = value.toarray()  # a sparse matrix
    for name in ("tolist", "to_list"):
        if callable(getattr(value, name, None)):
            return getattr(value, name)()
    if callable(getattr(value, "numpy", None)):
        return value.numpy().tolist()
    return value.item()


def _from_item(value: Any, depth: int) -> Any:
    """Return the one number that an object holds, else its text."""
    item = getattr(value, "item", None)
    if callable(item) and not isinstance(value, type):
        try:
            element = item()
        except Exception:
            element = None
        if isinstance(element, (bool, int, float)):
            return _convert(element, depth + 1)
    text = str(value)
    return str.__str__(text)
