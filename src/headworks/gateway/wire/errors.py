"""What goes with an error in HTTP; its body and its event are the dialect's."""

from __future__ import annotations

from headworks.errors import HeadworksError
from headworks.gateway.wire.headers import Header, passed_on

_JSON = (b"content-type", b"application/json")


class Unexpected(HeadworksError):
    """A fault of ours. The log has the details; the caller gets the trace."""

    code = "internal_error"


def headers_of(error: HeadworksError) -> list[Header]:
    """The headers: what a provider said about trying again goes through."""
    given = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in error.headers.items()
    ]
    kept = [each for each in given if each[0] == b"www-authenticate"]
    return [_JSON, *passed_on(given, with_type=False), *kept]
