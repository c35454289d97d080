"""Which headers go through: the provider's that clients act on, and the caller's that providers act on."""

from __future__ import annotations

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]

_FROM_PROVIDER = frozenset((b"content-type", b"retry-after", b"retry-after-ms", b"x-request-id", b"x-should-retry"))
_FROM_PROVIDER_STARTING = (b"x-ratelimit-", b"openai-")
FROM_CALLER = frozenset((b"idempotency-key", b"traceparent", b"tracestate", b"openai-beta"))


def passed_on(headers: list[Header], *, with_type: bool = True) -> Headers:
    """The provider's headers for the caller, as they came; without its content type where the answer is ours."""
    return tuple(
        [
            each
            for each in headers
            if (each[0] in _FROM_PROVIDER or each[0].startswith(_FROM_PROVIDER_STARTING))
            and (with_type or each[0] != b"content-type")
        ]
    )
