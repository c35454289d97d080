"""Why nobody could be authenticated: one error for each reason, with its code and what to do next."""

from __future__ import annotations

from datetime import UTC, datetime

from headworks.errors import Unauthenticated

_CHALLENGE = {"www-authenticate": 'Bearer realm="headworks"'}


def missing_key() -> Unauthenticated:
    """No key came with the request."""
    return Unauthenticated(
        "No API key was given.",
        next_step="Send it as `Authorization: Bearer hw_…`; `headworks key create` makes one.",
        code="missing_api_key",
        headers=_CHALLENGE,
    )


def malformed_key() -> Unauthenticated:
    """What came is no whole key: told by its shape and check alone."""
    return Unauthenticated(
        "The API key is malformed: a key of Headworks starts with `hw_` and has 75 characters.",
        next_step="Copy it again, whole and without quotes or blanks.",
        code="malformed_api_key",
        headers=_CHALLENGE,
    )


def invalid_key() -> Unauthenticated:
    """A whole key that this server does not know."""
    return Unauthenticated(
        "The API key is not known here.",
        next_step="Check that it was made on this server; `headworks key create` makes a new one.",
        code="invalid_api_key",
        headers=_CHALLENGE,
    )


def expired_key(expired_at: float) -> Unauthenticated:
    """A good key after its end (seconds since 1970)."""
    ended = datetime.fromtimestamp(expired_at, UTC).isoformat(timespec="seconds")
    return Unauthenticated(
        f"The API key expired at {ended}.",
        next_step="Make a new one with `headworks key create`.",
        code="expired_api_key",
        headers=_CHALLENGE,
    )


def revoked_key() -> Unauthenticated:
    """A good key that somebody took back."""
    return Unauthenticated(
        "The API key was revoked.",
        next_step="Ask whoever revoked it, or make a new one with `headworks key create`.",
        code="revoked_api_key",
        headers=_CHALLENGE,
    )


def disabled_principal() -> Unauthenticated:
    """A good key or session of somebody who is disabled."""
    return Unauthenticated(
        "The user or service account of this key is disabled.",
        next_step="An administrator can enable it again: `POST /api/principals/NAME/enable`.",
        code="revoked_api_key",
        headers=_CHALLENGE,
    )


def no_session() -> Unauthenticated:
    """A session that is unknown, ended or too long idle: the three read the same."""
    return Unauthenticated(
        "The session has ended.",
        next_step="Sign in with a new link: `headworks principal claim NAME` prints one.",
        code="session_ended",
        headers=_CHALLENGE,
    )


def claim_gone() -> Unauthenticated:
    """A claim link that is unknown, used or expired: the three read the same."""
    return Unauthenticated(
        "This sign-in link was used before, has expired, or is not from here.",
        next_step="Ask for a new one: `headworks principal claim NAME` prints it.",
        code="claim_gone",
    )


def bearer_token(header: str | None) -> str:
    """The key in an `Authorization` header, or Unauthenticated when there is none."""
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise missing_key()
    return token.strip()
