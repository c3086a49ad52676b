"""A promise of the contract, and the test that checks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., Any])
NEEDED: Final = "needed"
BETTER: Final = "better"
ISOLATIONS: Final = ("thread", "process")


class Promise(NamedTuple):
    """What is promised: a key, for ``limits`` and reports, and a sentence."""

    key: str
    text: str
    read_back: str = ""
    hooks: tuple[str, ...] = ()


def promise(
    key: str, text: str, *, read_back: str = "", hooks: tuple[str, ...] = (), both: bool = False
) -> Callable[[F], F]:
    """Make a test the check of a promise.

    Args:
        key: names the promise in ``limits`` and in reports.
        text: says it.
        read_back: ``NEEDED`` if the check reads back from the far side; ``BETTER`` if, without that, it checks that
            the plugin accepts everything.
        hooks: the plugin is checked only if it has one of these.
        both: whether it is checked on a thread and in a process of its own.
    """

    def mark(test: F) -> F:
        test.__dict__["promise"] = Promise(key, text, read_back, hooks)
        if both:
            test = pytest.mark.parametrize("isolation", ISOLATIONS)(test)
        return test

    return mark


def promises_of(suite: type) -> dict[str, Promise]:
    """Return the promises of a suite by key, in the order of their definition."""
    found: dict[str, Promise] = {}
    for base in reversed(suite.__mro__):  # as pytest orders the tests
        for attribute in vars(base).values():
            known = getattr(attribute, "promise", None)
            if isinstance(known, Promise):
                found[known.key] = known
    return found


def broken(text: str) -> None:
    """Report that a promise is broken."""
    pytest.fail(text, pytrace=False)
