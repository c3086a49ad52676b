"""The words of the language that runs are selected with: numbers, texts, paths of names, signs."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tracelet.errors import UsageError

Literal = float | int | str | bool | None

MOST: Final = 500  # words of one expression: what SQLite takes is limited, too
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
    """A piece of the text and where it stands."""

    kind: str
    text: str
    at: int


def tokens(text: str, argument: str) -> list[Token]:
    """Take a text apart. Raises :class:`UsageError` where it cannot be understood."""
    found: list[Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise UsageError(
                f"{argument} {text!r}, column {start + 1}: cannot be understood from {text[start:]!r} on"
            )
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    if len(found) > MOST:
        raise UsageError(f"{argument}: expected at most {MOST} words, found {len(found)}")
    return found


def parts_of(path: str) -> list[str]:
    """Return the parts of a path after its first name, quoted or not."""
    return [next(part for part in match.groups() if part is not None) for match in _PART.finditer(path)]


def number(text: str) -> float | int:
    """Return the number that a text spells."""
    try:
        return int(text)
    except ValueError:
        return float(text)
