"""Reading a plugin file without running it.

A plugin that is only listed costs nothing: where a file's classes give their metadata as literals, name, version
and type are read from the source. Any other file has to be imported to be listed.
"""

from __future__ import annotations

import ast
from typing import Any

from tracelet_hookspecs import PluginMetadata, PluginType


def literal_metadata(source: str) -> dict[str, PluginMetadata] | None:
    """Return class name -> metadata for a file that can be read this way, else ``None``.

    Raises ``SyntaxError`` for what is not Python.
    """
    tree = ast.parse(source)
    found: dict[str, PluginMetadata] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.decorator_list:
            return None  # perhaps a hook implementation: the module itself would be the plugin
        if not isinstance(node, ast.ClassDef):
            continue
        metadata = _class_metadata(node)
        if metadata is None:
            return None
        found[node.name] = metadata
    return found or None


def _class_metadata(node: ast.ClassDef) -> PluginMetadata | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "get_metadata":
            returned = item.body[-1]
            if isinstance(returned, ast.Return) and isinstance(returned.value, ast.Call):
                return _call_metadata(returned.value)
    return None


def _call_metadata(call: ast.Call) -> PluginMetadata | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name != "PluginMetadata" or call.args or any(word.arg is None for word in call.keywords):
        return None
    try:
        return PluginMetadata(**{str(word.arg): _value(word.value) for word in call.keywords})
    except (ValueError, TypeError, KeyError):
        return None  # not literal, or wrong: importing it will tell


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "PluginType":
        return PluginType[node.attr]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "set" and not node.args:
        return set()
    return ast.literal_eval(node)
