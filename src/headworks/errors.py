"""The one exception tree. Each error has an HTTP status, a code and what to do next.

    HeadworksError
    ├── InvalidRequest          400  the caller's request is wrong
    │   ├── FixedByFeature      400  the caller set what the feature fixes
    │   ├── Unmapped            400  the target's format has no word for a field; names it
    │   ├── NotSupportedYet     400  a documented key or option that nothing honours yet
    │   ├── WorkspaceInvalid    400  a workspace file is wrong; names file and line
    │   ├── ModelUnpriced       400  nothing says what the model costs, and the server refuses such ones
    │   ├── UnstorableText      400  a text holds a NUL, or half a character, and can't be stored or looked for
    │   └── BodyTooLarge        413  more bytes than the limit
    ├── Unauthenticated         401  no key, or a key that is malformed, unknown, expired or revoked
    ├── Forbidden               403  the key is good, the right is missing
    ├── NotFound                404  no such thing, or none that the caller may see
    ├── Conflict                409  somebody moved it first
    │   └── LegalHold           409  a legal hold stands on what was to be removed
    ├── DocumentUnreadable      422  one document can't be parsed; the rest goes on
    ├── CeilingReached          402  work with a ceiling of its own may not spend what this might cost
    ├── Blocked                 422  a guardrail refused
    ├── UpstreamError           502  a provider failed
    │   ├── UpstreamRejected    as the provider said: its status, headers and body are passed on
    │   ├── UpstreamTruncated   502  an answer ended before its end
    │   ├── OutputInvalid       502  a model did not keep to the feature's output schema, also when asked again
    │   └── UpstreamTimeout     504  a deadline passed
    ├── Unavailable             503  something we need is away; says what still works
    │   ├── DatabaseUnavailable 503
    │   └── ModelMissing        503  built-in weights or a credential are not installed
    ├── SealBroken              500  a sealed value does not open: changed, moved, or its key is gone
    └── StartupRefused          exit status 2; the server or a command can't start, and why

Messages say what happened and where; `next_step` says what to do. Neither ever holds a secret, nor the text or the
name of a document that the caller may not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self


class HeadworksError(Exception):
    """Anything that Headworks itself reports to a user. Subclasses set the class attributes."""

    status: int = 500
    code: str = "internal_error"
    kind: str = "api_error"
    """OpenAI's `error.type`."""

    def __init__(
        self,
        message: str,
        *,
        next_step: str = "",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.param = param
        self.headers: Mapping[str, str] = headers or {}
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()

    def as_openai(self) -> dict[str, dict[str, str | None]]:
        """The body that OpenAI's clients understand, with all four keys."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}


class InvalidRequest(HeadworksError):
    """The caller's request is wrong; `param` names the field where there is one."""

    status = 400
    code = "invalid_request"
    kind = "invalid_request_error"


class FixedByFeature(InvalidRequest):
    """The caller set something that the feature fixes and does not `accept`."""

    code = "fixed_by_feature"


class Unmapped(InvalidRequest):
    """The target's format has no word for a field of the caller's; `param` names it."""

    code = "not_supported_by_target"


class NotSupportedYet(InvalidRequest):
    """A documented key or option that nothing honours yet: refused, never accepted and ignored."""

    code = "not_supported_yet"


class WorkspaceInvalid(InvalidRequest):
    """A workspace file is wrong. The message starts with `file:line:`."""

    code = "workspace_invalid"


class ModelUnpriced(InvalidRequest):
    """Nothing says what the model costs, and the server's `prices.unpriced` is `refuse`."""

    code = "model_unpriced"


class UnstorableText(InvalidRequest):
    """A text holds a NUL character or half a character, which the database neither keeps nor looks for."""

    code = "unstorable_text"

    @classmethod
    def found(cls, fields: Sequence[str] = ()) -> Self:
        """`fields`: where in the request such texts are, where that is known."""
        where = ", ".join(f"`{each}`" for each in fields)
        return cls(
            f"{f'{where}: a' if where else 'A'} text holds a NUL character (U+0000) or half a character (an unpaired "
            "surrogate).",
            next_step="Send it without: such a text can be neither stored nor looked for.",
            param=fields[0] if len(fields) == 1 else None,
        )


class BodyTooLarge(InvalidRequest):
    """The body has more bytes than the limit."""

    status = 413
    code = "body_too_large"


class Unauthenticated(HeadworksError):
    """No key, or one that is malformed, unknown, expired or revoked."""

    status = 401
    code = "invalid_api_key"
    kind = "authentication_error"


class Forbidden(HeadworksError):
    """The key is good, but the right is missing; the message names the permission."""

    status = 403
    code = "permission_denied"
    kind = "permission_error"


class NotFound(HeadworksError):
    """No such thing, or none that the caller may see: the two read the same."""

    status = 404
    code = "not_found"
    kind = "invalid_request_error"


class Conflict(HeadworksError):
    """Somebody changed it first, or the name is taken."""

    status = 409
    code = "conflict"
    kind = "invalid_request_error"


class LegalHold(Conflict):
    """A legal hold stands on it: nothing of it is purged or erased until somebody releases the hold."""

    code = "legal_hold"


class DocumentUnreadable(HeadworksError):
    """One document can't be parsed. `code` names the failure, e.g. `needs_ocr`, `encrypted`, `empty`, `too_large`."""

    status = 422
    code = "document_unreadable"
    kind = "invalid_request_error"


class CeilingReached(HeadworksError):
    """Work with a ceiling of its own may not spend what a call might cost: the call is not made."""

    status = 402
    code = "ceiling_reached"
    kind = "invalid_request_error"


class Blocked(HeadworksError):
    """A guardrail refused; the message names the rule, never the text."""

    status = 422
    code = "guardrail_blocked"
    kind = "invalid_request_error"


class UpstreamError(HeadworksError):
    """A provider could not be reached or answered something that is no answer."""

    status = 502
    code = "upstream_error"
    is_resent = False
    """Whether the request went out twice: a kept connection had swallowed the first."""


class UpstreamRejected(UpstreamError):
    """A provider answered with an error status: passed on with its own status, headers and body."""

    code = "upstream_rejected"

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str], failure: str | None = None) -> None:
        super().__init__(f"The provider answered with status {status}.", headers=headers)
        self.status = status
        self.body = body
        self.failure = failure
        """A types.failing.FailureClass, to be given where `body` is not in the provider's own words."""


class UpstreamTruncated(UpstreamError):
    """An answer ended before its end; what was received is not to be taken for the whole."""

    code = "stream_truncated"


class OutputInvalid(UpstreamError):
    """A model did not keep to the feature's output schema, also when asked again. The message names the places."""

    code = "output_invalid"


class UpstreamTimeout(UpstreamError):
    """A deadline passed: the message names which (connect, first byte, idle, total)."""

    status = 504
    code = "upstream_timeout"


class Unavailable(HeadworksError):
    """Something that this request needs is away."""

    status = 503
    code = "unavailable"


class DatabaseUnavailable(Unavailable):
    """PostgreSQL can't be reached; requests to plain routes go on for `stale_max_s`."""

    code = "database_unavailable"


class ModelMissing(Unavailable):
    """Built-in weights are not installed, or a provider has no credential."""

    code = "model_missing"


class SealBroken(HeadworksError):
    """A sealed value does not open: it was changed, lies elsewhere than it was sealed for, or its key is gone."""

    code = "seal_broken"


class StartupRefused(HeadworksError):
    """The server or a command can't start; printed as `error: …` with exit status 2."""

    status = 503
    code = "startup_refused"
