"""The ASGI application: raw handlers of the request path in front, everything else behind FastAPI."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI

from headworks import __version__
from headworks.errors import HeadworksError
from headworks.server.contract import AtOnce, Handler, HotRoutes, Receive, Scope, Send
from headworks.server.fences import fenced, secured
from headworks.server.refusals import MAX_BODY_MB, install_refusals, wrong_method

_log = logging.getLogger(__name__)


class Server:
    """One dictionary look-up decides: the request path, or the control plane."""

    def __init__(
        self,
        hot: HotRoutes,
        prefixes: Mapping[tuple[str, str], Handler],
        control: FastAPI,
        lifespan: Callable[[], Any],
        at_once: Mapping[bytes, AtOnce] | None = None,
    ) -> None:
        """`prefixes` are hot handlers by (method, path prefix ending in `/`); `lifespan` an async context manager.

        `at_once` serve a POST that has arrived whole by its path, where the HTTP protocol can do that; `hot` has the
        same paths.
        """
        self.at_once: Mapping[bytes, AtOnce] = at_once or {}
        self._hot = dict(hot)
        self._prefixes = dict(prefixes)
        self._control = secured(fenced(control))
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
        return secured(wrong_method(method, path, allowed)) if allowed else self._control

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
        except Exception as error:  # noqa: BLE001 -- whatever it is, the process ends now
            await send({"type": "lifespan.shutdown.failed", "message": _reason(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def control_plane(
    routers: Iterable[APIRouter], document: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> FastAPI:
    """FastAPI with every domain's routes and our error shape. `document` adds the hot ones to its document."""
    app = FastAPI(
        title="Headworks",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
        max_body_size=MAX_BODY_MB << 20,
    )
    for router in routers:
        app.include_router(router)
    install_refusals(app)
    if document is not None:
        _document(app, document)
    return app


def _document(app: FastAPI, document: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Let the whole document be made when it is first asked for."""
    own, whole = app.openapi, None

    def openapi() -> dict[str, Any]:
        nonlocal whole
        if whole is None:
            whole = document(own())
        return whole

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation says to extend it


def _reason(error: Exception) -> str:
    """In words where it is ours; else its traceback is in the log."""
    if isinstance(error, HeadworksError):
        return str(error)
    _log.error("the worker failed while it started or ended", exc_info=error)
    return f"{type(error).__name__}, whose traceback is logged above."
