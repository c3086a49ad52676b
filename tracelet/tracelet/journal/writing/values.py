"""Converts what a program logs into what a record holds: numbers, steps, flat names.

docs/recording.md lists the result for each kind of input.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from tracelet.errors import RecordingError
from tracelet.journal.format import MAX_STEP, MIN_STEP

EXACT = 1 << 53  # float64 holds every whole number up to here
MAX_DEPTH = 100  # levels of nesting
MAX_NAME = 1_000_000  # characters

# : Types whose numbers a float64 holds exactly and whose ``float()`` is exact. NumPy's are added when first
# seen.
SIMPLE: set[Any] = {float, bool}

# Why a value is left out; drops are counted under these.
NOT_A_NUMBER, NO_VALUE, TEXT, COMPLEX = "not a number", "no value", "a text", "a complex number"
DATE, SEVERAL, TOO_LARGE = "a date or time", "more than one value", "too large for a float64"
NAME_TAKEN, NO_NAME, LONG_NAME = "name taken", "no name", "name too long"
RECURSIVE, TOO_DEEP = "contains itself", "nested too deeply"
UNREADABLE = "unreadable"

_REMEDIES = {
    DATE: "; log seconds: value.timestamp(), value.total_seconds() or value.astype(float)",
    COMPLEX: "; log its parts: value.real, value.imag or abs(value)",
    SEVERAL: "; log one number, such as its mean(), or use log_histogram",
    TEXT: "; use log_text or log_params",
}

Refuse = Callable[[str, RecordingError], None]  # takes a name and why its value is left out


class _Refusal(Exception):
    """A value that is not a number, with the reason."""


def as_number(value: Any, name: str = "value") -> float:
    """Return a value as a float.

    Takes numbers of Python (also bool, Decimal, Fraction), of NumPy, PyTorch and JAX (scalars and arrays of one
    element), and anything else with ``__float__`` or a one-element ``item()``. NaN and infinities stay as they are;
    a masked or missing element is NaN.

    Raises:
        RecordingError: for anything else. Names the metric, what was expected and what was found.
    """
    reason, cause = NOT_A_NUMBER, None
    try:
        return _number(value)
    except _Refusal as refusal:
        reason = str(refusal)
    except OverflowError:
        reason = TOO_LARGE
    except Exception as error:
        cause = error
    raise RecordingError(_not_a_number(value, name, reason), reason=reason) from cause


def _number(value: Any) -> float:
    if isinstance(value, (int, float)):
        number = float(value)
        _remember(value)
        return number
    _refuse_other_kinds(value)
    if _is_masked(value):
        return math.nan
    number = _item(value)
    if not isinstance(number, (int, float)):
        _refuse_other_kinds(number)
    result = float(number)
    if math.isinf(result) and number != result:
        raise OverflowError
    _remember(value)
    return result


def _refuse_other_kinds(value: Any) -> None:
    """Raise for non-numbers that ``float()`` accepts, and for values with a specific remedy."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if value is None:
        raise _Refusal(NO_VALUE)
    if isinstance(value, (str, bytes, bytearray, memoryview)) or kind in ("S", "U"):
        raise _Refusal(TEXT)
    if isinstance(value, complex) or kind == "c":
        raise _Refusal(COMPLEX)
    if kind in ("M", "m") or _is_date(value):
        raise _Refusal(DATE)
    size = getattr(value, "size", 1)
    if isinstance(value, (list, tuple, set, frozenset, Mapping)) or (isinstance(size, int) and size != 1):
        raise _Refusal(SEVERAL)


def _is_date(value: Any) -> bool:
    known = sys.modules.get("datetime")  # a program with a date has imported it
    return known is not None and isinstance(value, (known.date, known.time, known.timedelta))


def _is_masked(value: Any) -> bool:
    """Whether a NumPy value is masked, or pandas says that it is missing."""
    if type(value).__name__ == "NAType":
        return True
    is_of_numpy = any(kind.__name__ == "MaskedArray" for kind in type(value).__mro__)
    return is_of_numpy and bool(value.mask)


def _item(value: Any) -> Any:
    """Return the one element of an array or tensor; anything else as it is."""
    item = getattr(value, "item", None)
    if not callable(item):
        return value
    try:
        return item()
    except Exception:
        if hasattr(value, "shape") or not hasattr(value, "__float__"):
            raise
        return value  # its item() does something else


def _remember(value: Any) -> None:
    """Let the fast path accept further values of this type, if it is one of NumPy's small scalars."""
    dtype: Any = getattr(value, "dtype", None)
    if type(value).__module__ != "numpy" or getattr(value, "shape", None) != () or not hasattr(dtype, "kind"):
        return
    sizes = {"f": 8, "b": 1, "i": 4, "u": 4}
    if type(value).__name__ != "ndarray" and dtype.itemsize <= sizes.get(dtype.kind, 0):
        SIMPLE.add(type(value))


def rounded_whole(value: Any, number: float) -> int | None:
    """Return the whole number that a float64 cannot hold exactly, or None if nothing was rounded."""
    if not EXACT <= abs(number) < math.inf:
        return None
    try:
        whole = value if isinstance(value, int) else _item(value)
        return int(whole) if isinstance(whole, int) and whole != number else None
    except Exception:
        return None


def _not_a_number(value: Any, name: str, reason: str) -> str:
    shape = getattr_or_none(value, "shape")
    found = f"of type {type(value).__qualname__}" + (f" and shape {tuple(shape)}" if _is_shape(shape) else "")
    return f"metric {name!r}: expected one number, found {short(value)} {found}{_REMEDIES.get(reason, '')}"


def _is_shape(shape: Any) -> bool:
    try:
        return bool(shape) and all(isinstance(size, int) for size in shape)
    except Exception:
        return False


def getattr_or_none(value: Any, name: str) -> Any:
    """Return an attribute, or None if reading it raises."""
    try:
        return getattr(value, name, None)
    except Exception:
        return None


def short(value: Any) -> str:
    """Return the start of a value's ``repr``, on one line, whatever its ``__repr__`` does."""
    try:
        text = " ".join(repr(value)[:10_000].split())
    except Exception as error:
        text = f"<repr failed: {type(error).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


def as_step(step: Any, name: str | None = None) -> int:
    """Return a step as an int: anything with ``__index__``, and floats that are whole.

    ``name`` is the metric or medium that an error names.

    Raises:
        RecordingError: it is not a whole number, or does not fit 64 bits.
    """
    try:
        whole = operator.index(step)
    except Exception:
        whole = _whole(step, name)
    if not MIN_STEP <= whole <= MAX_STEP:
        raise RecordingError(
            f"{_step_of(name)}: expected a whole number that fits 64 bits, found {short(step)}"
        )
    return whole


def _whole(step: Any, name: str | None) -> int:
    try:
        number = as_number(step)
        if number.is_integer():
            return int(number)
    except RecordingError:
        pass
    raise RecordingError(
        f"{_step_of(name)}: expected a whole number, found {short(step)} of type {type(step).__qualname__}"
    )


def _step_of(name: str | None) -> str:
    return "step" if name is None else f"step of {short(name)}"


def plain_name(key: Any) -> str:
    """Return a name as a plain text: of a text enumeration the member's text, of other keys their ``str``.

    Raises:
        RecordingError: it has no text, or an empty one.
    """
    if key.__class__ is str:
        name = key
    else:
        try:
            name = _text_of(key)
        except Exception as error:
            name = ""
            cause = f"{type(error).__name__} from its text"
            raise RecordingError(f"expected a name, found {cause}", reason=NO_NAME) from error
    if not name:
        raise RecordingError("expected a name, found an empty text", reason=NO_NAME)
    if len(name) > MAX_NAME:
        text = f"expected a name of at most {MAX_NAME:,} characters, found {len(name):,}: {name[:60]}..."
        raise RecordingError(text, reason=LONG_NAME)
    return str(name)


def _text_of(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    known = sys.modules.get("enum")
    if known is not None and isinstance(key, known.Enum):
        return str(key.value if isinstance(key.value, (str, int)) else key.name)
    return f"{key}"


def flatten(metrics: Mapping[Any, Any], refuse: Refuse | None = None) -> dict[str, Any]:
    """Return a nested mapping as a flat one: ``{"a": {"b": [1, 2]}}`` gives ``a/b/0`` and ``a/b/1``.

    Args:
        metrics: values by name.
        refuse: called with the name and the error of each part that has no place in a flat mapping; without it,
            the first such error is raised.

    Raises:
        RecordingError: it is not a mapping, two values have one name, a mapping contains itself, ...
    """
    if not isinstance(metrics, Mapping):
        raise RecordingError(
            f"expected a mapping of names to values, found {short(metrics)} of type {type(metrics).__qualname__}"
        )
    flat: dict[str, Any] = {}
    _flatten_into(flat, "", metrics, (), refuse or _raise)
    return flat


def _raise(_: str, error: RecordingError) -> NoReturn:
    raise error


def is_nested(value: Any) -> bool:
    """Whether a value holds further values for :func:`flatten` to name."""
    try:
        return type(value) not in SIMPLE and isinstance(value, (dict, list, tuple, Mapping))
    except Exception:  # from a property __class__
        return False


def _flatten_into(
    flat: dict[str, Any], prefix: str, nested: Any, inside: tuple[int, ...], refuse: Refuse
) -> None:
    where = prefix.rstrip("/")
    if id(nested) in inside:
        return refuse(where, RecordingError(f"metrics under {where!r} contain themselves", reason=RECURSIVE))
    if len(inside) >= MAX_DEPTH:
        error = f"metrics under {where[:60]!r} are nested more than {MAX_DEPTH} levels deep"
        return refuse(where, RecordingError(error, reason=TOO_DEEP))
    try:
        items = list(nested.items() if isinstance(nested, Mapping) else enumerate(nested))
    except Exception as cause:
        text = f"metrics under {where!r} cannot be read: {type(cause).__name__}: {cause}"
        return refuse(where, RecordingError(text, reason=UNREADABLE))
    for key, value in items:
        try:
            name = prefix + plain_name(key)
        except RecordingError as error:
            refuse(f"{prefix}{short(key)}", error)
            continue
        if is_nested(value):
            _flatten_into(flat, name + "/", value, (*inside, id(nested)), refuse)
        elif name in flat:
            found = f"found two: {short(flat[name])} and {short(value)}"
            refuse(name, RecordingError(f"metric {name!r}: expected one value, {found}", reason=NAME_TAKEN))
        else:
            flat[name] = value
    return None
