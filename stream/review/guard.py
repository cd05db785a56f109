"""Who may ask the server what: only the browser that was given the address, only from our page.

Other users of the machine reach the loopback too, and any site that the browser visits can send
requests there. So every request needs the cookie that the token in the address was exchanged for;
the Host must be ours (DNS rebinding); what changes something must come from our own page.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.review.ticket import Ticket

MAX_BODY_BYTES = 16 << 10
METHODS = frozenset({"GET", "HEAD", "POST"})
POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        "media-src blob:",  # the page hands the film to the browser piece by piece
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_ENTERED = """<!doctype html>
<title>Review</title>
<link rel="icon" href="/static/icon.svg">
<meta http-equiv="refresh" content="0; url=/">
"""
_CLOSED = "Open the address that `stream review` printed."


class Secrets:
    """What opens the page.

    Parameters
    ----------
    ticket : works once

    Attributes
    ----------
    token : in the printed address; it can be used again
    cookie : what both are exchanged for
    """

    def __init__(self, ticket: Ticket) -> None:
        self.token, self.cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._ticket = ticket

    def opens(self, given: str) -> bool:
        """Say whether this is the token, or the ticket for the first time."""
        same = secrets.compare_digest(given.encode(), self.token.encode())
        return same or self._ticket.opens(given)


class Guard:
    """Lets through what may pass; stands before the application.

    Parameters
    ----------
    app : what answers
    held : what opens the page
    port : of the server
    """

    def __init__(self, app: ASGIApp, held: Secrets, port: int) -> None:
        self._app, self._held = app, held
        self._host = f"127.0.0.1:{port}"
        self._cookie = f"sonostream-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        request = Request(scope, receive)
        answer = self._exchange(request) or self._refuse(request)
        await (answer or self._app)(scope, receive, send_guarded)

    def _exchange(self, request: Request) -> Response | None:
        """Give the cookie for the token, and an address without it.

        A page of ours goes there: after a redirect the browser would still take the local page
        that it began from for another site, and keep the cookie back.
        """
        given = request.query_params.get("token")
        fits = request.method == "GET" and request.url.path == "/" and self._is_ours(request)
        if given is None or not fits or not self._held.opens(given):
            return None
        answer = HTMLResponse(_ENTERED)
        answer.set_cookie(self._cookie, self._held.cookie, httponly=True, samesite="strict")
        return answer

    def _refuse(self, request: Request) -> Response | None:
        if not self._is_ours(request):
            return PlainTextResponse("Unknown host.", 421)
        if request.method not in METHODS:
            return PlainTextResponse("Method not allowed.", 405, {"Allow": "GET, HEAD, POST"})
        given = request.cookies.get(self._cookie, "")
        if not secrets.compare_digest(given.encode(), self._held.cookie.encode()):
            return PlainTextResponse(_CLOSED, 403)
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("From another site.", 403)
        return self._refuse_change(request) if request.method == "POST" else None

    def _refuse_change(self, request: Request) -> Response | None:
        """Refuse a change that another site may have sent, or that is too large."""
        headers = request.headers
        if headers.get("origin") != f"http://{self._host}":
            return PlainTextResponse("From another site.", 403)
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return PlainTextResponse("From another site.", 403)
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return PlainTextResponse("Expected application/json.", 415)
        return None

    def _is_ours(self, request: Request) -> bool:
        return request.headers.getlist("host") == [self._host]


async def read_body(request: Request) -> bytes | None:
    """Return the body of a request, or None when it is larger than `MAX_BODY_BYTES`."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return None
    return body
