"""The expressions that select runs: ``params.lr < 0.1 and metrics.acc.max > 0.9``.

    expression  = conjunction ("or" conjunction)*
    conjunction = term ("and" term)*
    term        = "not" term | "(" expression ")" | comparison | field | quoted text
    comparison  = operand (("=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~") operand)+
                | operand ["not"] "in" ("(" | "[") literal ("," literal)* (")" | "]")
    field       = name ("." part | '["' name '"]')*     part = word | quoted name
    literal     = number | quoted text | true | false | none

``~`` compares with a pattern (``*``, ``?``, ``[abc]``). A field alone tests whether the run has it; a quoted text
alone, whether the run's name, id, notes or tags contain it. In a quoted name, the quote is written twice, and all other
characters stand for themselves: ``params["6"" disk"]``.

Python's own parser (``ast.parse`` with ``mode="eval"``) would not do: names of metrics and parameters contain slashes,
dashes and colons (``metrics.train/loss``), ``=`` and ``a ~ b`` are no expressions in Python, and its errors do not
point into the user's text once that has been rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tracelet.errors import UsageError
from tracelet.messages import closest, did_you_mean
from tracelet.store.accumulator import STATISTICS
from tracelet.store.where_tokens import Literal, Token, parse_number, split_path, tokenize

OPERATORS: Final = ("==", "!=", "<=", ">=", "=", "<", ">", "~")
BUILT_IN: Final = (
    *("id", "name", "project", "outcome", "error", "host", "started", "ended", "duration"),
    *("group", "parent", "job_type", "notes", "archived"),
)
GROUPS: Final = ("params", "tags", "metrics")
_ALIASES: Final = {
    "started_at": "started",
    "ended_at": "ended",
    "status": "outcome",
    "param": "params",
    "tag": "tags",
    "metric": "metrics",
}
_WORDS: Final = {"true": True, "false": False, "none": None, "null": None}


@dataclass(frozen=True)
class Field:
    """A field of a run: a ``kind`` such as ``name``, or a key of params, tags or (with a statistic) metrics.

    A key that is not ``exact`` may have dots where the recorded name has slashes.
    """

    kind: str
    key: str = ""
    statistic: str = ""
    exact: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The names that may be meant, the likeliest first."""
        slashed = self.key.replace(".", "/")
        return (self.key,) if self.exact or slashed == self.key else (self.key, slashed)


@dataclass(frozen=True)
class Comparison:
    """Two operands and an operator; for ``in`` the right operand is a tuple of literals."""

    left: Field | Literal
    operator: str
    right: Field | Literal | tuple[Literal, ...]


@dataclass(frozen=True)
class Has:
    """Whether the run has a field."""

    field: Field


@dataclass(frozen=True)
class Contains:
    """Whether the run's name, id, notes or tags contain a text, in upper or lower case."""

    text: str


@dataclass(frozen=True)
class Not:
    """The negation of an expression."""

    of: Expression


@dataclass(frozen=True)
class And:
    """The conjunction of expressions."""

    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    """The disjunction of expressions."""

    of: tuple[Expression, ...]


Expression = Comparison | Has | Contains | Not | And | Or


def parse(text: str) -> Expression:
    """Parse an expression. Raises :class:`UsageError` that points at the mistake."""
    parser = _Parser(text)
    found = parser.expression()
    parser.expect_end()
    return found


def parse_field(text: str, argument: str = "sort") -> Field:
    """Parse the name of a field, as for sorting: ``metrics.loss.min``."""
    parser = _Parser(text, argument)
    token = parser.take()
    if token.kind != "path":
        raise parser.error("a field like name, params.lr or metrics.loss.min", token)
    found = parser.field(token)
    parser.expect_end()
    return found


def nodes_of(expression: Expression) -> Iterator[Comparison | Has | Contains]:
    """Yield the conditions that an expression is made of."""
    if isinstance(expression, And | Or):
        for one in expression.of:
            yield from nodes_of(one)
    elif isinstance(expression, Not):
        yield from nodes_of(expression.of)
    else:
        yield expression


def fields_of(expression: Expression) -> Iterator[Field]:
    """Yield every field that an expression mentions."""
    for one in nodes_of(expression):
        if isinstance(one, Has):
            yield one.field
        elif isinstance(one, Comparison):
            yield from (side for side in (one.left, one.right) if isinstance(side, Field))


class _Parser:
    def __init__(self, text: str, argument: str = "where") -> None:
        self._text = text
        self._argument = argument
        self._tokens = [*tokenize(text, argument), Token("end", "", len(text))]
        self._place = 0

    # --- grammar -----------------------------------------------------------------------------------------

    def expression(self) -> Expression:
        several = [self._conjunction()]
        while self._accept_word("or"):
            several.append(self._conjunction())
        return several[0] if len(several) == 1 else Or(tuple(several))

    def _conjunction(self) -> Expression:
        several = [self._term()]
        while self._accept_word("and"):
            several.append(self._term())
        return several[0] if len(several) == 1 else And(tuple(several))

    def _term(self) -> Expression:
        if self._accept_word("not"):
            return Not(self._term())
        if self._accept("("):
            inside = self.expression()
            self._expect(")")
            return inside
        return self._comparison()

    def _comparison(self) -> Expression:
        begin, left = self._here, self._operand()
        if self._accept_word("in"):
            return Comparison(left, "in", self._literals())
        if self._peek_words("not", "in"):
            self._place += 2
            return Not(Comparison(left, "in", self._literals()))
        chain: list[Expression] = []
        while self._here.text in OPERATORS and self._here.kind == "sign":
            operator = self.take().text
            right = self._operand()
            chain.append(Comparison(left, "==" if operator == "=" else operator, right))
            left = right
        if chain:
            return chain[0] if len(chain) == 1 else And(tuple(chain))
        if isinstance(left, Field):
            return Has(left)
        if begin.kind == "text":
            return Contains(str(left))
        raise self.error("a comparison", self._here)

    def _literals(self) -> tuple[Literal, ...]:
        opening = self.take()
        if opening.text not in ("(", "["):
            raise self.error("a list in parentheses", opening)
        closing = ")" if opening.text == "(" else "]"
        several: list[Literal] = []
        while not self._accept(closing):
            value = self._operand()
            if isinstance(value, Field):
                raise self.error("a number or a quoted text", self._tokens[self._place - 1])
            several.append(value)
            if not self._accept(","):
                self._expect(closing)
                break
        return tuple(several)

    def _operand(self) -> Field | Literal:
        token = self.take()
        if token.kind == "number":
            return parse_number(token.text)
        if token.kind == "text":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if token.kind == "path":
            if token.text.lower() in _WORDS:
                return _WORDS[token.text.lower()]
            return self.field(token)
        raise self.error("a field, a number or a quoted text", token)

    def field(self, token: Token) -> Field:
        """Return the field that a path token names."""
        kind = re.match(r"\w+", token.text)
        name = kind[0] if kind else ""
        name = _ALIASES.get(name, name)
        found = split_path(token.text)
        parts, exact = [one.text for one in found], any(one.is_quoted for one in found)
        if name in BUILT_IN and not parts:
            return Field(name)
        if name not in GROUPS or not parts:
            raise UsageError(
                f"{self._placed(token)}: no field {token.text!r}{self._suggest_field(token.text)}"
            )
        if name != "metrics":
            return Field(name, ".".join(parts), exact=exact)
        if len(parts) > 1 and parts[-1] in (*STATISTICS, "best"):
            return Field(name, ".".join(parts[:-1]), parts[-1], exact)
        return Field(name, ".".join(parts), "last", exact)

    def _suggest_field(self, text: str) -> str:
        known = [*BUILT_IN, *(f"{group}.NAME" for group in GROUPS)]
        quotes = f"; put a text in quotes: '{text}'" if self._argument == "where" and "." not in text else ""
        if closest(text, known) is not None:
            return did_you_mean(text, known) + quotes
        prefixed = ", ".join(f"{group}.{text}" for group in GROUPS)
        return (
            f"; parameters, tags and metrics need a prefix ({prefixed}){quotes}; known: {', '.join(BUILT_IN)}"
        )

    # --- tokens ------------------------------------------------------------------------------------------

    @property
    def _here(self) -> Token:
        return self._tokens[self._place]

    def take(self) -> Token:
        """Return the next token and advance."""
        token = self._here
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def _accept(self, sign: str) -> bool:
        found = self._here.kind == "sign" and self._here.text == sign
        self._place += found
        return found

    def _accept_word(self, word: str) -> bool:
        found = self._is_word(self._here, word)
        self._place += found
        return found

    def _peek_words(self, first: str, second: str) -> bool:
        ahead = self._tokens[self._place : self._place + 2]
        return len(ahead) == 2 and self._is_word(ahead[0], first) and self._is_word(ahead[1], second)

    @staticmethod
    def _is_word(token: Token, word: str) -> bool:
        return token.kind == "path" and token.text.lower() == word

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise self.error(repr(sign), self._here)

    def expect_end(self) -> None:
        """Raise unless all tokens are used up."""
        if self._here.kind != "end":
            raise self.error("'and', 'or' or the end", self._here)

    def error(self, expected: str, token: Token) -> UsageError:
        """Return the error that names what was expected and what was found."""
        found = repr(token.text) if token.kind != "end" else "the end"
        return UsageError(f"{self._placed(token)}: expected {expected}, found {found}")

    def _placed(self, token: Token) -> str:
        return f"{self._argument} {self._text!r}, column {token.at + 1}"
