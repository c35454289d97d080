"""The ASGI application: raw handlers of the request path in front, everything else behind FastAPI."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from headworks import __version__
from headworks.errors import HeadworksError, InvalidRequest, NotFound

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
HotRoutes = Mapping[tuple[str, str], Handler]

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            b"font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
            b"require-trusted-types-for 'script'"
        ),
    ),
)
"""On every answer of the control plane and the console; answers of `/v1/*` are never rendered by a browser."""

_NOT_ALLOWED = 405
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_OWN_FAULT = 500
_NOT_STORED = (b"cache-control", b"no-store")
_log = logging.getLogger(__name__)


class Server:
    """One dictionary look-up decides: the request path, or the control plane."""

    def __init__(
        self,
        hot: HotRoutes,
        prefixes: Mapping[tuple[str, str], Handler],
        control: FastAPI,
        lifespan: Callable[[], Any],
    ) -> None:
        """`prefixes` are hot handlers by (method, path prefix ending in `/`); `lifespan` an async context manager."""
        self._hot = dict(hot)
        self._prefixes = dict(prefixes)
        self._control = control
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            handler = self._hot.get((scope["method"], scope["path"])) or self._other(scope)
            await handler(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def _other(self, scope: Scope) -> Handler:
        """Who answers what is not a hot path by its letters."""
        method, path = scope["method"], scope["path"]
        if method == "HEAD" and (read := self._hot.get(("GET", path))):
            return read
        for (known, prefix), handler in self._prefixes.items():
            if method == known and path.startswith(prefix):
                return handler
        allowed = sorted(known for known, hot in self._hot if hot == path)
        return secured(_not_allowed(allowed) if allowed else fenced(self._control))

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start and stop what the application needs. A failure is told to the server, which ends the process."""
        await receive()
        context = self._lifespan()
        try:
            await context.__aenter__()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the start has failed
            await send({"type": "lifespan.startup.failed", "message": _reason(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await context.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the rest of the end goes on
            await send({"type": "lifespan.shutdown.failed", "message": _reason(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


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
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await handler(scope, receive, send_noted)
        except Exception:  # noqa: BLE001 -- the last line of defence: logged, and answered without details
            # The route's template, not the path: a path may hold a claim link's secret.
            _log.exception("%s %s failed unexpectedly", scope["method"], getattr(scope.get("route"), "path", "?"))
            if not started:
                await _answer(_unexpected())(scope, receive, send)

    return handle


def control_plane(routers: Mapping[str, APIRouter]) -> FastAPI:
    """FastAPI with every domain's routes and our error shape."""
    app = FastAPI(
        title="Headworks",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
    )
    for router in routers.values():
        app.include_router(router)
    app.add_exception_handler(HeadworksError, _own_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _any_error)
    return app


def _answer(error: HeadworksError) -> JSONResponse:
    return JSONResponse(error.as_openai(), error.status, dict(error.headers))


def _unexpected() -> HeadworksError:
    return HeadworksError("Something went wrong in the server.", next_step="Its log says what.")


def _not_allowed(allowed: list[str]) -> Handler:
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await _method_error(scope["method"], scope["path"], allowed)(scope, receive, send)

    return handle


def _method_error(method: str, path: str, allowed: list[str]) -> JSONResponse:
    error = InvalidRequest(
        f"{path} does not answer {method}.", next_step=f"Ask with {' or '.join(allowed)}.", code="method_not_allowed"
    )
    return JSONResponse(error.as_openai(), _NOT_ALLOWED, {"allow": ", ".join(allowed)})


async def _own_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadworksError)  # noqa: S101 -- registered for this class
    if error.status == _OWN_FAULT:
        _log.error("%s: %s", type(error).__name__, error)
    return _answer(error)


async def _any_error(_: Request, error: Exception) -> JSONResponse:
    """The caller learns nothing of it; `fenced` logs it."""
    del error
    return _answer(_unexpected())


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """The first wrong field, in words; the caller's value is never repeated."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this class
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path", "header"})
    return _answer(InvalidRequest(f"`{where or 'body'}`: {first['msg']}.", param=where or None))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this class
    method, path = request.method, request.url.path
    own: HeadworksError = InvalidRequest(f"{error.detail}: {method} {path}.")
    if error.status_code == NotFound.status:
        own = NotFound(
            f"There is nothing at {method} {path}.", next_step="The addresses are listed in /api/openapi.json."
        )
    elif error.status_code == _NOT_ALLOWED:
        allowed = [each for each in _METHODS if _is_answered(request, each)]
        return _method_error(method, path, allowed)
    return JSONResponse(own.as_openai(), error.status_code, dict(error.headers or {}))


def _is_answered(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)


def _reason(error: Exception) -> str:
    """In words where it is ours; else with its traceback in the log."""
    if isinstance(error, HeadworksError):
        return str(error)
    _log.error("the worker failed while it started or ended", exc_info=error)
    return f"{type(error).__name__}, whose traceback is logged above."
