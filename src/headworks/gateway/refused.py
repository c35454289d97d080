"""What a caller is told where a provider refuses what is no attempt at an answer: a count, a stored response."""

from __future__ import annotations

from collections.abc import Mapping

from headworks.errors import HeadworksError, UpstreamError
from headworks.formats.contract import Spoken
from headworks.formats.converse.format import Converse
from headworks.formats.neutral import Failed
from headworks.gateway.dialects import Dialect
from headworks.gateway.translation import rejected

_REFUSED_US = 401


def refusal(
    target: str, dialect: Dialect, spoken: Spoken, status: int, headers: Mapping[str, str], body: bytes
) -> HeadworksError:
    """The provider's own words in the caller's format; ours where it refuses our credential, or says nothing."""
    if status == _REFUSED_US:
        return UpstreamError(
            f"The provider of `{target}` refused the server's credential (401).",
            next_step="Whoever runs this server must correct the provider's key; yours is fine.",
            code="upstream_unauthorized",
        )
    failed = _read(spoken, status, headers, body)
    if failed is not None:
        return rejected(dialect, failed, status, headers)
    return UpstreamError(
        f"The provider of `{target}` answered with status {status}, and no error in its format.",
        next_step="Check the provider's address and status.",
        headers=headers,
    )


def _read(spoken: Spoken, status: int, headers: Mapping[str, str], body: bytes) -> Failed | None:
    if isinstance(spoken, Converse):  # the kind of its errors stands in a header
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return spoken.read_error(status, body, pairs)
    return spoken.read_error(status, body)
