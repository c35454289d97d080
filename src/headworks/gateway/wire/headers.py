"""Which headers go through: the provider's that clients act on, and the caller's that providers act on."""

from __future__ import annotations

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]

_FROM_PROVIDER = frozenset(
    (
        b"apim-request-id",
        b"content-type",
        b"request-id",
        b"retry-after",
        b"retry-after-ms",
        b"x-ms-region",
        b"x-request-id",
        b"x-should-retry",
    )
)
_MOST_DECISIONS = 1000
_FROM_PROVIDER_STARTING = (b"x-ratelimit-", b"openai-", b"anthropic-ratelimit-", b"anthropic-organization")
FROM_CALLER = frozenset(
    (b"idempotency-key", b"traceparent", b"tracestate", b"openai-beta", b"anthropic-beta", b"anthropic-version")
)


def passed_on(headers: list[Header], *, with_type: bool = True) -> Headers:
    """The provider's headers for the caller, as they came; without its content type where the answer is ours."""
    goes_on = _GOES_ON
    try:
        passed = [each for each in headers if goes_on[each[0]]]
    except KeyError:
        passed = [each for each in headers if _decide(each[0])]
    if not with_type:
        passed = [each for each in passed if each[0] != b"content-type"]
    return tuple(passed)


_GOES_ON: dict[bytes, bool] = {}
"""Whether a provider's header goes on, by its name: those that were seen before."""


def _decide(name: bytes) -> bool:
    goes_on = name in _FROM_PROVIDER or name.startswith(_FROM_PROVIDER_STARTING)
    if len(_GOES_ON) < _MOST_DECISIONS:
        _GOES_ON[name] = goes_on
    return goes_on
