"""Which of a run's records go to a backend: by name, type, source and rank."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracelet.config import PluginOptions

#: What a pattern for sources calls the training program itself.
PROGRAM: Final = "program"


class Patterns:
    """Names to take and, with ``!`` before them, names to leave out.

    ``*`` stands for any text (also with ``/`` in it), ``?`` for one character, ``[ab]`` for one of several. A name is
    taken when a pattern without ``!`` matches it (or there is none) and no pattern with ``!`` does;
    the order of the patterns does not matter.
    """

    def __init__(self, patterns: Iterable[str] | None) -> None:
        given = [pattern.strip() for pattern in patterns or ()]
        self._taken = _compiled(pattern for pattern in given if not pattern.startswith("!"))
        self._left_out = _compiled(pattern[1:].strip() for pattern in given if pattern.startswith("!"))

    def take(self, name: str) -> bool:
        """Say whether a name is to be taken."""
        if self._left_out is not None and self._left_out.match(name):
            return False
        return self._taken is None or self._taken.match(name) is not None

    def exclude(self, name: str) -> bool:
        """Say whether a name is left out in so many words, rather than for want of a pattern that takes it."""
        return self._left_out is not None and self._left_out.match(name) is not None


def _compiled(patterns: Iterable[str]) -> re.Pattern[str] | None:
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
        """Say whether a metric, or a medium, goes to the backend."""
        return self._types.take(type) and self._names.take(name) and self._sources.take(source or PROGRAM)

    def kind(self, type: str) -> bool:
        """Say whether parameters (``parameter``) or plain artifacts (``artifact``) go there.

        They do unless ``types`` excludes them in so many words: a list of metrics' types is no ban on parameters.
        """
        return not self._types.exclude(type)

    def rank(self, rank: int | None) -> bool:
        """Say whether what this rank of a job recorded goes there. A process that has no rank is always heard."""
        return self._ranks is None or rank is None or rank in self._ranks
