"""What others see of a stored response."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

PREFIX = "resp_"


class Making(msgspec.Struct, frozen=True):
    """How a response of ours came to be: the model as the caller wrote it, the permission that took, what was read.

    Who may not read all of these documents any more may not read the response either: it may quote them.
    """

    model: str = ""
    permission: str = ""
    documents: tuple[UUID, ...] = ()


NOBODY = Making()


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item that a later request names. `target` keeps it, or, where that is None, we do: `said`."""

    id: str
    response: str
    target: str | None
    said: msgspec.Raw
    making: Making = NOBODY


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
    making: Making = NOBODY
    """Of what a provider keeps, only the documents."""
