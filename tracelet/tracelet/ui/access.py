"""Who may use the page: only this machine, or whoever has the token; and no other site by way of a browser.

A page of another site can make a browser send requests to a server on this machine, and a name that it controls can
resolve to 127.0.0.1. So the ``Host`` and ``Origin`` of each request are checked, and answers forbid whatever the page
does not need.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracelet.errors import UsageError

COOKIE: Final = "tracelet_token"
_LOCAL_NAMES: Final = ("localhost",)
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Access:
    """Where the page is served and who may see and change what.

    Raises :class:`UsageError` if other machines could reach it without a token.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    read_only: bool = False

    def __post_init__(self) -> None:
        if not self.token and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host}: expected a token, found none; other machines can reach this address, and whoever"
                " does would see every run. Set TRACELET_UI_TOKEN (or pass --token), or leave out --host to serve this"
                " machine only"
            )

    def allows_host(self, host: str) -> bool:
        """Return whether a request names a host that this server answers to."""
        name = _host_name(host)
        return bool(self.token) or name == self.host.lower() or is_loopback(name)

    def knows(self, given: str | None) -> bool:
        """Return whether a token is the right one; without a token, everybody is."""
        if not self.token:
            return True
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    name = host.strip("[]").lower()
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


class Guard:
    """ASGI middleware that refuses requests which :class:`Access` does not allow, and adds the headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._access.allows_host(host):
            return _plain(
                421, f"this server does not answer to the host {host!r}; open it as {self._access.host}"
            )
        if not _is_same_origin(headers, host):
            return _plain(403, "requests of other sites are refused")
        if scope["method"] not in ("GET", "HEAD") and self._access.read_only:
            return _plain(403, "this page is read-only: it was started with --read-only")
        return self._check_token(scope, headers)

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if "token" in query and self._access.token and self._access.knows(query["token"]):
            return _remember(scope, query)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer if scheme.lower() == "bearer" else _cookie(headers)
        if self._access.knows(given):
            return None
        return _plain(401, "expected the token: open the address that 'tracelet ui' printed")


def _is_same_origin(headers: Headers, host: str) -> bool:
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _remember(scope: Scope, query: dict[str, str]) -> Response:
    """Move the token from the address, which histories keep, into a cookie."""
    token = query.pop("token")
    rest = f"?{urlencode(query)}" if query else ""
    answer = RedirectResponse(scope["path"] + rest, status_code=303)
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
    return answer


def _cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found is not None else None


def _plain(status: int, text: str) -> Response:
    return PlainTextResponse(f"tracelet ui: {text}\n", status_code=status)


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: Any = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return wrapped
