"""When something is due: time spans, and cron's five fields in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.types.schedules import parse_duration, parse_schedule

MONDAY = datetime(2026, 11, 23, 2, 38, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1_800), ("6h", 21_600), ("90d", 7_776_000), ("2w", 1_209_600), (" 10 S ", 10)]
)
def test_a_time_span_is_a_number_of_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds
    assert parse_schedule(text.strip().replace(" ", "")).next_after(MONDAY) == MONDAY + timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "6", "h", "0h", "-1h", "1.5h", "6 hours", "9999999999d", "６h"])
def test_what_is_no_time_span_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a time span"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        ("* * * * *", "2026-11-23T02:39"),
        ("*/15 * * * *", "2026-11-23T02:45"),
        ("0 3 * * *", "2026-11-23T03:00"),
        ("0 2 * * *", "2026-11-24T02:00"),
        ("30 8 * * mon-fri", "2026-11-23T08:30"),
        ("0 0 * * 0", "2026-11-29T00:00"),
        ("0 0 * * 7", "2026-11-29T00:00"),
        ("0 0 1 * *", "2026-12-01T00:00"),
        ("0 0 29 feb *", "2028-02-29T00:00"),
        ("0 12 1,15 1-3 *", "2027-01-01T12:00"),
        ("0 0 13 * fri", "2026-11-27T00:00"),
        ("5/20 2 * * *", "2026-11-23T02:45"),
    ],
)
def test_cron_names_the_next_time_in_utc(cron: str, due: str) -> None:
    assert parse_schedule(cron).next_after(MONDAY) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 3 * *", "five fields"),
        ("60 3 * * *", "no minute"),
        ("0 24 * * *", "no hour"),
        ("0 0 0 * *", "no day"),
        ("0 0 * 13 *", "no month"),
        ("0 0 * * mond", "no weekday"),
        ("5-3 * * * *", "5 comes after 3"),
        ("*/0 * * * *", "after `/` stands a number"),
        ("*/x * * * *", "after `/` stands a number"),
        ("0 0 30 2 *", "never comes true"),
        ("², * * * *", "no minute"),
    ],
)
def test_what_is_wrong_with_cron_is_said(cron: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_schedule(cron)


_field = st.sampled_from(["*", "*/2", "*/7", "1", "3,5", "2-6"])


@given(st.tuples(_field, _field, _field, _field, _field), st.integers(0, 4_000_000_000))
def test_the_next_time_lies_ahead_and_fits_every_field(fields: tuple[str, ...], epoch_s: int) -> None:
    schedule, moment = parse_schedule(" ".join(fields)), datetime.fromtimestamp(epoch_s, UTC)
    due = schedule.next_after(moment)
    assert due > moment
    assert due.minute in schedule.minutes
    assert due.hour in schedule.hours
    assert due.month in schedule.months
    fits = (due.day in schedule.days, due.isoweekday() % 7 in schedule.weekdays)
    assert any(fits) if schedule.is_either_day else all(fits)
    assert due == schedule.next_after(due - timedelta(seconds=1)), "nothing lies between"


@given(st.text(max_size=40))
def test_any_text_is_a_schedule_or_a_sentence(text: str) -> None:
    try:
        schedule = parse_schedule(text)
    except ValueError:
        return
    assert schedule.next_after(MONDAY) > MONDAY
