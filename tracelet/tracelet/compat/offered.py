"""What a drop-in says about calls that it does not offer, and about arguments that make no difference."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from tracelet.logs import get_logger
from tracelet.messages import closest

log = get_logger("tracelet.compat")

_DOCS: Final = "docs/drop-ins.md"
_FROM: Final = "_handle_fromlist"  # what asks for the names of ``from PACKAGE import NAME``
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


def find_name(
    package: str,
    name: str,
    names: dict[str, Any],
    *,
    where: Mapping[str, str],
    modules: Mapping[str, str],
    closest_calls: Mapping[str, str],
) -> Any:
    """Return what a drop-in offers under a name, importing it on first use. For its ``__getattr__``.

    Args:
        package: the real package's name.
        name: what is looked for.
        names: the drop-in's namespace, which keeps what was found.
        where: the module of each function and class.
        modules: what comes before the name of each submodule.
        closest_calls: as for :func:`not_offered`.

    Raises:
        AttributeError: the drop-in lacks it; the message has the closest thing that it has. ``from PACKAGE import
            NAME`` would replace that message by its own, so it gets an ``ImportError``.
    """
    home = f"tracelet.compat.{package}"
    if name in modules:
        return importlib.import_module(f"{home}.{modules[name]}{name}")
    if name in where:
        value = names[name] = getattr(importlib.import_module(f"{home}.{where[name]}"), name)
        return value
    is_from_import = sys._getframe(2).f_code.co_name == _FROM  # of what has called ``__getattr__``
    if name.startswith("_") or (is_from_import and find_spec(f"{home}.{name}") is not None):
        raise AttributeError(f"module {package!r} (tracelet's drop-in) has no attribute {name!r}")
    text = not_offered(package, name, names["__all__"], closest_calls)
    raise ImportError(text) if is_from_import else AttributeError(text)


def ignored_arguments(call: str, given: Mapping[str, Any]) -> None:
    """Note arguments that were given and make no difference here."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        note_once(f"{call}: {', '.join(names)} makes no difference in tracelet's drop-in")
