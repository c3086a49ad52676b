"""What a drop-in says about calls that it does not offer, and about arguments that make no difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tracelet.logs import get_logger
from tracelet.messages import closest

log = get_logger("tracelet.compat")

_DOCS: Final = "docs/drop-ins.md"
_noted: set[str] = set()


def note_once(text: str) -> None:
    """Log a warning the first time: a call that is accepted, and does nothing or something else here."""
    if text not in _noted:
        _noted.add(text)
        log.warning("%s", text)


def not_offered(module: str, name: str, offered: Iterable[str], closest_calls: Mapping[str, str]) -> str:
    """Return the message for a name that a drop-in lacks, with the closest thing that it has.

    ``closest_calls`` says what to use in the place of known names of the real package.
    """
    if name in closest_calls:
        remedy = f"use {closest_calls[name]} instead"
    else:
        meant = closest(name, offered, cutoff=0.75)
        remedy = f"did you mean {module}.{meant}?" if meant else f"{_DOCS} lists what it offers"
    package = module.partition(".")[0]
    return f"{module}.{name} is not offered by tracelet's drop-in for {package}; {remedy}"


def unknown_name(
    package: str,
    name: str,
    offered: Iterable[str],
    closest_calls: Mapping[str, str],
    *,
    is_from_import: bool,
) -> Exception:
    """Return the exception for a name that a drop-in lacks.

    ``from PACKAGE import NAME`` replaces the text of an ``AttributeError`` by its own, so it gets an ``ImportError``.
    """
    from importlib.util import find_spec

    if name.startswith("_") or (
        is_from_import and find_spec(f"tracelet.compat.{package}.{name}") is not None
    ):
        return AttributeError(f"module {package!r} (tracelet's drop-in) has no attribute {name!r}")
    text = not_offered(package, name, offered, closest_calls)
    return ImportError(text) if is_from_import else AttributeError(text)


def ignored_arguments(call: str, given: Mapping[str, Any]) -> None:
    """Note arguments that were given and make no difference here."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        note_once(f"{call}: {', '.join(names)} makes no difference in tracelet's drop-in")
