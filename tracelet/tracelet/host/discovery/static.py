"""Reading a plugin file without running it.

Listing a plugin should cost nothing: if the classes of a file give their metadata as literals, name, version and
type are read from the source. Any other file is imported to be listed, and so is a file whose content is in doubt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from tracelet.host.discovery.inspection import OWN_HOOKS
from tracelet_hookspecs import PluginMetadata, PluginType

_MARKS: Final = ("hookimpl", "tracelet_plugins", "PluginBase", "PluginMetadata")
#: Top-level statements that cannot define a plugin class other than the visible ones.
_PLAIN: Final = (
    ast.Import,
    ast.ImportFrom,
    ast.ClassDef,
    ast.FunctionDef,
    ast.Expr,
    ast.Assign,
    ast.AnnAssign,
)


def literal_metadata(tree: ast.Module) -> dict[str, PluginMetadata] | None:
    """Return class name -> metadata for a file that can be read this way, otherwise ``None``."""
    body = tree.body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    if not classes or not all(_is_plain(node) for node in body) or _has_internal_bases(classes):
        return None
    found = {node.name: _class_metadata(node) for node in classes}
    known = {name: metadata for name, metadata in found.items() if metadata is not None}
    return known if len(known) == len(classes) else None


def starts_run(tree: ast.Module) -> int:
    """Return the line on which importing a file would start a run, or 0. Code under a main guard does not count."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or _is_main_guard(node):
            continue
        if isinstance(node, ast.Call) and _name_of(node.func) == "start_run":
            return node.lineno
        pending.extend(ast.iter_child_nodes(node))
    return 0


def is_script(tree: ast.Module) -> bool:
    """Return whether a file does something when it is run, and has nothing that could be a plugin.

    A plugin needs a class, a decorator, or one of tracelet's names.
    """
    return any(map(_acts, tree.body)) and not any(map(_may_make_plugin, ast.walk(tree)))


def _acts(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    return isinstance(node, (ast.For, ast.While, ast.With)) or _is_main_guard(node)


def _may_make_plugin(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef) or getattr(node, "decorator_list", None):
        return True
    if isinstance(node, ast.FunctionDef):
        return node.name in OWN_HOOKS  # a hook without its decorator, which is worth a message
    if isinstance(node, ast.ImportFrom):  # what it imports cannot be seen from here
        return bool(node.level) or any(alias.name == "*" for alias in node.names)
    return isinstance(node, (ast.Name, ast.Attribute)) and _name_of(node) in _MARKS


def _is_main_guard(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and "__name__" in {_name_of(side) for side in (node.test.left, *node.test.comparators)}
    )


def _name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else str(getattr(node, "id", ""))


def _is_plain(node: ast.stmt) -> bool:
    if isinstance(node, ast.If):  # ``if TYPE_CHECKING:``, ``if __name__ == "__main__":``
        return not any(isinstance(inner, (ast.ClassDef, ast.FunctionDef)) for inner in ast.walk(node))
    if isinstance(node, ast.FunctionDef):
        return not node.decorator_list  # perhaps a hook implementation, which makes the module a plugin
    if isinstance(node, ast.ImportFrom):
        return all(alias.name != "*" for alias in node.names)
    return isinstance(node, _PLAIN)


def _has_internal_bases(classes: list[ast.ClassDef]) -> bool:
    names = {node.name for node in classes}
    used = {base.id for node in classes for base in node.bases if isinstance(base, ast.Name)}
    return bool(names & used) or len(names) < len(classes) or any(name.startswith("_") for name in names)


def _class_metadata(node: ast.ClassDef) -> PluginMetadata | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "get_metadata":
            statements = list(_without_docstring(item.body))
            returned = statements[0] if len(statements) == 1 else None
            if isinstance(returned, ast.Return) and isinstance(returned.value, ast.Call):
                return _call_metadata(returned.value)
    return None


def _without_docstring(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for at, node in enumerate(body):
        if at or not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield node


def _call_metadata(call: ast.Call) -> PluginMetadata | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name != "PluginMetadata" or call.args or any(word.arg is None for word in call.keywords):
        return None
    try:
        metadata = PluginMetadata(**{str(word.arg): _value(word.value) for word in call.keywords})
    except (ValueError, TypeError, KeyError):
        return None  # not literal, or wrong: importing it will show
    return metadata if isinstance(metadata.name, str) and metadata.name.strip() else None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "PluginType":
        return PluginType[node.attr]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "set" and not node.args:
        return set()
    return ast.literal_eval(node)
