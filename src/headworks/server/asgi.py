"""The ASGI application: raw handlers of the request path in front, everything else behind FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from headworks import __version__
from headworks.errors import HeadworksError, InvalidRequest, NotFound

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
HotRoutes = Mapping[tuple[str, str], Handler]

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
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
            handler = self._hot.get((scope["method"], scope["path"]))
            if handler is not None:
                await handler(scope, receive, send)
            else:
                await self._others(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _others(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        for (method, prefix), handler in self._prefixes.items():
            if scope["method"] == method and path.startswith(prefix):
                await handler(scope, receive, send)
                return

        async def secured(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
            await send(message)

        await self._control(scope, receive, secured)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start and stop what the application needs."""
        await receive()
        context = self._lifespan()
        try:
            await context.__aenter__()
        except HeadworksError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await context.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


def control_plane(routers: Mapping[str, APIRouter]) -> FastAPI:
    """FastAPI with every domain's routes and our error shape."""
    app = FastAPI(
        title="Headworks",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    for router in routers.values():
        app.include_router(router)
    app.add_exception_handler(HeadworksError, _own_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    return app


async def _own_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadworksError)  # noqa: S101 -- registered for this class
    return JSONResponse(error.as_openai(), error.status, dict(error.headers))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """The first wrong field, in words; the caller's value is never repeated."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this class
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path", "header"})
    own = InvalidRequest(f"`{where or 'body'}`: {first['msg']}.", param=where or None)
    return JSONResponse(own.as_openai(), own.status)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this class
    if error.status_code == NotFound.status:
        own: HeadworksError = NotFound(
            f"There is nothing at {request.method} {request.url.path}.",
            next_step="The addresses are listed in /api/openapi.json.",
        )
        return JSONResponse(own.as_openai(), own.status)
    own = InvalidRequest(f"{error.detail}: {request.method} {request.url.path}.")
    return JSONResponse(own.as_openai(), error.status_code, dict(error.headers or {}))
