"""One rule for names that a destination cannot hold: replace, shorten, and mark with a hash of the original."""

from __future__ import annotations

import hashlib
import re
from typing import Final

__all__ = ["MARK_LENGTH", "fit_name", "mark_of"]

MARK_LENGTH: Final = 10
_DIGEST_LENGTH: Final = MARK_LENGTH - 1


def mark_of(name: str, separator: str = "_") -> str:
    """Return the suffix that tells a changed name from others that would look the same.

    It is the separator and nine hexadecimal digits of the name's SHA-256: among 100,000 names, two that became equal
    otherwise get the same suffix with a probability below 0.1 (36 bits, birthday bound).
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return separator + digest[:_DIGEST_LENGTH]


def fit_name(
    name: str, *, refused: re.Pattern[str], limit: int, replacement: str = "_", separator: str = "_"
) -> str:
    """Return a name that a destination accepts.

    ``refused`` matches each character (or part) that is not allowed; it is replaced by ``replacement``. ``limit`` is
    the number of characters allowed. A name that has to change gets a suffix, :func:`mark_of`, so that two
    different names stay different. A name that fits stays as it is. The result depends on nothing but the
    arguments, so that it is the same in each process and each time.

    >>> fit_name("loss", refused=re.compile("[^a-z]"), limit=20)
    'loss'
    >>> fit_name("Loss", refused=re.compile("[^a-z]"), limit=20)
    '_oss_df292782b'
    """
    fitted = refused.sub(replacement, name)
    if fitted == name and 0 < len(name) <= limit:
        return name
    return fitted[: limit - MARK_LENGTH] + mark_of(name, separator)
