"""Errors as OpenAI's clients understand them: an HTTP answer before the first event, an event after it."""

from __future__ import annotations

import msgspec

from headworks.errors import HeadworksError, UpstreamRejected
from headworks.gateway.wire.headers import Header, passed_on

_JSON = (b"content-type", b"application/json")


class Unexpected(HeadworksError):
    """A fault of ours. The log has the details; the caller gets the trace."""

    code = "internal_error"


def body_of(error: HeadworksError) -> bytes:
    """The JSON body: a provider's own words where it gave some, else ours with all four keys."""
    if isinstance(error, UpstreamRejected) and error.body:
        return error.body
    return msgspec.json.encode(error.as_openai())


def headers_of(error: HeadworksError) -> list[Header]:
    """The headers: what a provider said about trying again goes through."""
    given = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in error.headers.items()
    ]
    kept = [each for each in given if each[0] == b"www-authenticate"]
    return [_JSON, *passed_on(given, with_type=False), *kept]


def event_of(error: HeadworksError) -> bytes:
    """The event that ends a stream which can't go on; clients raise on it, and no `[DONE]` follows."""
    return b"data: " + b"".join(body_of(error).splitlines()) + b"\n\n"
