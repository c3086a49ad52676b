"""Which metrics are meant: names, and patterns of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from tracelet.errors import StoreError
from tracelet.messages import did_you_mean


def chosen(names: str | Iterable[str], known: Collection[str], missing_ok: bool = False) -> list[str]:
    """Return the known names that are meant, in the order in which they were asked for.

    ``train/*`` means all that fit; a pattern behind ``!`` takes out again. Raises :class:`StoreError` for a name
    (not a pattern) that is not there, unless it may be missing.
    """
    found: dict[str, None] = {}
    for name in [names] if isinstance(names, str) else names:
        if name.startswith("!"):
            start = found or dict.fromkeys(sorted(known))
            found = {one: None for one in start if not fnmatchcase(one, name[1:])}
        elif name in known:
            found[name] = None
        elif is_pattern(name):
            found |= dict.fromkeys(one for one in sorted(known) if fnmatchcase(one, name))
        elif not missing_ok:
            raise StoreError(f"no metric {name!r}{did_you_mean(name, known)}", metric=name)
    return list(found)


def is_pattern(name: str) -> bool:
    """Say whether a name stands for all that fit it."""
    return name.startswith("!") or any(sign in name for sign in "*?[")
