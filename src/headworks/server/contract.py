"""ASGI, as the front of the server speaks it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
HotRoutes = Mapping[tuple[str, str], Handler]
"""By method and path."""
AtOnce = Callable[[Any], None]
"""Serves a POST that has arrived whole, given its http_cycles.ShortCycle; it never raises."""
