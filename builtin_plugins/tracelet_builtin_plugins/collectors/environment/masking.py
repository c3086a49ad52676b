"""Masking of secrets in command lines and other texts.

Where in doubt it masks: losing a fact does less harm than showing a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

MASK: Final = "***"

SECRET_WORDS: Final = frozenset(
    {"secret", "secrets", "password", "passwords", "passwd", "passphrase"}
    | {"credential", "credentials", "authorization", "bearer", "cookie"}
)
SECRET_LAST_WORDS: Final = frozenset(
    {"token", "key", "auth", "pass", "pwd", "pat"}
)  # not max_tokens, key_dim
SECRET_ENDINGS: Final = ("token", "password", "secret", "apikey", "passwd")
SECRET_KEYS: Final = re.compile(r"(?:api|access|private|secret|signing|encryption)[\W_]*keys?", re.IGNORECASE)
WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of snake_case, kebab-case and camelCase

# A whole argument KEY=VALUE, --key=value, "Header: value": the value is all the rest, spaces included.
ASSIGNMENT: Final = re.compile(r"([-+~/]{0,2}[\w.-]+[=:])(.+)", re.DOTALL)
# The same inside a longer text (a query string, JSON, the code after -c), and then the value.
KEY: Final = re.compile(r"""([\w.-]+)\\?["']?\s*[=:]\s*""")
VALUE: Final = re.compile(
    r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|["'\\[{(].*|(?:Bearer|Basic)\s+\S+|[^\s&]+""", re.DOTALL
)
# user:password@ of a URL; the second form is for a password with an unescaped slash, ? or # in it.
USERINFO: Final = re.compile(r"([A-Za-z][\w+.-]*://)(?:[^/?#\s]*|[^/?#\s:@]*:(?!\d+(?:[/?#\s]|$))\S*)@")
AUTHORIZATION: Final = re.compile(r"\b(Bearer|Basic)\s+[\w+/=.~-]{8,}")
# Tokens that well-known services mark as such by their first letters.
KNOWN_TOKENS: Final = re.compile(
    r"\b(?:sk-[\w-]{16,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|hf_\w{16,}"
    r"|xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{10,}\.[\w-]+\.[\w-]*)"
)


def is_secret(name: str) -> bool:
    """Say whether a name (of an option, a variable, a key) is one whose value should not be shown."""
    words = [word.lower() for word in WORD.findall(name)]
    if not words or name in ("PWD", "OLDPWD"):
        return False
    return (
        words[-1] in SECRET_LAST_WORDS
        or words[-1].endswith(SECRET_ENDINGS)
        or not SECRET_WORDS.isdisjoint(words)
        or SECRET_KEYS.search(name) is not None
    )


def mask_text(text: str) -> str:
    """Return the text with what looks like a secret replaced by ``***``."""
    text = USERINFO.sub(rf"\1{MASK}@", text)
    text = KNOWN_TOKENS.sub(MASK, AUTHORIZATION.sub(rf"\1 {MASK}", text))
    masked, position = "", 0
    while key := KEY.search(text, position):
        masked += text[position : key.end()]
        position = key.end()
        if is_secret(key[1]) and (value := VALUE.match(text, position)):
            masked, position = masked + MASK, value.end()
    return masked + text[position:]


def mask_command(argv: Sequence[str]) -> list[str]:
    """Return the arguments with the values of secret options, secret assignments and URLs masked."""
    masked = []
    secret_follows = False
    for argument in argv:
        assignment = ASSIGNMENT.fullmatch(argument)
        if secret_follows and not argument.startswith("--"):
            masked.append(MASK)
        elif assignment and is_secret(assignment[1]):
            masked.append(assignment[1] + MASK)
        else:
            masked.append(mask_text(argument))
        secret_follows = argument.startswith("-") and not assignment and is_secret(argument)
    return masked
