"""What comes out of the pipeline: an answer's head, then either relayed bytes or the parts of a feature's answer."""

from __future__ import annotations

import msgspec

from headworks.gateway.wire.headers import Headers
from headworks.types.models import Usage
from headworks.types.retrieval import Citation


class Whole(msgspec.Struct, frozen=True, gc=False):
    """A plain answer that is there at once: the provider's headers that go on, and its bytes."""

    headers: Headers
    body: bytes


class Head(msgspec.Struct, frozen=True, gc=False):
    """The first event of all others: an attempt has answered. `headers` are the provider's that go on to the caller."""

    headers: Headers = ()


class Relayed(msgspec.Struct, frozen=True, gc=False):
    """Bytes for the caller as they are; `is_last`: nothing follows, so it is sent once the record is written."""

    data: bytes
    is_last: bool = False


class Text(msgspec.Struct, frozen=True, gc=False):
    """A piece of a feature's answer."""

    text: str


class Cited(msgspec.Struct, frozen=True, gc=False):
    """A quote that was verified; it belongs to text that was given before."""

    citation: Citation


class Finished(msgspec.Struct, frozen=True, gc=False):
    """The end of a feature's answer, as the provider gave it: `reason` is never invented."""

    reason: str
    usage: Usage


Event = Head | Relayed | Text | Cited | Finished
