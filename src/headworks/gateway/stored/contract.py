"""What others see of a stored response."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

PREFIX = "resp_"


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response that can be asked for again. `target` keeps it, or, where that is None, we do: `items` and `body`."""

    id: str
    target: str | None
    previous: str | None
    created_at: datetime
    expires_at: datetime
    items: tuple[msgspec.Raw, ...] = ()
    """The input items of its own request."""
    body: bytes = b""
    """The response as it was given."""
