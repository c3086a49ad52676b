"""The types of secrets, and making secrets of what was configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tracelet.secrets.keys import is_secret_key
from tracelet.secrets.redaction import MASK, register_secret, register_userinfo


class Secret:
    """What all secrets have in common: ``repr`` is masked, the value is what it always was.

    Making one registers its value with :func:`redact`. Copies and pickles keep the value (a plugin in a
    process of its own needs it), and register it wherever they are restored.
    """

    __slots__ = ()
    _plain: ClassVar[Any]

    def __new__(cls, value: Any = "") -> Any:
        """Make a secret of ``value`` and remember it."""
        register_secret(value)
        return super().__new__(cls, value)  # type: ignore[call-arg]

    def __repr__(self) -> str:
        return f"'{MASK}'"

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return type(self), (self.reveal(),)

    def reveal(self) -> Any:
        """Return the value as a plain string or number."""
        return self._plain(self)


class SecretStr(Secret, str):
    """A string that does not show itself; ``str()`` and formatting give the value."""

    __slots__ = ()
    _plain = str
    __str__ = str.__str__


class SecretInt(Secret, int):
    """An integer that does not show itself."""

    __slots__ = ()
    _plain = int
    __str__ = int.__repr__


class SecretFloat(Secret, float):
    """A number that does not show itself."""

    __slots__ = ()
    _plain = float
    __str__ = float.__repr__


def seal(values: Any, *, secret: bool = False) -> Any:
    """Return a copy of nested values in which strings and numbers under a secret key are secrets.

    Passwords within URLs, wherever they stand, are remembered for :func:`redact`.
    """
    if isinstance(values, Mapping):
        return {key: seal(value, secret=secret or is_secret_key(key)) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        sealed = [seal(value, secret=secret) for value in values]
        return tuple(sealed) if isinstance(values, tuple) else sealed
    if secret:
        return _secret(values)
    if isinstance(values, str):
        register_userinfo(values)
    return values


def _secret(value: Any) -> Any:
    """Return a secret for a string that is not empty or a number; nothing else can be one."""
    if value == "" or isinstance(value, (bool, Secret)):
        return value
    for plain_type, secret_type in ((str, SecretStr), (int, SecretInt), (float, SecretFloat)):
        if isinstance(value, plain_type):
            return secret_type(value)
    return value
