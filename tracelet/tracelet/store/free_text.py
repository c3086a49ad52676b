"""What somebody types to find runs: an expression, or words that a run's name, id, notes or tags contain."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tracelet.errors import UsageError
from tracelet.store.where import Contains, nodes_of, parse

#: Whether a run contains a text, of which ``fold`` removes the case. Takes the folded text twice.
CONTAINS_SQL: Final = (
    "(INSTR(fold(name || char(10) || id || char(10) || COALESCE(notes, '')), ?) OR EXISTS (SELECT 1 FROM tags"
    " WHERE tags.run = runs.number AND INSTR(fold(tags.key || '=' || COALESCE(tags.text, '')), ?)))"
)
_SIGNS: Final = re.compile(r"""[<>=~()\[\]"'`]""")  # of an expression, which is wrong then
_OPERATORS: Final = ("and", "or", "not")
_HINT: Final = "; to search for a text, put it in quotes"


class Query(NamedTuple):
    """An expression, and the texts that it searches for."""

    where: str
    texts: tuple[str, ...]


def read_query(text: str) -> Query:
    """Return the expression that a text means.

    A text that is an expression always means just that. Any other text without the signs of one (comparisons, quotes,
    brackets) means the runs that contain all its words. Raises :class:`UsageError` if it is neither.
    """
    where = text.strip()
    try:
        expression = parse(where) if where else None
    except UsageError as error:
        if _SIGNS.search(where):
            raise UsageError(f"{error}{'' if 'in quotes' in str(error) else _HINT}") from None
        where = _search_for(where.split())
        expression = parse(where)
    found = nodes_of(expression) if expression is not None else ()
    return Query(where, tuple(one.text for one in found if isinstance(one, Contains)))


def _search_for(words: list[str]) -> str:
    """Return the expression for words; ``and``, ``or`` and ``not`` between them mean what they mean in expressions."""
    several: list[str] = []
    for word in words:
        is_operator = word.lower() in _OPERATORS
        if several and several[-1].startswith("'") and not (is_operator and word.lower() != "not"):
            several.append("and")
        several.append(word.lower() if is_operator else _quote(word))
    where = " ".join(several)
    try:
        parse(where)
    except UsageError:  # "and" alone
        return " and ".join(map(_quote, words))
    return where


def _quote(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
