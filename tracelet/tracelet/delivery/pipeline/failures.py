"""What a backend's failure means: retry, give up, or look for the point that it does not accept."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracelet.errors import PluginError
from tracelet.host.worker import Overrun
from tracelet.logs import get_logger

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginHandle

log = get_logger("tracelet.delivery")


class BrokenHookError(PluginError):
    """A data hook can never work as written: none of its data would arrive."""


class Fault(enum.Enum):
    """What to do about a failure."""

    PASSING = "passing"  # an outage: retry, for as long as it takes
    UNKNOWN = "unknown"  # retry; if it never ends, one of the points may be the reason
    REFUSED = "refused"  # the data is not accepted: one of the points is the reason
    TOO_MUCH = "too much"  # the batch is too large: half of it may be accepted
    CREDENTIALS = "credentials"  # retrying is pointless
    BROKEN = "broken"  # the hook can never work as written


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


class Verdict(NamedTuple):
    """What a failure means, and how many seconds the far side asks to wait, if it does."""

    fault: Fault
    wait: float | None = None


def judge_on_its_thread(handle: PluginHandle, error: BaseException) -> Verdict:
    """Judge a plugin's failure on that plugin's thread: reading the exception may run code of its class.

    If that fails in turn, nothing is known about the failure. Raises :class:`~tracelet.host.worker.Overrun` if it
    hangs.
    """

    def work() -> Verdict:
        try:
            return Verdict(judge(error), retry_after(error))
        except BaseException as unreadable:
            log.debug("%s cannot be read: %s", type(error).__name__, type(unreadable).__name__)
            return Verdict(Fault.UNKNOWN)

    step = error.step if isinstance(error, PluginError) else ""
    try:
        verdict: Verdict = handle.submit(work, step=step or "log_metrics", calls=0)
    except Overrun:
        raise
    except PluginError as not_called:
        log.debug("%s", not_called)
        return Verdict(Fault.UNKNOWN)
    return verdict


def judge(error: BaseException) -> Fault:
    """Return what a failure means.

    The first of the exception and its causes that has an HTTP or gRPC status (``status_code``, ``status`` or
    ``code``, also of ``response``) decides; else the first whose class does: ``PermissionError`` means wrong
    credentials, any other ``OSError`` an outage; ``ValueError``, ``TypeError``, ``LookupError``,
    ``ArithmeticError`` and similar mean data that is not accepted.
    """
    if isinstance(error, BrokenHookError):
        return Fault.BROKEN
    if isinstance(error, PluginError) and (
        known := getattr(error, "fault", None)
    ):  # judged in the plugin's own process
        return Fault(known)
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
    """Read a number of seconds. The other form, a date, would require trust in both clocks: it is ignored."""
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, without the host's own wrapping."""
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
