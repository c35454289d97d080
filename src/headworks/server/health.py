"""Whether this server lives, and whether it should be sent requests."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Response

OPEN = {"x-headworks": {"permission": None, "audit": None, "rate": "health"}}


def router(is_ready: Callable[[], str | None]) -> APIRouter:
    """`is_ready` gives None, or what is missing."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez", openapi_extra=OPEN)
    async def livez() -> dict[str, str]:
        """The event loop turns."""
        return {"status": "alive"}

    @routes.get("/readyz", openapi_extra=OPEN)
    async def readyz(response: Response) -> dict[str, str]:
        """Requests may come; 503 with the reason while they should go elsewhere."""
        missing = is_ready()
        if missing is None:
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "not ready", "reason": missing}

    return routes
