"""What plugins hold and answer, turned into plain host values.

Every function here runs on the plugin's own thread, inside the guard of :class:`~tracelet.host.plugins.PluginHandle`:
converting a value may run the plugin's code (``__str__``, ``__iter__``, ``__float__``), which may raise, hang or lie.
What they return is made of the host's own objects, so that nothing that the host does later runs the plugin's code.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any, Final, NamedTuple

import attrs

from tracelet.secrets import mask, redact
from tracelet_hookspecs import PluginInfo, PluginMetadata

DEFAULT_INTERVAL: Final = 60.0  # seconds, as CollectorPlugin has it
MIN_INTERVAL: Final = 0.01  # seconds; a shorter one would only take the program's time
_DEEPEST: Final = 20  # levels of nesting that are kept
_LONGEST: Final = 300  # characters of a value in a message
_LARGEST: Final = 2**63


def text_of(value: Any) -> str:
    """Return an exact string for a value, whatever its ``__str__`` does."""
    try:
        text = value if isinstance(value, str) else str(value)
        return str.__str__(text) if type(text) is str else "".join(str.__iter__(text))
    except BaseException:
        return f"<{type_name(value)} that cannot be shown>"


def shown(value: Any) -> str:
    """Return a value's ``repr`` for a message, shortened, whatever it does."""
    try:
        text = text_of(repr(value))
    except BaseException:
        text = f"<{type_name(value)} that cannot be shown>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def type_name(value: Any) -> str:
    """Return the name of a value's type."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name


def check_has_run(hook: str, answer: Any, *, generator: bool = False) -> None:
    """Raise ``TypeError`` for the answer of a hook whose body has not run: a coroutine, or a generator.

    With ``generator``, a generator is a valid answer: it is read inside the guard.
    """
    kind = type_name(answer)
    if kind in ("coroutine", "async_generator") or (kind == "generator" and not generator):
        remedy = "remove its yield" if kind == "generator" else "make it a plain function"
        raise TypeError(f"{hook} returned a {kind} instead of running; {remedy}")


# -- what hooks are given ------------------------------------------------------------------------------


def copy_of(value: Any, depth: int = 0) -> Any:
    """Return a copy of what a hook is given: containers and the host's own records; other objects stay the same.

    What a hook is given is its own to change, so each call gets a copy. No code of a plugin's runs here.
    """
    kind = type(value)
    if depth >= _DEEPEST:
        return value
    if kind is dict:
        if not all(type(key) is str for key in value):
            return value.copy()  # without asking its keys for their hash
        return {key: copy_of(each, depth + 1) for key, each in value.items()}
    if kind is list:
        return [copy_of(each, depth + 1) for each in value]
    if kind is set:
        return value.copy()
    if kind in (PluginInfo, PluginMetadata):
        made = copy.copy(value)  # without the checks of its constructor: it may describe a broken plugin
        for field in attrs.fields(kind):
            object.__setattr__(made, field.name, copy_of(getattr(value, field.name), depth + 1))
        return made
    return value


# -- intervals -----------------------------------------------------------------------------------------


def interval_of(value: Any) -> float:
    """Return a collector's interval in seconds; ``None`` and 0 mean the default, infinity only at start and end.

    Raises ``ValueError`` for anything other than a number of seconds above 0.
    """
    if value is None:
        return DEFAULT_INTERVAL
    total = getattr(value, "total_seconds", None) if type_name(value) == "timedelta" else None
    number = value if total is None else total()
    if isinstance(number, bool) or not isinstance(number, (int, float)) or math.isnan(number) or number < 0:
        raise ValueError(f"expected a number of seconds above 0, such as 60, found {shown(value)}")
    seconds = float(min(number, _LARGEST)) if math.isfinite(number) else math.inf
    return max(seconds, MIN_INTERVAL) if seconds else DEFAULT_INTERVAL


# -- measurements --------------------------------------------------------------------------------------


class Measurements(NamedTuple):
    """What a collector answered: numbers, and facts, which are recorded when they change."""

    numbers: dict[str, Any]
    facts: dict[str, Any]


def measurements_of(answer: Any, flatten: Callable[[Any], Mapping[Any, Any]]) -> Measurements:
    """Return the measurements in a collector's answer. Raises ``TypeError`` if it is neither a mapping nor ``None``."""
    if answer is None:
        return Measurements({}, {})
    if not isinstance(answer, Mapping):
        raise TypeError(f"expected a mapping of names to values, found {type_name(answer)}")
    flat = {text_of(name): value for name, value in flatten(answer).items()}
    numbers = {name: _number_of(value) for name, value in flat.items() if _is_number(value)}
    facts = {
        name: value if type(value) is bool else text_of(value)
        for name, value in flat.items()
        if value is not None and name not in numbers
    }
    return Measurements(numbers, facts)


def _is_number(value: Any) -> bool:
    """Return whether a value is a measurement. A bool is not: it is kept as a fact."""
    if isinstance(value, (bool, complex)):
        return False
    return isinstance(value, Number) or hasattr(value, "__float__")


def _number_of(value: Any) -> Any:
    """Return a plain number; an int that a float cannot hold exactly stays an int."""
    return value if type(value) in (int, float) else float(value)


# -- reports and status --------------------------------------------------------------------------------


def lines_of(answer: Any) -> list[str]:
    """Return the lines that a report hook answered with: a line, several, or ``None``."""
    check_has_run("the hook", answer, generator=True)
    if answer is None:
        return []
    several = answer if isinstance(answer, (list, tuple)) or type_name(answer) == "generator" else [answer]
    return [line for each in several if each is not None for line in text_of(each).splitlines()]


def status_of(answer: Any) -> Any:
    """Return a status as plain values that JSON can hold, secrets masked."""
    check_has_run("get_status", answer)
    return plain_of(mask(answer))


def plain_of(value: Any, depth: int = 0) -> Any:
    """Return a value made of dicts, lists, strings, numbers, bools and ``None`` only."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if depth >= _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {text_of(key): plain_of(value[key], depth + 1) for key in value}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_of(each, depth + 1) for each in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return redact(text_of(value))
    return int(value) if isinstance(value, int) else float(value)
