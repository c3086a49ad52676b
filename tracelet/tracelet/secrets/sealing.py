"""The types of secrets, and making secrets of what was configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tracelet.secrets.redaction import redact, register_secret, register_url_secrets
from tracelet_hookspecs import MASK, Suspicion, is_secret_value, suspicion


class Secret:
    """Base of all secrets: ``repr`` is masked, everything else is as for the plain value.

    Creating one registers its value with :func:`redact`. Copies and pickles keep the value (a plugin in its
    own process needs it), and register it wherever they are restored.
    """

    __slots__ = ()
    _plain: ClassVar[Any]

    def __new__(cls, value: Any = "") -> Any:
        """Make a secret of ``value`` and register it."""
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
    """A string with a masked ``repr``; ``str()`` and formatting give the value."""

    __slots__ = ()
    _plain = str
    __str__ = str.__str__


class PartlySecretStr(Secret, str):
    """A string of which a part is secret, such as a URL with a password. Its ``repr`` masks that part."""

    _plain = str
    __str__ = str.__str__

    def __new__(cls, value: str, shown: str = MASK) -> Any:
        """Make one of ``value``, with ``shown`` for display."""
        register_url_secrets(value)
        made = str.__new__(cls, value)
        made.shown = shown
        return made

    shown: str

    def __repr__(self) -> str:
        return repr(self.shown)

    def __reduce__(self) -> tuple[Any, Any]:
        return type(self), (self.reveal(), self.shown)


class SecretInt(Secret, int):
    """An integer with a masked ``repr``."""

    __slots__ = ()
    _plain = int
    __str__ = int.__repr__


class SecretFloat(Secret, float):
    """A number with a masked ``repr``."""

    __slots__ = ()
    _plain = float
    __str__ = float.__repr__


def seal(values: Any, *, secret: bool = False) -> Any:
    """Return a copy of nested values in which everything that is secret by its name is a :class:`Secret`.

    ``secret`` makes all of it secret. Passwords and tokens within URLs are registered for :func:`redact`.
    """
    return _seal(values, Suspicion.ANY if secret else Suspicion.NONE)


def _seal(values: Any, level: Suspicion) -> Any:
    if isinstance(values, Mapping):
        return {key: _seal(value, max(level, suspicion(key))) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        sealed = [_seal(value, level) for value in values]
        return tuple(sealed) if isinstance(values, tuple) else sealed
    if is_secret_value(values, level, strict=True):
        return _secret(values)
    if isinstance(values, str) and not isinstance(values, Secret):
        register_url_secrets(values)
        shown = redact(values)
        return values if shown == values else PartlySecretStr(values, shown)
    return values


def _secret(value: Any) -> Any:
    """Return a secret for a string or a number; nothing else can be one."""
    if isinstance(value, Secret):
        return value
    for plain_type, secret_type in ((str, SecretStr), (int, SecretInt), (float, SecretFloat)):
        if isinstance(value, plain_type):
            if isinstance(value, str):
                register_url_secrets(value, whole=True)
            return secret_type(value)
    return value


def holds_secret(name: object, value: Any) -> bool:
    """Return whether a configured value, or anything in it, is a secret by this name."""
    level = suspicion(name)
    return level > Suspicion.NONE and _holds_secret(value, level)


def _holds_secret(value: Any, level: Suspicion) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_secret(each, level) for each in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_secret(each, level) for each in value)
    return isinstance(value, Secret) or is_secret_value(value, level, strict=True)
