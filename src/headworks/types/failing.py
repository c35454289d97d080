"""What a route says about failing: which failures lead elsewhere, how often and how long it is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

FailureWord = Literal[
    "rate_limit", "server_error", "timeout", "invalid_answer", "auth", "no_model", "context_window", "content_policy"
]
"""The classes that a route may name:

    rate_limit      too many requests for now; also when the quota or the credit is used up
    server_error    the provider failed, is overloaded, or can't be reached
    timeout         a deadline passed, ours or the provider's
    invalid_answer  what came was no answer, nothing, or cut off before it had said anything
    auth            the provider refused the server's credential, or what the account may do
    no_model        the provider does not have the model, or the server does not have its weights or its key
    context_window  the request is too long for the model
    content_policy  the provider's rules forbid the content
"""

FailureClass = FailureWord | Literal["quota", "caller", "unfit"]
"""Also `quota` (a route treats it as `rate_limit`, but the same target is never tried again), `caller` (the request is
wrong, and wrong everywhere) and `unfit` (we found that the request can't be put to this target)."""

Step = Literal["next", "off"]
"""`next`: the next of the route's targets is asked; `off`: the caller gets the error."""

USUAL_STEPS: Final[Mapping[FailureWord, Step]] = {
    "rate_limit": "next",
    "server_error": "next",
    "timeout": "next",
    "invalid_answer": "next",
    "auth": "next",
    "no_model": "next",
    "context_window": "off",
    "content_policy": "off",
}
"""What a route does that says nothing: the caller learns of what is about the request itself."""


@dataclass(frozen=True, slots=True)
class Retries:
    """Further tries of the same target: `most` of them, after a random pause of up to `base_s`, doubled each time.

    `most_s` is the longest pause, also where the provider asks for one. None by default: clients retry by themselves,
    usually twice, and retries behind retries multiply the load on a provider that is failing.
    """

    most: int = 0
    base_s: float = 0.5
    most_s: float = 8.0


@dataclass(frozen=True, slots=True)
class RouteDeadlines:
    """How long a route waits, in seconds, instead of what `gateway.deadlines` says; None: as there.

    `first_token_s` until the answer has begun to say something: for an answer in one piece, until its headers end.
    """

    connect_s: float | None = None
    first_token_s: float | None = None
    idle_s: float | None = None
    total_s: float | None = None
