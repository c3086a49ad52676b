"""Write down the surface of the contract: everything that a plugin can see and rely on.

    python tests/contract/surface.py

A test compares what this prints with ``surface.txt``, so that no change goes unnoticed. After a change that is
meant, raise ``tracelet_hookspecs.CONTRACT`` as docs/contract-versions.md says, and write the file again.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import GenericAlias
from typing import Any

import attrs

import tracelet_hookspecs as contract
from tracelet.core import orchestrator, plugins

FILE = Path(__file__).with_name("surface.txt")


def surface() -> str:
    """Return the whole surface as text, a line each."""
    return "\n".join(lines()) + "\n"


def lines() -> Iterator[str]:
    """Yield the lines."""
    yield f"contract {contract.CONTRACT}"
    for module in (contract, plugins, orchestrator):
        yield from ("", f"module {module.__name__}")
        yield from (f"    {name}" for name in sorted(module.__all__))
    for name in contract.specs.__dict__:
        if hasattr(getattr(contract.specs, name), "tracelet_spec"):
            yield from hook_lines(name)
    for name in sorted(contract.__all__):
        value = getattr(contract, name)
        if isinstance(value, type) and not isinstance(value, GenericAlias):
            yield from class_lines(name, value)
        elif inspect.isfunction(value):
            yield from ("", f"function {name}{signature(value)}")


def hook_lines(name: str) -> Iterator[str]:
    """Yield a hook with its options, its arguments, and since when each is there."""
    function = getattr(contract.specs, name)
    versions = contract.hook_versions(function)
    options = function.tracelet_spec
    yield from ("", f"hook {name} since {versions.since}")
    yield from (f"    {option}" for option in ("firstresult", "historic") if options[option])
    deprecated = {"": options["warn_on_impl"], **(options["warn_on_impl_args"] or {})}
    for parameter in inspect.signature(function).parameters.values():
        since = versions.arguments.get(parameter.name, versions.since)
        yield f"    {argument(parameter)} since {since}"
    yield f"    -> {inspect.signature(function).return_annotation}"
    yield from (
        f"    deprecated {what}: {warning}" for what, warning in deprecated.items() if warning is not None
    )


def class_lines(name: str, cls: type) -> Iterator[str]:
    """Yield a class: its bases, and its members, fields or methods."""
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    yield from ("", f"class {name}({bases})")
    if issubclass(cls, enum.Enum):
        yield from (f"    {member.name} = {member.value!r}" for member in cls)
        return
    if attrs.has(cls):
        yield from (f"    {field_line(field)}" for field in attrs.fields(cls))
    for attribute in sorted(vars(cls)):
        value = inspect.getattr_static(cls, attribute)
        if not attribute.startswith("_") or attribute == "__init__":
            yield from (
                f"    {line}"
                for line in member_lines(
                    attribute, value, attrs.has(cls) or getattr(cls, "_is_protocol", False)
                )
            )


def field_line(field: Any) -> str:
    """Return a field with its type and default."""
    default = field.default
    if default is attrs.NOTHING:
        return f"{field.name}: {field.type}"
    shown = f"{default.factory.__name__}()" if isinstance(default, attrs.Factory) else repr(default)
    return f"{field.name}: {field.type} = {shown}"


def member_lines(name: str, value: Any, generated: bool) -> Iterator[str]:
    """Yield a method or property, and whether a subclass has to write it."""
    kind = type(value).__name__
    function = value.fget if kind == "property" else getattr(value, "__func__", value)
    if not inspect.isfunction(function) or (name == "__init__" and generated):
        return
    abstract = "abstract " if getattr(value, "__isabstractmethod__", False) else ""
    prefix = "" if kind == "function" else f"{kind} "
    yield f"{abstract}{prefix}{name}{signature(function)}"


def signature(function: Any) -> str:
    """Return a signature whose text is the same on each Python."""
    found = inspect.signature(function)
    words: list[str] = []
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(word.startswith("*") for word in words):
            words.append("*")
        words.append(argument(parameter))
    result = found.return_annotation
    return f"({', '.join(words)})" + ("" if result is found.empty else f" -> {result}")


def argument(parameter: inspect.Parameter) -> str:
    """Return an argument with its annotation and default."""
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {parameter.annotation}"
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    return f"{text} = {default.__name__ if inspect.isfunction(default) else repr(default)}"


if __name__ == "__main__":
    FILE.write_text(surface(), encoding="utf-8")
