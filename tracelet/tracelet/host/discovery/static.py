"""Reading a plugin file without running it.

Listing a plugin should cost nothing: if the classes of a file give their metadata as literals, name, version and
type are read from the source. Any other file is imported to be listed, and so is a file whose content is in doubt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from tracelet_hookspecs import PluginMetadata, PluginType

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


def literal_metadata(source: bytes | str, file: str = "<source>") -> dict[str, PluginMetadata] | None:
    """Return class name -> metadata for a file that can be read this way, otherwise ``None``.

    Raises ``SyntaxError`` or ``ValueError`` for text that is not Python.
    """
    body = ast.parse(source, file).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    if not classes or not all(_is_plain(node) for node in body) or _has_internal_bases(classes):
        return None
    found = {node.name: _class_metadata(node) for node in classes}
    known = {name: metadata for name, metadata in found.items() if metadata is not None}
    return known if len(known) == len(classes) else None


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
