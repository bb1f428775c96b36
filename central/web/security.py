"""What keeps a page to itself: where it may listen, and the headers of every answer."""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

MAP_POLICY = CONTENT_SECURITY_POLICY.replace(
    "img-src 'self'", "img-src 'self' data: blob:; worker-src 'self'"
)
"""The map's library draws its own pictures and works in a worker of this site."""

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With "no-referrer" a browser sends "Origin: null" with every form: no form could be ours.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""Host headers that are answered: anything else may be a name rebound to this machine."""


class BindError(ValueError):
    """An address on which pages without TLS must not listen: passwords would go in clear."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"without a certificate the pages listen on this machine only: {host!r} is not "
            "loopback ([http] certificate and private_key open it)"
        )
        self.host = host


def check_bind(host: str, *, has_tls: bool = False) -> str:
    """Return ``host`` if the pages may listen there; raises BindError.

    Without TLS that is a loopback address or ``localhost``.
    """
    if host == "localhost" or has_tls:
        return host
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise BindError(host)
    return host


MAX_BODY_BYTES = 1_000_000
"""Of any request; a block list of ten thousand numbers is 150 kB."""


class BodyLimit:
    """Refuses a request whose body is too long, by its word and by what really comes."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        claimed = Headers(scope=scope).get("content-length", "0")
        if not claimed.isdecimal() or int(claimed) > self._limit:
            await self._refuse(scope, receive, send)
            return
        came = 0
        pieces: list[Message] = []
        while scope["method"] not in {"GET", "HEAD"}:  # the whole body first: it is small
            message = await receive()
            pieces.append(message)
            came += len(message.get("body", b""))
            if came > self._limit:
                await self._refuse(scope, receive, send)
                return
            if message["type"] != "http.request" or not message.get("more_body", False):
                break

        async def receive_again() -> Message:
            return pieces.pop(0) if pieces else await receive()

        await self._app(scope, receive_again, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"a request has at most {self._limit} bytes"
        await PlainTextResponse(detail, 413, headers={"connection": "close"})(scope, receive, send)


class SecurityHeaders:
    """Adds the headers to every answer, streams included; nothing but static files is kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_encrypted = scope["scheme"] == "https"
        may_keep = scope["path"].startswith("/static/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if is_encrypted:
                    headers["strict-transport-security"] = "max-age=31536000"
                if scope["path"] == "/map":
                    headers["content-security-policy"] = MAP_POLICY
                headers["cache-control"] = "no-cache" if may_keep else "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)
