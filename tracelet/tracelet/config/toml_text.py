"""TOML as text, for the one thing that its grammar does not allow.

A ``tracelet.toml`` may say ``plugins = ["mlflow"]`` and ``[plugins.mlflow]`` side by side. In TOML these are one
``plugins``, so the key of the list is given another name before parsing: one of the same length,
so that lines and columns in a parser's messages stay correct.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

PLUGIN_LIST: Final = "-plugin"

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PART: Final = re.compile(r"[ \t]*([A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')[ \t]*")
_LIST: Final = re.compile(r"=[ \t]*\[")
_TOKEN: Final = re.compile(
    r"\"\"\"(?:[^\\]|\\.)*?\"\"\"+|'''.*?'''+"  # strings over several lines, which may end in more quotes
    r"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'"
    r"|\#[^\n]*|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)


class Statement(NamedTuple):
    """One statement of a TOML document: a table's header or a key with its value."""

    key: tuple[str, ...]  # complete, with the table that it is in
    start: int  # where the key's own text starts
    end: int  # where its first part ends
    listed: bool  # whether the value is a list


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of ``text``; end early if it is not TOML (the parser reports that)."""
    table: tuple[str, ...] = ()
    at = _skip(text, 1 if text.startswith("\ufeff") else 0)
    while at < len(text):
        header = text[at] == "["
        start = at + (2 if text.startswith("[[", at) else 1) if header else at
        parts, at = _dotted(text, start)
        if not parts or (not header and text[at : at + 1] != "="):
            return
        own = tuple(name for name, _, _ in parts)
        listed = not header and _LIST.match(text, at) is not None
        table = own if header else table
        yield Statement(own if header else table + own, parts[0][1], parts[0][2], listed)
        at = _skip(text, _end_of_statement(text, at if header else at + 1, depth=1 if header else 0))


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _dotted(text: str, at: int) -> tuple[list[tuple[str, int, int]], int]:
    parts: list[tuple[str, int, int]] = []
    while match := _PART.match(text, at):
        parts.append((match[1].strip("\"'"), match.start(1), match.end(1)))
        at = match.end()
        if text[at : at + 1] != ".":
            break
        at += 1
    return parts, at


def _end_of_statement(text: str, at: int, depth: int) -> int:
    """Return where the statement ends: the line's end outside of strings and brackets."""
    while match := _TOKEN.match(text, at):
        at = match.end()
        token = match.group()
        if token == "\n" and depth <= 0:
            return at
        depth += (token in "[{") - (token in "]}")
    return len(text)


def rename_plugin_list(text: str) -> str:
    """Return the text with the key of a top-level ``plugins = [...]`` replaced by :data:`PLUGIN_LIST`."""
    for each in statements(text):
        if each.key == ("plugins",) and each.listed:
            written = text[each.start : each.end].replace("plugins", PLUGIN_LIST)
            text = text[: each.start] + written + text[each.end :]
    return text


def second_plugins(text: str) -> tuple[int, int] | None:
    """Return the lines in which ``tool.tracelet.plugins`` is a list and a table, if it is both."""
    whole = ("tool", "tracelet", "plugins")
    listed = tables = 0
    for each in statements(text):
        if each.key[:3] == whole:
            line = text.count("\n", 0, each.start) + 1
            if len(each.key) == 3 and each.listed:
                listed = listed or line
            else:
                tables = tables or line
    return (listed, tables) if listed and tables else None
