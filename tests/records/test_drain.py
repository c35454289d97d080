from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headworks.records.drain import Drain, append, append_all_good, replay, store, store_all_good
from headworks.records.journal import Journal
from headworks.records.lines import span_line, split, usage_line
from headworks.records.service import Records
from headworks.storage.pool import Database
from headworks.storage.queries import load
from headworks.types.ids import new_id
from headworks.types.records import Span, UsageRow

Superuser = psycopg.Connection[tuple[object, ...]]
ARRIVED = datetime(2026, 5, 28, 20, 26, 40, 123456, UTC)
"""In a month that has no partition."""


def row(**given: object) -> UsageRow:
    values: dict[str, object] = {
        "tenant_id": UUID(int=7),
        "arrived_at": ARRIVED,
        "request_id": new_id(),
        "trace_id": new_id(),
        "surface": "chat",
        "purpose": "answer",
        "asked_model": "openai/gpt-5-mini",
        "status": 200,
        "total_us": 1234,
    }
    return UsageRow(**(values | given))  # type: ignore[arg-type] -- fields by name


def span(trace: UUID, **given: object) -> Span:
    values: dict[str, object] = {
        "tenant_id": UUID(int=7),
        "arrived_at": ARRIVED,
        "trace_id": trace,
        "span_id": new_id(),
        "name": "retrieve",
        "started_at": ARRIVED,
        "duration_us": 500,
    }
    return Span(**(values | given))  # type: ignore[arg-type] -- fields by name


def count(superuser: Superuser, table: str) -> int:
    query = {"usage": "SELECT count(*) FROM usage", "span": "SELECT count(*) FROM span"}[table]
    (found,) = superuser.execute(query).fetchone() or (0,)
    assert isinstance(found, int)
    return found


async def test_a_usage_row_and_its_spans_arrive_whole(database: Database, as_superuser: Superuser) -> None:
    trace = new_id()
    usage = row(trace_id=trace, input_tokens=7, cost_micro_usd=12, end_user="tab\there \\ and\nnewline", streamed=True)
    stage = span(
        trace, attributes={"k": 6, "text": 'quote " and \\ and \n'}, documents=[UUID(int=1)], payload=b"\0\xff"
    )
    await store(database, [usage_line(usage) + span_line(stage)])
    stored = as_superuser.execute(
        "SELECT end_user, cost_micro_usd, streamed, input_tokens, feature FROM usage"
    ).fetchone()
    assert stored == ("tab\there \\ and\nnewline", 12, True, 7, None)
    assert as_superuser.execute("SELECT attributes, documents, payload, duration_us FROM span").fetchone() == (
        {"k": 6, "text": 'quote " and \\ and \n'},
        [UUID(int=1)],
        b"\0\xff",
        500,
    )


COUNTS = {
    "cache_write_tokens": 31,
    "cache_write_1h_tokens": 32,
    "reasoning_tokens": 33,
    "audio_input_tokens": 34,
    "audio_output_tokens": 35,
}


@pytest.mark.parametrize("tier", ["priority", "fl\tex", "x" * 2000, None])
async def test_every_count_lands_in_its_own_column_in_both_forms_of_a_line(
    database: Database, as_superuser: Superuser, tier: str | None
) -> None:
    await store(database, [usage_line(row(**COUNTS, upstream_us=9, service_tier=tier, continuations=2))])
    found = as_superuser.execute(
        "SELECT cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, "
        "upstream_us, service_tier, continuations FROM usage"
    ).fetchone()
    assert found == (31, 32, 33, 34, 35, 9, tier and tier[:512], 2)


def test_the_stage_table_has_the_fields_of_a_row_in_their_order() -> None:
    stage = load("headworks.records")["stage_usage"]
    columns = re.findall(r"(\w+) (?:uuid|timestamptz|text|smallint|boolean|integer|bigint)", str(stage))
    assert tuple(columns) == UsageRow.__struct_fields__


def test_lines_are_appended_in_the_order_of_a_row() -> None:
    listed = re.search(r"\((tenant_id.*?)\)", load("headworks.records")["append_usage"], re.DOTALL)
    assert listed is not None
    assert tuple(listed[1].replace("\n", " ").replace(" ", "").split(",")) == UsageRow.__struct_fields__


@pytest.mark.parametrize("tier", ["priority", "fl\tex"])
async def test_what_is_new_is_appended_to_its_month_as_it_would_be_stored(
    database: Database, as_superuser: Superuser, tier: str
) -> None:
    trace, now = new_id(), datetime.now(UTC)
    values = {"arrived_at": now, "trace_id": trace, "service_tier": tier, **COUNTS}
    stage = span(trace, arrived_at=now, attributes={"k": 6}, documents=[UUID(int=1)], payload=b"\0\xff")
    appended, stored = usage_line(row(**values)) + span_line(stage), usage_line(row(**values))
    await append(database, [appended])
    await store(database, [stored, appended])  # appending is not repeated; storing may be
    found = as_superuser.execute("SELECT tableoid::regclass::text, to_jsonb(u) - 'request_id' FROM usage u").fetchall()
    assert len(found) == 2
    assert found[0] == found[1]
    assert found[0][0] == f"usage_{now:%Y_%m}"
    assert as_superuser.execute("SELECT attributes, documents, payload FROM span").fetchall() == [
        ({"k": 6}, [UUID(int=1)], b"\0\xff")
    ]


async def test_an_append_whose_end_nobody_heard_of_doubles_nothing(
    database: Database, as_superuser: Superuser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unheard(db: Database, records: Sequence[bytes]) -> None:
        await append(db, records)
        raise psycopg.OperationalError("the connection was lost")

    journal = Journal(tmp_path)
    records = Records(journal)
    drain = Drain(database, records, batch_s=0.01)
    monkeypatch.setattr("headworks.records.drain.append", unheard)
    records.write(row(arrived_at=datetime.now(UTC)))
    with pytest.raises(psycopg.OperationalError):
        await drain.copy()
    records.write(row(arrived_at=datetime.now(UTC)))
    await drain.copy()
    assert count(as_superuser, "usage") == 2
    assert journal.backlog_bytes == 0
    journal.close()


@pytest.mark.parametrize("bad", [b"usecret-that-is-no-row\n", b'u"' + b"0" * 36 + b'","2026-05-secret\n'])
async def test_among_new_records_one_that_is_no_row_does_not_hold_up_the_others(
    database: Database, as_superuser: Superuser, caplog: pytest.LogCaptureFixture, bad: bytes
) -> None:
    good = [usage_line(row(arrived_at=datetime.now(UTC))) for _ in range(9)]
    await append_all_good(database, [*good[:5], bad, *good[5:]])
    assert count(as_superuser, "usage") == 9
    assert "is no row and is left out" in caplog.text
    assert "secret" not in caplog.text


async def test_copying_again_changes_nothing(database: Database, as_superuser: Superuser) -> None:
    records = [usage_line(row()) + span_line(span(new_id())) for _ in range(20)]
    await store(database, records)
    await store(database, records + records)
    assert (count(as_superuser, "usage"), count(as_superuser, "span")) == (20, 20)


async def test_one_record_that_is_no_row_does_not_hold_up_the_others(
    database: Database, as_superuser: Superuser, caplog: pytest.LogCaptureFixture
) -> None:
    good = [usage_line(row()) for _ in range(9)]
    await store_all_good(database, [*good[:5], b"usecret-that-is-no-row\n", *good[5:]])
    assert count(as_superuser, "usage") == 9
    assert "is no row and is left out" in caplog.text
    assert "secret" not in caplog.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
async def test_any_text_of_a_caller_is_stored(database: Database, as_superuser: Superuser, texts: list[str]) -> None:
    rows = [row(asked_model=text, end_user=text) for text in texts]
    await store(database, [usage_line(each) for each in rows])
    for each in rows:
        found = as_superuser.execute("SELECT end_user FROM usage WHERE request_id = %s", [each.request_id]).fetchone()
        assert found == (str(each.end_user).encode("utf-8", "replace").decode().replace("\0", ""),)


def test_lines_are_told_apart_and_lose_their_mark() -> None:
    trace = new_id()
    odd = usage_line(row(end_user="a\tb"))
    records = [usage_line(row()) + span_line(span(trace)) + span_line(span(trace)), odd, usage_line(row())]
    assert list(split(records)) == ["2026-05"]
    batch = split(records)["2026-05"]
    assert (batch.usage.count(b"\n"), batch.odd_usage.count(b"\n"), batch.spans.count(b"\n")) == (2, 1, 2)
    assert batch.usage.startswith(f'"{UUID(int=7)}",'.encode())
    assert batch.odd_usage.startswith(str(UUID(int=7)).encode())


@given(st.datetimes(timezones=st.just(UTC)), st.text(max_size=20), st.none() | st.integers(0, 2**31 - 1))
def test_a_usage_line_is_one_line_whichever_its_form(arrived_at: datetime, text: str, tokens: int | None) -> None:
    line = usage_line(row(arrived_at=arrived_at, asked_model=text, input_tokens=tokens))
    assert list(split([line, span_line(span(new_id(), arrived_at=arrived_at))])) == [arrived_at.isoformat()[:7]]
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert (line[:1] == b"u") == (b"\\" not in line and b"\t" not in line)


async def test_the_drain_copies_what_was_written_and_lets_the_journal_go(
    database: Database, as_superuser: Superuser, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    records = Records(journal)
    drain = Drain(database, records, batch_s=0.01)
    for _ in range(50):
        records.write(row())
    await drain.copy()
    assert count(as_superuser, "usage") == 50
    assert journal.backlog_bytes == 0
    await drain.stop()
    journal.close()
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


async def test_what_is_found_out_later_joins_its_trace(
    database: Database, as_superuser: Superuser, tmp_path: Path
) -> None:
    records = Records(Journal(tmp_path))
    trace = new_id()
    records.write(row(trace_id=trace), [span(trace)])
    records.add([])
    records.add([span(trace, name="judge")])
    await Drain(database, records, 60).copy()
    assert (count(as_superuser, "usage"), count(as_superuser, "span")) == (1, 2)


async def test_the_drain_reads_from_the_journal_what_memory_did_not_keep(
    database: Database, as_superuser: Superuser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headworks.records.service.MOST_RECENT", 10)
    journal = Journal(tmp_path)
    records = Records(journal)
    drain = Drain(database, records, batch_s=0.01)
    for size in (25, 3):
        for _ in range(size):
            records.write(row())
        await drain.copy()
    assert count(as_superuser, "usage") == 28
    assert journal.backlog_bytes == 0
    journal.close()


async def test_what_failed_to_be_copied_is_copied_later(
    database: Database, as_superuser: Superuser, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    records = Records(journal)
    drain = Drain(database, records, batch_s=0.01)
    as_superuser.execute("REVOKE INSERT ON usage FROM hw_ingest")
    records.write(row())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await drain.copy()
    as_superuser.execute("GRANT INSERT ON usage TO hw_ingest")
    records.write(row())
    await drain.copy()
    assert count(as_superuser, "usage") == 2
    journal.close()


async def test_in_the_background_all_is_copied_also_what_failed_when_nothing_comes_after_it(
    database: Database, as_superuser: Superuser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path)
    records = Records(journal)
    drain = Drain(database, records, batch_s=0.01)
    drain.start()
    for number in (1, 2):
        records.write(row())
        await until(lambda number=number: count(as_superuser, "usage") == number)
    as_superuser.execute("REVOKE INSERT ON usage FROM hw_ingest")
    records.write(row())
    await until(lambda: "records wait in the journal" in caplog.text)
    as_superuser.execute("GRANT INSERT ON usage TO hw_ingest")
    await until(lambda: count(as_superuser, "usage") == 3)
    records.gather(row())
    await until(lambda: count(as_superuser, "usage") == 4)
    await drain.stop()
    journal.close()


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not what():
            await asyncio.sleep(0.01)


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
sys.path[:0] = [sys.argv[2]]
from headworks.records.journal import Journal
from headworks.records.service import Records
from headworks.types.ids import new_id
from headworks.types.records import UsageRow
records = Records(Journal(Path(sys.argv[1])))
while True:
    request = new_id()
    records.write(UsageRow(UUID(int=7), datetime.now(UTC), request, request, "chat", "answer", "m"))
    print(request, flush=True)
"""


async def test_what_a_killed_worker_acknowledged_is_replayed_once(
    database: Database, as_superuser: Superuser, tmp_path: Path
) -> None:
    source = str(Path(__file__).parents[2] / "src")
    worker = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), source], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    acknowledged = [worker.stdout.readline().strip() for _ in range(200)]
    os.kill(worker.pid, signal.SIGKILL)
    acknowledged += [line.strip() for line in worker.stdout if line.endswith("\n")]
    worker.wait()
    worker.stdout.close()
    assert await replay(database, tmp_path) >= len(acknowledged)
    assert await replay(database, tmp_path) == 0
    stored = {str(value) for (value,) in as_superuser.execute("SELECT request_id FROM usage").fetchall()}
    assert set(acknowledged) <= stored
