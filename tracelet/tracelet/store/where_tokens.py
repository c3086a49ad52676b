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
    | (?P<path>[A-Za-z_]\w*(?:\.(?:"[^"]*"|'[^']*'|`[^`]*`|[^\s.,()\[\]<>=!~"'`]+)|\["[^"]*"\]|\['[^']*'\])*)
    | (?P<sign>==|!=|<=|>=|[=<>~(),\[\]])
    )""",
    re.VERBOSE,
)
_PART: Final = re.compile(
    r"""\.(?:"([^"]*)"|'([^']*)'|`([^`]*)`|([^\s.\["'`]+))|\["([^"]*)"\]|\['([^']*)'\]"""
)


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


def split_path(path: str) -> list[str]:
    """Return the parts of a path after its first name, without quotes."""
    return [next(part for part in match.groups() if part is not None) for match in _PART.finditer(path)]


def parse_number(text: str) -> float | int:
    """Return the number that a token represents."""
    try:
        return int(text)
    except ValueError:
        return float(text)
