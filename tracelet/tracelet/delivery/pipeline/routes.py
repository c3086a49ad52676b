"""Which of a run's records go to a backend: by name, type, source and rank."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracelet.config import PluginOptions

#: The name of the training program itself in patterns for sources.
PROGRAM: Final = "program"


class Patterns:
    """Names to include and, with a leading ``!``, names to exclude.

    ``*`` matches any text (``/`` included), ``?`` one character, ``[ab]`` one of several. A name is included if
    a pattern without ``!`` matches it (or there is no such pattern) and no pattern with ``!`` does. The order of
    the patterns does not matter.
    """

    def __init__(self, patterns: Iterable[str] | None) -> None:
        given = [pattern.strip() for pattern in patterns or ()]
        self._included = _compile(pattern for pattern in given if not pattern.startswith("!"))
        self._excluded = _compile(pattern[1:].strip() for pattern in given if pattern.startswith("!"))

    def include(self, name: str) -> bool:
        """Say whether a name is included."""
        return not self.exclude(name) and (self._included is None or self._included.match(name) is not None)

    def exclude(self, name: str) -> bool:
        """Say whether a pattern with ``!`` excludes a name, rather than the lack of a pattern that includes it."""
        return self._excluded is not None and self._excluded.match(name) is not None


def _compile(patterns: Iterable[str]) -> re.Pattern[str] | None:
    expressions = [fnmatch.translate(pattern) for pattern in patterns]
    return re.compile("|".join(f"(?:{expression})" for expression in expressions)) if expressions else None


class Routes:
    """The routes of one backend, from its table in the configuration."""

    def __init__(self, options: PluginOptions) -> None:
        self._names = Patterns(options.metrics)
        self._types = Patterns(options.types)
        self._sources = Patterns(options.sources)
        self._ranks = options.ranks

    def metric(self, name: str, type: str, source: str | None) -> bool:
        """Say whether a metric, or a media file, goes to the backend."""
        return (
            self._types.include(type)
            and self._names.include(name)
            and self._sources.include(source or PROGRAM)
        )

    def kind(self, type: str) -> bool:
        """Say whether parameters (``parameter``) or plain artifacts (``artifact``) go to the backend.

        They do unless ``types`` excludes them explicitly: a list of metric types does not exclude parameters.
        """
        return not self._types.exclude(type)

    def rank(self, rank: int | None) -> bool:
        """Say whether the records of this rank go to the backend. A process without a rank is always included."""
        return self._ranks is None or rank is None or rank in self._ranks
