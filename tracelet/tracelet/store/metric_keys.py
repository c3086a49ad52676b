"""The keys under which a run's metrics are found, and the patterns that select them.

The key of a metric is its name. If several sources recorded one name (the program and a collector, say), their points
are kept separate: the program's keep their name, a collector's are called ``NAME@COLLECTOR``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import translate

from tracelet.errors import StoreError
from tracelet.messages import did_you_mean

ALL = "*"


def metric_keys(name: str, sources: Collection[str | None]) -> dict[str | None, str]:
    """Return the key of a metric for each source that recorded it. The program itself is the source ``None``."""
    if len(sources) == 1:
        return dict.fromkeys(sources, name)
    return {source: name if source is None else f"{name}@{source}" for source in sources}


def recorded_names(key: str) -> list[str]:
    """Return the names of which a metric with this key may have been recorded."""
    name, separator, _ = key.rpartition("@")
    return [key, name] if separator else [key]


def select_metrics(
    patterns: str | Iterable[str], known: Collection[str], *, missing_ok: bool = False
) -> list[str]:
    """Return the known keys that patterns select, in the order in which they were asked for.

    ``train/*`` selects all that match, and ``!`` in front takes the matches out again. A text that is exactly the
    name of a metric selects that metric, whatever characters it has, except that ``*`` alone always selects all. A
    backslash in front makes the rest a plain name (``\\!loss``, ``\\*``). Raises :class:`StoreError` for a name (not a
    pattern) that is not known, unless it may be missing.
    """
    available = known if isinstance(known, (set, frozenset, dict)) else frozenset(known)
    found: dict[str, None] = {}
    for text in [patterns] if isinstance(patterns, str) else patterns:
        if text in available and text != ALL:
            found[text] = None
        elif text.startswith("\\") and text[1:] in available:
            found[text[1:]] = None
        elif text.startswith("!"):
            start = found or dict.fromkeys(sorted(available))
            matches = re.compile(translate(text[1:])).match
            found = {one: None for one in start if not matches(one)}
        elif is_pattern(text):
            matches = re.compile(translate(text)).match
            found |= dict.fromkeys(one for one in sorted(available) if matches(one))
        elif not missing_ok:
            raise StoreError(f"no metric {text!r}{did_you_mean(text, available)}", metric=text)
    return list(found)


def as_patterns(keys: Iterable[str]) -> list[str]:
    """Return patterns that select exactly these keys, whatever characters they have."""
    return [f"\\{key}" if key == ALL or key.startswith("\\") else key for key in keys]


def is_pattern(text: str) -> bool:
    """Return whether a text may stand for several names."""
    return text.startswith("!") or any(sign in text for sign in "*?[")
