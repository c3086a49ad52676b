"""What a failure of an object store means, in words that say what to do.

The clients' own exceptions carry HTTP statuses that say little: 400 may be an expired token, a clock that is wrong or a
region. None of them says anything about a record, so that none may lead to a record being dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tracelet_hookspecs import mask_text

__all__ = ["ChangedError", "NoBucketError", "NoConditionsError", "translate"]

_CREDENTIALS: Final = frozenset(
    (
        *("AccessDenied", "AllAccessDisabled", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId"),
        *(
            "InvalidToken",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "TokenRefreshRequired",
            "InvalidSecurity",
        ),
    )
)
_NO_CREDENTIALS: Final = frozenset(
    (
        *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError"),
        *(
            "UnauthorizedSSOTokenError",
            "SSOTokenLoadError",
            "ClientAuthenticationError",
            "DefaultCredentialsError",
        ),
    )
)
_CHANGED: Final = frozenset({"PreconditionFailed", "412", "ConditionNotMet", "BlobAlreadyExists"})
_EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)


class ChangedError(Exception):
    """A condition of a write was not met: the object exists, or somebody else has changed it."""


class NoBucketError(FileNotFoundError):
    """There is no such bucket."""


class NoConditionsError(Exception):
    """The store has no conditional writes."""


def translate(error: BaseException, where: str) -> Exception:
    """Return the exception to raise in place of a client's: without its cause, which says the wrong thing."""
    codes, statuses = set(_codes(error)), set(_statuses(error))
    text = f"{where}: {mask_text(str(error)) or type(error).__name__}"
    if codes & _CHANGED or 412 in statuses or isinstance(error, FileExistsError):
        return ChangedError(text)
    if "NotImplemented" in codes or 501 in statuses:
        return NoConditionsError(text)
    if "RequestTimeTooSkewed" in codes:
        return OSError(
            f"{text}; the clock of this machine is wrong: correct it, delivery continues by itself"
        )
    names = {type(one).__name__ for one in _chain(error)}
    if codes & _CREDENTIALS or names & _NO_CREDENTIALS or statuses & {401, 403} or _is_denied(error):
        return PermissionError(f"{text}; {_remedy(codes, names)}")
    if "NoSuchBucket" in codes:
        return NoBucketError(
            f"{text}; create the bucket, or correct plugins.lake.url: delivery continues by itself"
        )
    if isinstance(error, (TimeoutError, FileNotFoundError)):
        return type(error)(text)
    return OSError(text)


def _remedy(codes: set[str], names: set[str]) -> str:
    if codes & _EXPIRED:
        return "the credentials have expired: renew them, then run: tracelet sync"
    if names & _NO_CREDENTIALS:
        return (
            "no credentials were found: give them in plugins.lake.storage_options or the client's environment"
        )
    return (
        "expected credentials that may read, write and list there; after correcting them, run: tracelet sync"
    )


def _is_denied(error: BaseException) -> bool:
    return any(isinstance(one, PermissionError) for one in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(6):
        if one is None:
            return
        yield one
        one = one.__cause__ or one.__context__


def _codes(error: BaseException) -> Iterator[str]:
    """Yield the codes that S3 and Azure give."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        about = response.get("Error") if isinstance(response, Mapping) else None
        for code in (
            about.get("Code") if isinstance(about, Mapping) else None,
            getattr(one, "error_code", None),
        ):
            if code is not None:
                yield str(getattr(code, "value", code))


def _statuses(error: BaseException) -> Iterator[int]:
    for one in _chain(error):
        response: Any = getattr(one, "response", None)
        if isinstance(response, Mapping):
            about = response.get("ResponseMetadata")
            response = about.get("HTTPStatusCode") if isinstance(about, Mapping) else None
        for status in (response, getattr(one, "status_code", None), getattr(one, "code", None)):
            if isinstance(status, int) and not isinstance(status, bool):
                yield int(status)
