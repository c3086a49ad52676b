"""Which keys name a secret."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"
_NAMING: Final = frozenset(
    (
        *("auth", "authorization", "bearer", "cookie", "cookies", "creds", "dsn", "jwt", "key", "keys"),
        *("pass", "pin", "pwd", "sas", "token", "tokens"),
    )
)
_CONTAINED: Final = ("password", "passwd", "passphrase", "secret", "credential", "apikey", "accesskey")
# A last word that says the value is about a secret (`token_url`, `key_file`) and none itself.
_ABOUT: Final = frozenset(
    (
        *("algorithm", "column", "count", "dir", "expiry", "field", "file", "filename", "format", "id"),
        *("length", "limit", "method", "mode", "name", "names", "path", "prefix", "provider", "size"),
        *("timeout", "ttl", "type", "types", "uri", "url"),
    )
)
_QUALIFIED: Final = frozenset(
    ("foreign", "max", "min", "num", "partition", "primary", "public", "sort", "total")
)


def is_secret_key(key: object) -> bool:
    """Say whether a key names a secret: ``api_key``, ``dbPassword``, ``HF_TOKEN``; not ``max_tokens``."""
    if not isinstance(key, str):
        return False
    words = [word.lower() for word in re.findall(_WORDS, key)]
    if not words or words[-1] in _ABOUT or _QUALIFIED.intersection(words):
        return False
    return any(_names_secret(word) for word in words)


def _names_secret(word: str) -> bool:
    return word in _NAMING or word.endswith("token") or any(part in word for part in _CONTAINED)
