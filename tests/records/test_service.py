"""A worker's records: written one by one or together, kept for the drain, and never half."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from headworks.errors import Unavailable
from headworks.records.journal import Journal, read_journal
from headworks.records.lines import requests, usage_line
from headworks.records.service import BATCH_BYTES, MOST_RECENT_BYTES, Records
from headworks.types.ids import new_id
from headworks.types.records import UsageRow


def row() -> UsageRow:
    request = new_id()
    return UsageRow(
        UUID(int=7), datetime(2026, 5, 28, tzinfo=UTC), request, request, "chat", "answer", "openai/gpt-5-mini", 200
    )


def stored(records: Records) -> list[bytes]:
    return [payload for _, payload in read_journal(records.journal.path)]


def test_what_is_gathered_is_written_by_the_next_flush_together_and_in_order(tmp_path: Path) -> None:
    records = Records(Journal(tmp_path))
    rows = [row() for _ in range(3)]
    for each in rows:
        records.gather(each)
    assert stored(records) == []
    records.flush()
    assert [requests(each) for each in stored(records)] == [[usage_line(each) for each in rows]]
    records.flush()
    assert len(stored(records)) == 1
    recent, position = records.take_recent()
    assert recent == stored(records)
    assert position == records.journal.position


def test_the_drain_takes_along_what_nobody_has_flushed(tmp_path: Path) -> None:
    records = Records(Journal(tmp_path))
    records.gather(row())
    recent, position = records.take_recent()
    assert recent == stored(records)
    assert len(recent) == 1
    assert position == records.journal.position


def test_what_cannot_be_written_is_kept_nowhere_and_later_records_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, rotate_bytes=1)
    records = Records(journal)
    records.write(row())
    aside = tmp_path / "aside"
    journal.path.rename(aside)
    records.gather(row())
    records.gather(row())
    with pytest.raises(Unavailable, match="could not be recorded"):
        records.flush()
    aside.rename(journal.path)
    records.gather(row())
    records.flush()
    recent, _ = records.take_recent()
    assert recent == stored(records)
    assert [len(requests(each)) for each in stored(records)] == [1, 1]


def test_who_answers_hears_that_the_drain_could_not_write(tmp_path: Path) -> None:
    journal = Journal(tmp_path, rotate_bytes=1)
    records = Records(journal)
    records.write(row())
    aside = tmp_path / "aside"
    journal.path.rename(aside)
    records.gather(row())
    for ask in (records.take_recent, records.flush):
        with pytest.raises(Unavailable, match="could not be recorded"):
            ask()
    aside.rename(journal.path)
    records.flush()
    assert len(stored(records)) == 1


def test_it_says_when_there_are_enough_for_a_batch_and_how_many_it_can_keep(tmp_path: Path) -> None:
    records = Records(Journal(tmp_path))
    size = len(usage_line(row()))
    for _ in range((BATCH_BYTES - 1) // size):
        records.gather(row())
    records.flush()
    assert not records.many.is_set()
    records.write(row())
    assert records.many.is_set()
    records.take_recent()
    assert not records.many.is_set()
    for _ in range(MOST_RECENT_BYTES // size + 1):
        records.gather(row())
    records.flush()
    records.write(row())
    recent, position = records.take_recent()
    assert recent is None
    assert position == records.journal.position
