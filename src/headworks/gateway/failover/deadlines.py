"""How long an attempt may take: the server's deadlines, with a route's own in their place."""

from __future__ import annotations

from headworks.providers.http1 import Deadlines
from headworks.types.failing import RouteDeadlines


def deadlines_of(route: RouteDeadlines, server: Deadlines) -> Deadlines:
    """What the connection keeps. `first_token_s` bounds the headers too; the rest of it is for who reads the stream."""
    return Deadlines(
        connect_s=_own(route.connect_s, server.connect_s),
        first_byte_s=_own(route.first_token_s, server.first_byte_s),
        idle_s=_own(route.idle_s, server.idle_s),
        total_s=_own(route.total_s, server.total_s),
    )


def _own(given: float | None, usual: float) -> float:
    return usual if given is None else given
