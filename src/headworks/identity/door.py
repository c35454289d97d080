"""Who stands before a route of the control plane: an API key in `Authorization`, or a browser's session cookie.

A cookie is sent by the browser whoever made the request, so what writes is taken from a cookie only when the browser
says that it comes from our own pages (Sec-Fetch-Site, or Origin). Cookies are `__Host-headworks` over https and
`headworks` over plain http on loopback; over plain http from elsewhere nobody is signed in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Request, Response

from headworks.errors import Forbidden, InvalidRequest
from headworks.identity.authority import allow
from headworks.identity.contract import WebSession
from headworks.identity.refusals import bearer_token, missing_key
from headworks.identity.service import Identity
from headworks.types.identity import Principal

SEEN_AS = "x-headworks-as"
"""The header that names whom one wants to see as; percent-encoded where a name is not ASCII."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

AuthenticateKey = Callable[[str], Awaitable[Principal]]
"""Who holds an API key now; raises Unauthenticated. From the worker's snapshots, given by app.py."""


@dataclass(frozen=True, slots=True)
class Door:
    """What `require` asks: who holds a key, who is signed in."""

    identity: Identity
    authenticate_key: AuthenticateKey

    async def principal(self, request: Request) -> Principal:
        """Who makes this request. Raises Unauthenticated, or Forbidden for a write from a foreign page."""
        if (header := request.headers.get("authorization")) is not None:
            return await self.authenticate_key(bearer_token(header))
        token = session_token(request)
        if token is None:
            raise missing_key()
        if request.method not in _READING:
            refuse_cross_site(request)
        return await self.identity.session(token)


def install(app: FastAPI, identity: Identity, authenticate_key: AuthenticateKey) -> None:
    """Put the door where `require` finds it."""
    app.state.door = Door(identity, authenticate_key)


def require(*permissions: str, or_as: bool = False) -> Any:  # noqa: ANN401 -- what FastAPI's Depends is
    """The caller as a dependency, who holds one of these permissions; without any, whoever is authenticated.

    `async def route(caller: Annotated[Principal, require("collection:read")])`. Raises Unauthenticated, Forbidden.
    `or_as`: a route that only shows what somebody may read. There who holds `reader:see_as` may name somebody in
    `x-headworks-as`, and asks as that one, with his permissions and readers; elsewhere the header is InvalidRequest.
    """

    async def authenticated(request: Request) -> Principal:
        door: Door = request.app.state.door
        principal = await door.principal(request)
        if (name := request.headers.get(SEEN_AS)) is not None:
            if not or_as:
                raise InvalidRequest(
                    "This can't be done as somebody else.",
                    next_step=f"`{SEEN_AS}` is for searching and opening documents; leave it out here.",
                    param=SEEN_AS,
                )
            principal = await door.identity.seen_as(principal, unquote(name), f"{request.method} {request.url.path}")
        if permissions:
            allow(principal, *permissions)
        return principal

    return Depends(authenticated)


def declare(permission: str | None, audit: str | None, rate: str = "control") -> dict[str, Any]:
    """The `openapi_extra` of a route: what it needs, the audit event it writes, and its rate class.

    `permission` None: open to all; `any`: whoever is authenticated; `a|b`: one of them.
    """
    return {"x-headworks": {"permission": permission, "audit": audit, "rate": rate}}


def session_token(request: Request) -> str | None:
    """The session that the browser sends, if it may be used on such a connection."""
    if request.url.scheme == "https":
        return request.cookies.get("__Host-headworks")
    return request.cookies.get("headworks") if _is_loopback(request) else None


def refuse_insecure(request: Request) -> None:
    """InvalidRequest over plain http from another machine."""
    if request.url.scheme != "https" and not _is_loopback(request):
        raise InvalidRequest(
            "Nobody can sign in over plain http from another machine: the session could be read on its way.",
            next_step="Open the link through https; the proxy must send X-Forwarded-Proto.",
            code="insecure_sign_in",
        )


def set_session(request: Request, response: Response, session: WebSession) -> None:
    """Have the browser keep the session, on a connection that `refuse_insecure` has passed."""
    is_secure = request.url.scheme == "https"
    response.set_cookie(
        "__Host-headworks" if is_secure else "headworks",
        session.token,
        expires=session.expires_at,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="lax",
    )


def clear_session(response: Response) -> None:
    """Have the browser forget the session."""
    response.delete_cookie("__Host-headworks", path="/", secure=True, httponly=True, samesite="lax")
    response.delete_cookie("headworks", path="/", httponly=True, samesite="lax")


def refuse_cross_site(request: Request, *, is_browser_sure: bool = True) -> None:
    """Forbidden unless the browser says that one of our own pages makes the request.

    Without `is_browser_sure` a request that says nothing of where it comes from passes: it is no browser's.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None and origin is None and not is_browser_sure:
        return
    ours = f"{request.url.scheme}://{request.url.netloc}"
    if site == "same-origin" or (site is None and origin == ours):
        return
    raise Forbidden(
        "A page of another site made this request in your name.",
        next_step="Do it from the console, or use an API key.",
        code="cross_site",
    )


def _is_loopback(request: Request) -> bool:
    host = request.url.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
