"""`POST /api/ask`: what `/v1/chat/completions` does, for the signed-in page. The session says who asks."""

from __future__ import annotations

from starlette.requests import Request

from headworks.errors import HeadworksError
from headworks.identity.routes import Door
from headworks.server.contract import Handler, Receive, Scope, Send
from headworks.server.fences import fenced, secured
from headworks.server.refusals import answer

SIGNED_IN = "headworks.principal"
"""Where the gateway finds a caller who was authenticated before it."""


def asking(door: Door, chat: Handler) -> Handler:
    """A handler in front of the gateway's own."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[SIGNED_IN] = await door.principal(Request(scope))
        except HeadworksError as error:
            await answer(error)(scope, receive, send)
            return
        await chat(scope, receive, send)

    return secured(fenced(handle))
