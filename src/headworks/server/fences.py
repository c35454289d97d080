"""What stands around every handler of the control plane: security headers, and an answer whatever breaks inside."""

from __future__ import annotations

import logging

from headworks.errors import BodyTooLarge
from headworks.server.contract import Handler, Message, Receive, Scope, Send
from headworks.server.refusals import too_large, unexpected

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
            b"require-trusted-types-for 'script'"
        ),
    ),
)
"""On every answer of the control plane and the console; answers of `/v1/*` are never rendered by a browser."""

_NOT_STORED = (b"cache-control", b"no-store")
_log = logging.getLogger(__name__)


def secured(handler: Handler) -> Handler:
    """The handler with our security headers on its answer, which nobody stores unless it says so itself."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *SECURITY_HEADERS]
                if not any(name.lower() == _NOT_STORED[0] for name, _ in headers):
                    headers.append(_NOT_STORED)
                message["headers"] = headers
            await send(message)

        await handler(scope, receive, send_secured)

    return handle


def fenced(handler: Handler) -> Handler:
    """The handler, asked for GET where HEAD came (the HTTP server drops the body); what it did not expect is logged."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        noted = _Noted(send)
        try:
            await handler(scope, receive, noted.send)
        except Exception:  # noqa: BLE001 -- the last line of defence: logged, and answered without details
            # The route's template, not the path: a path may hold a claim link's secret.
            _log.exception("%s %s failed unexpectedly", scope["method"], getattr(scope.get("route"), "path", "?"))
            if not noted.has_started:
                await unexpected()(scope, receive, send)
        if noted.is_replaced:
            await too_large()(scope, receive, send)

    return handle


class _Noted:
    """What a handler has sent. The framework's own words about a large body are held back: they are not our shape."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_started = False
        self.is_replaced = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = next((value for name, value in message.get("headers", ()) if name.lower() == b"content-type"), b"")
            self.is_replaced = message["status"] == BodyTooLarge.status and kind.startswith(b"text/plain")
            self.has_started = True
        if not self.is_replaced:
            await self._send(message)
