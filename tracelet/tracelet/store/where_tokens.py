"""The tokens of a ``where`` expression: numbers, texts, paths of names, signs."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tracelet.errors import UsageError

Literal = float | int | str | bool | None

MAX_TOKENS: Final = 500  # in one expression: SQLite limits the size of a query, too
_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]) | [+-]?inf(?:inity)?\b)
    | (?P<text>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
    | (?P<path>[A-Za-z_]\w*(?:\.(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|`[^`]*`|[^\s.,()\[\]<>=!~"'`]+)
        |\.?\["(?:[^"]|"")*"\]|\.?\['(?:[^']|'')*'\])*)
    | (?P<sign>==|!=|<=|>=|[=<>~(),\[\]])
    )""",
    re.VERBOSE,
)
_PART: Final = re.compile(
    r"""\.?\["(?P<a>(?:[^"]|"")*)"\]|\.?\['(?P<b>(?:[^']|'')*)'\]
    |\.(?:"(?P<c>(?:[^"]|"")*)"|'(?P<d>(?:[^']|'')*)'|`(?P<e>[^`]*)`|(?P<plain>[^\s.\["'`]+))""",
    re.VERBOSE,
)
_KEY: Final = re.compile(r"""(?:[^,"'`]|"[^"]*(?:"|$)|'[^']*(?:'|$)|`[^`]*(?:`|$))+""")


class Token(NamedTuple):
    """A piece of the expression and its position."""

    kind: str
    text: str
    at: int


def tokenize(text: str, argument: str) -> list[Token]:
    """Split an expression into tokens. Raises :class:`UsageError` at the first character that fits no token."""
    found: list[Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise UsageError(f"{argument} {text!r}, column {start + 1}: cannot parse {text[start:]!r}")
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    if len(found) > MAX_TOKENS:
        raise UsageError(f"{argument}: expected at most {MAX_TOKENS} tokens, found {len(found)}")
    return found


class Part(NamedTuple):
    """A part of a path, and whether it was in quotes, which hold exactly the name that is meant."""

    text: str
    is_quoted: bool


def split_path(path: str) -> list[Part]:
    """Return the parts of a path after its first name, without quotes. A quote in quotes is written twice."""
    return [_part(match) for match in _PART.finditer(path)]


def _part(match: re.Match[str]) -> Part:
    group = match.lastgroup or ""
    text = match[group]
    if group in ("a", "c"):
        text = text.replace('""', '"')
    elif group in ("b", "d"):
        text = text.replace("''", "'")
    return Part(text, group != "plain")


def split_keys(text: str) -> list[str]:
    """Return fields that are separated by commas. A comma in a quoted name separates nothing."""
    return [key for one in _KEY.findall(text) if (key := one.strip())]


def parse_number(text: str) -> float | int:
    """Return the number that a token represents."""
    try:
        return int(text)
    except ValueError:
        return float(text)
