"""``tracelet hooks``: the hooks that a plugin can implement."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen


@click.command("hooks")
@click.argument("name", required=False)
@json_option
def hooks(name: str | None) -> None:
    """List the hooks that plugins can implement, or document hook NAME."""
    known = {each: _describe_hook(each, function) for each, function in _find_hookspecs().items()}
    if name is None:
        from tracelet_hookspecs import CONTRACT as contract

        several = list(known.values())
        show_result(
            lambda: {"contract": contract, "hooks": several}, lambda screen: _print_all(screen, several)
        )
        return
    if name not in known:
        raise _unknown_hook(name, list(known))
    show_result(lambda: known[name], lambda screen: _print_one(screen, known[name]))


def _unknown_hook(name: str, known: list[str]) -> Exception:
    from tracelet.cli.diagnostics import suggest
    from tracelet.errors import UsageError

    similar = [each for each in known if name and name in each]
    hint = f"; similar hooks: {', '.join(similar)}" if similar else suggest(name, known)
    return UsageError(f"no hook {name!r}{hint} ('tracelet hooks' lists all)")


def _find_hookspecs() -> dict[str, Callable[..., Any]]:
    """Return the functions of the contract in the order of the source."""
    import tracelet_hookspecs

    mark = f"{tracelet_hookspecs.PROJECT_NAME}_spec"
    return {name: value for name, value in vars(tracelet_hookspecs.specs).items() if hasattr(value, mark)}


def _describe_hook(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    document = inspect.getdoc(function) or ""
    return {
        "name": name,
        "signature": f"{name}{_format_signature(function)}",
        "arguments": list(inspect.signature(function).parameters),
        "summary": document.partition("\n")[0],
        "documentation": document,
        **_describe_versions(function),
    }


def _describe_versions(function: Callable[..., Any]) -> dict[str, Any]:
    """Return since when a hook and its arguments exist, and what is deprecated, by the contract's version."""
    from tracelet_hookspecs import PROJECT_NAME, hook_versions

    versions = hook_versions(function)
    options = getattr(function, f"{PROJECT_NAME}_spec")
    arguments = inspect.signature(function).parameters
    warnings = {None: options["warn_on_impl"], **(options["warn_on_impl_args"] or {})}
    return {
        "since": versions.since,
        "arguments_since": {name: versions.arguments.get(name, versions.since) for name in arguments},
        "deprecated": [str(warning) for warning in warnings.values() if warning is not None],
    }


def _format_signature(function: Callable[..., Any]) -> str:
    """Format a signature as in its source (``str(signature)`` puts quotes around annotations)."""
    signature = inspect.signature(function)
    words = []
    for name, parameter in signature.parameters.items():
        word = f"{name}: {parameter.annotation}"
        words.append(word if parameter.default is parameter.empty else f"{word} = {parameter.default!r}")
    return f"({', '.join(words)}) -> {signature.return_annotation}"


def _print_all(screen: Screen, hooks: list[dict[str, Any]]) -> None:
    for hook in hooks:
        arguments = ", ".join(hook["arguments"])
        screen.line((hook["name"], "bold cyan"), f"({arguments})")
        screen.line(hook["summary"].replace("``", "`"), indent=4)
    from tracelet_hookspecs import CONTRACT

    screen.blank()
    screen.line((f"contract {CONTRACT}", "dim"))
    screen.line(
        ("tracelet hooks NAME documents one: when it is called, on which thread, what it returns", "dim")
    )


def _print_versions(screen: Screen, hook: dict[str, Any]) -> None:
    later = {name: since for name, since in hook["arguments_since"].items() if since != hook["since"]}
    parts = [f"since contract {hook['since']}", *(f"{name} since {since}" for name, since in later.items())]
    screen.line(("; ".join(parts), "dim"))
    for warning in hook["deprecated"]:
        screen.line(("deprecated: ", "yellow"), warning)


def _print_one(screen: Screen, hook: dict[str, Any]) -> None:
    name, _, rest = hook["signature"].partition("(")
    screen.line((name, "bold cyan"), f"({rest}")
    _print_versions(screen, hook)
    screen.blank()
    text, _, example = hook["documentation"].partition(".. code-block:: python")
    for paragraph in text.strip().split("\n\n"):
        screen.line(" ".join(paragraph.split()).replace("``", "`"))
        screen.blank()
    for line in inspect.cleandoc(example).splitlines():
        screen.line((line, "green"), indent=4)
