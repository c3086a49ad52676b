"""What a backend's failure means: try again, leave it, or look for the point that it will not take."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tracelet.errors import PluginError


class Fault(enum.Enum):
    """What to do about a failure."""

    PASSING = "passing"  # an outage: try again, for as long as it takes
    UNKNOWN = "unknown"  # try again; if it never ends, one of the points may be the reason
    REFUSED = "refused"  # these data are not wanted: one of the points is the reason
    TOO_MUCH = "too much"  # the batch is too large: half of it may do
    CREDENTIALS = "credentials"  # no use in trying again


_CREDENTIALS: Final = frozenset({401, 403, 407})
_REFUSED: Final = frozenset({400, 409, 415, 422})
_TOO_MUCH: Final = frozenset({413})
#: Statuses of gRPC, which clients carry as an enum with these member names.
_NAMED: Final[Mapping[str, Fault]] = {
    "UNAUTHENTICATED": Fault.CREDENTIALS,
    "PERMISSION_DENIED": Fault.CREDENTIALS,
    "INVALID_ARGUMENT": Fault.REFUSED,
    "OUT_OF_RANGE": Fault.REFUSED,
    "UNAVAILABLE": Fault.PASSING,
    "DEADLINE_EXCEEDED": Fault.PASSING,
    "RESOURCE_EXHAUSTED": Fault.PASSING,
    "INTERNAL": Fault.PASSING,
}
_DATA_ERRORS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError, AttributeError)


def judge(error: BaseException) -> Fault:
    """Say what a failure means.

    By the first of the exception and its causes that tells: an HTTP or gRPC status (``status_code``, ``status``
    or ``code``, also of ``response``), else its class: ``PermissionError`` stands for wrong credentials, any other
    ``OSError`` for an outage, ``ValueError``, ``TypeError``, ``LookupError``, ``ArithmeticError`` and the like for data
    that are not wanted.
    """
    chain = list(_chain(error))
    for one in chain:
        fault = _by_status(one)
        if fault is not None:
            return fault
    for one in chain:
        fault = _by_class(one)
        if fault is not Fault.UNKNOWN:
            return fault
    return Fault.UNKNOWN


def retry_after(error: BaseException) -> float | None:
    """Return the seconds of a ``Retry-After`` header that an exception carries, if any."""
    for one in _chain(error):
        for holder in (one, getattr(one, "response", None)):
            ask = getattr(getattr(holder, "headers", None), "get", None)
            value = ask("Retry-After") if callable(ask) else None
            if value is not None:
                return _seconds(value)
    return None


def _seconds(value: Any) -> float | None:
    """Read a number of seconds. The other form, a date, would need trust in both clocks: it is passed over."""
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it was raised from, without the host's own wrapping."""
    one: BaseException | None = error
    for _ in range(6):
        if one is None:
            return
        if isinstance(one, PluginError) and one.cause is not None:
            one = one.cause
            continue
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _by_status(error: BaseException) -> Fault | None:
    for status in _statuses(error):
        if isinstance(status, str):
            return _NAMED.get(status)
        if status in _CREDENTIALS:
            return Fault.CREDENTIALS
        if status in _TOO_MUCH:
            return Fault.TOO_MUCH
        if status in _REFUSED:
            return Fault.REFUSED
        if 400 <= status < 600:
            return Fault.PASSING
    return None


def _statuses(error: BaseException) -> Iterator[int | str]:
    """Yield HTTP statuses as numbers and gRPC's as names."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        response = response.get("ResponseMetadata", {})
        yield from _as_status(response.get("HTTPStatusCode") if isinstance(response, Mapping) else None)
        response = None
    for holder in (error, response):
        for attribute in ("status_code", "status", "code"):
            yield from _as_status(getattr(holder, attribute, None))


def _as_status(value: Any) -> Iterator[int | str]:
    if callable(value):  # grpc.RpcError.code()
        try:
            value = value()
        except Exception:
            return
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield int(value)
    elif isinstance(value, enum.Enum) and value.name in _NAMED:
        yield value.name


def _by_class(error: BaseException) -> Fault:
    if isinstance(error, PermissionError):
        return Fault.CREDENTIALS
    if isinstance(error, OSError):  # before ValueError: some errors of HTTP clients are both
        return Fault.PASSING
    return Fault.REFUSED if isinstance(error, _DATA_ERRORS) else Fault.UNKNOWN
