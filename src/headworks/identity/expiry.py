"""When a key ends: a moment in ISO 8601, or how long from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from headworks.errors import InvalidRequest

_SPAN = re.compile(r"([0-9]{1,9})\s?([smhdw])", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_expiry(text: str, now: datetime) -> datetime:
    """The moment (UTC) that `2027-01-31`, `2027-01-31T12:00:00+01:00`, `30d` or `12h` means; without a zone it is UTC.

    Raises InvalidRequest for what is no such text, or not in the future.
    """
    try:
        moment = _moment(text.strip(), now)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{text[:40]!r} is no expiry.",
            next_step="Give ISO 8601 (2027-01-31, 2027-01-31T12:00:00Z) or a span from now (90s, 15m, 12h, 30d, 4w).",
            param="expires",
        ) from None
    if moment <= now:
        raise InvalidRequest(
            f"The expiry {moment.isoformat()} is not in the future.", next_step="Give a later one.", param="expires"
        )
    return moment


def _moment(text: str, now: datetime) -> datetime:
    if span := _SPAN.fullmatch(text):
        return now + timedelta(seconds=int(span[1]) * _UNIT_S[span[2]])
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
