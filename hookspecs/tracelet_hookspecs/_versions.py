"""The version of the contract, and since when each hook and argument has been part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

#: The contract's version, ``major.minor``. A minor release only adds; a major one may remove what was deprecated.
CONTRACT: Final = "1.3"
FIRST: Final = "1.0"

Function = TypeVar("Function", bound=Callable[..., Any])


class HookVersions(NamedTuple):
    """Since which version of the contract a hook exists, and those of its arguments that came later."""

    since: str
    arguments: Mapping[str, str]


class ContractDeprecationWarning(DeprecationWarning):
    """A hook or an argument that a later version of the contract removes.

    ``since`` is the version that deprecated it, ``removed_in`` the first one without it (at least two minor
    versions later), and ``instead`` says what to use.

    >>> str(ContractDeprecationWarning("hook log_line", since="1.2", removed_in="2.0", instead="log_text"))
    'hook log_line is deprecated since contract 1.2 and removed in 2.0; use log_text instead'
    """

    def __init__(self, what: str, *, since: str, removed_in: str, instead: str) -> None:
        super().__init__(
            f"{what} is deprecated since contract {since} and removed in {removed_in}; use {instead} instead"
        )
        self.what, self.since, self.removed_in, self.instead = what, since, removed_in, instead


def since(version: str, **arguments: str) -> Callable[[Function], Function]:
    """Record since when a hookspec exists, and arguments that were added to it later.

    .. code-block:: python

        @since("1.1", run="1.2")
        @hookspec
        def log_lines(lines, run=None): ...
    """

    def mark(function: Function) -> Function:
        function.tracelet_since = HookVersions(version, arguments)  # type: ignore[attr-defined]
        return function

    return mark


def hook_versions(function: Callable[..., Any]) -> HookVersions:
    """Return since when a hookspec exists: the contract's first version unless it says otherwise."""
    found = getattr(function, "tracelet_since", None)
    return found if isinstance(found, HookVersions) else HookVersions(FIRST, {})
