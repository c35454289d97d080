"""`POST /api/ask`: what `/v1/chat/completions` does, for the signed-in page. The session says who asks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from headworks.errors import HeadworksError
from headworks.identity.routes import Door
from headworks.server.asgi import Handler, Receive, Scope, Send, fenced, secured

SIGNED_IN = "headworks.principal"
"""Where the gateway finds a caller who was authenticated before it."""


def asking(door: Door, chat: Handler) -> Handler:
    """A handler in front of the gateway's own."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[SIGNED_IN] = await door.principal(Request(scope))
        except HeadworksError as error:
            await JSONResponse(error.as_openai(), error.status, dict(error.headers))(scope, receive, send)
            return
        await chat(scope, receive, send)

    return secured(fenced(handle))
