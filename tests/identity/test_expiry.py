from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.identity.expiry import parse_expiry

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", NOW + timedelta(seconds=90)),
        ("15m", NOW + timedelta(minutes=15)),
        ("12 h", NOW + timedelta(hours=12)),
        (" 30d ", NOW + timedelta(days=30)),
        ("4w", NOW + timedelta(weeks=4)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:30:00", datetime(2027, 1, 31, 12, 30, tzinfo=UTC)),
        ("2027-01-31T12:30:00Z", datetime(2027, 1, 31, 12, 30, tzinfo=UTC)),
        ("2027-01-31T12:30:00+02:00", datetime(2027, 1, 31, 10, 30, tzinfo=UTC)),
    ],
)
def test_a_span_and_a_moment_are_understood(text: str, meant: datetime) -> None:
    moment = parse_expiry(text, NOW)
    assert moment == meant
    assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "30",
        "30 days",
        "-30d",
        "1.5h",
        "2027-13-01",
        "31.01.2027",
        "999999999w",
        "٣٠d",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_what_is_no_expiry_is_answered_with_examples(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_expiry(text, NOW)
    assert "is no expiry" in caught.value.message
    assert "30d" in caught.value.next_step
    assert caught.value.param == "expires"


@pytest.mark.parametrize("text", ["0s", "2026-11-22", "2026-11-22T12:00:00Z", "1999-01-01"])
def test_an_expiry_that_is_not_in_the_future_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="not in the future"):
        parse_expiry(text, NOW)


@given(st.text(max_size=40))
def test_any_text_is_a_later_moment_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert parse_expiry(text, NOW) > NOW
