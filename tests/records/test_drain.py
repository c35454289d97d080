from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from headworks.records.drain import Drain, append, append_all_good, replay, store, store_all_good
from headworks.records.journal import Journal
from headworks.records.lines import span_line, split, usage_line
from headworks.records.service import Records
from headworks.storage.partitions import ensure_partitions
from headworks.storage.pool import Database, DatabaseUrls, Tx, owner_connection
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
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
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


@pytest.mark.parametrize("bad", [b"[secret-that-is-no-row]\n", b'["' + b"0" * 36 + b'","2026-05-secret]\n'])
async def test_among_new_records_one_that_is_no_row_does_not_hold_up_the_others(
    database: Database, as_superuser: Superuser, caplog: pytest.LogCaptureFixture, bad: bytes
) -> None:
    good = [usage_line(row(arrived_at=datetime.now(UTC))) for _ in range(9)]
    await append_all_good(database, [*good[:5], bad, *good[5:]])
    assert count(as_superuser, "usage") == 9
    assert "is no row and is left out" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("how", [append_all_good, store_all_good])
async def test_of_requests_that_ended_together_one_that_is_no_row_is_left_out_alone(
    database: Database, as_superuser: Superuser, caplog: pytest.LogCaptureFixture, how: Callable[..., Any]
) -> None:
    now = datetime.now(UTC)
    good = [usage_line(row(arrived_at=now, end_user=text)) for text in ("a", "a\tb", "b", "c")]
    late = span_line(span(new_id(), arrived_at=now))
    bad = usage_line(row(arrived_at=now, surface=None))
    await how(database, [b"".join((*good[:3], late, bad, late, good[3])), late])
    assert (count(as_superuser, "usage"), count(as_superuser, "span")) == (4, 1)
    assert caplog.text.count("is no row and is left out") == 1


async def test_requests_of_two_months_that_ended_together_are_each_in_its_own(
    database: Database, as_superuser: Superuser
) -> None:
    now = datetime.now(UTC)
    rows = [row(arrived_at=now), row(), row(arrived_at=now)]
    await append_all_good(database, [b"".join(map(usage_line, rows))])
    assert (count(as_superuser, f"usage_{now:%Y_%m}"), count(as_superuser, "usage")) == (2, 3)


async def test_copying_again_changes_nothing(database: Database, as_superuser: Superuser) -> None:
    records = [usage_line(row()) + span_line(span(new_id())) for _ in range(20)]
    await store(database, records)
    await store(database, records + records)
    assert (count(as_superuser, "usage"), count(as_superuser, "span")) == (20, 20)


async def test_one_record_that_is_no_row_does_not_hold_up_the_others(
    database: Database, as_superuser: Superuser, caplog: pytest.LogCaptureFixture
) -> None:
    good = [usage_line(row()) for _ in range(9)]
    await store_all_good(database, [*good[:5], b"[secret-that-is-no-row]\n", *good[5:]])
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


def test_a_line_with_a_mark_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="a mark that nobody knows"):
        split([usage_line(row()), b"x and more\n"])


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
    assert (line[:1] == b"[") == (b"\\" not in line and b"\t" not in line)


@pytest.mark.parametrize("odd", ["", "a\tb"])
@pytest.mark.parametrize("how", [append_all_good, store_all_good])
async def test_a_number_that_no_column_holds_costs_no_record(
    database: Database, as_superuser: Superuser, how: Callable[..., Any], odd: str
) -> None:
    trace, now = new_id(), datetime.now(UTC)
    usage = row(
        arrived_at=now, trace_id=trace, end_user=odd or None, input_tokens=10**30, output_tokens=-(10**12),
        cost_micro_usd=10**20, total_us=3 * 3600 * 10**6,
    )  # fmt: skip
    stage = span(trace, arrived_at=now, input_tokens=2**31, cost_micro_usd=2**63)
    await how(database, [usage_line(row(arrived_at=now)), usage_line(usage) + span_line(stage)])
    assert count(as_superuser, "usage") == 2
    found = as_superuser.execute(
        "SELECT input_tokens, output_tokens, cost_micro_usd, total_us FROM usage WHERE trace_id = %s", [trace]
    ).fetchone()
    assert found == (2**31 - 1, -(2**31 - 1), 2**63 - 1, 3 * 3600 * 10**6)
    assert as_superuser.execute("SELECT input_tokens, cost_micro_usd, duration_us FROM span").fetchone() == (
        2**31 - 1,
        2**63 - 1,
        500,
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"says": r"a literal \u0000 and \\u0000"},
        {"says": "a \0 nul"},
        {"half": "a\ud800b", "\udfff": 1},
        {"long": 2**70, 7: "a number"},
        {"half": "\ud800", "nul": "\0", "literal": r"\u0000"},
    ],
)
async def test_odd_attributes_cost_no_span(
    database: Database, as_superuser: Superuser, attributes: dict[Any, Any]
) -> None:
    await store(database, [span_line(span(new_id(), attributes=attributes))])
    (kept,) = as_superuser.execute("SELECT attributes FROM span").fetchone() or ({},)
    assert isinstance(kept, dict)
    assert len(kept) == len(attributes)
    if "says" in attributes:
        assert kept["says"] == attributes["says"].replace("\0", "")


async def test_what_lacks_what_a_row_must_have_is_left_out(
    database: Database, as_superuser: Superuser, caplog: pytest.LogCaptureFixture
) -> None:
    bad = usage_line(row(surface=None))
    await append_all_good(database, [bad, usage_line(row(arrived_at=datetime.now(UTC)))])
    assert count(as_superuser, "usage") == 1
    assert "is no row and is left out: NotNullViolation" in caplog.text


async def test_where_nothing_may_be_appended_all_is_stored(database: Database, as_superuser: Superuser) -> None:
    now = datetime.now(UTC)
    as_superuser.execute(f"REVOKE INSERT ON usage_{now:%Y_%m} FROM hw_ingest")  # type: ignore[arg-type] # a month
    await append_all_good(database, [usage_line(row(arrived_at=now))])
    assert count(as_superuser, "usage") == 1


async def test_making_partitions_meanwhile_and_appending_wait_for_each_other(
    database: Database, database_urls: DatabaseUrls, as_superuser: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    copy_in = Tx.copy_in

    @asynccontextmanager
    async def slowly(self: Tx, statement: str) -> AsyncIterator[psycopg.AsyncCopy]:
        async with copy_in(self, statement) as copy:
            begun.set()
            await go_on.wait()
            yield copy

    monkeypatch.setattr(Tx, "copy_in", slowly)
    appending = asyncio.create_task(append(database, [usage_line(row(arrived_at=datetime.now(UTC)))]))
    await begun.wait()

    def make() -> list[str]:
        with owner_connection(database_urls) as connection:
            return ensure_partitions(connection, date(2041, 1, 1))

    making = asyncio.create_task(asyncio.to_thread(make))
    await until(lambda: is_waited_for(as_superuser))
    go_on.set()
    await appending
    assert len(await making) == 6
    assert count(as_superuser, "usage") == 1


def is_waited_for(superuser: Superuser) -> bool:
    return superuser.execute("SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'").rowcount > 0


async def test_nothing_ends_the_drain(
    database: Database, as_superuser: Superuser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    async def fails(*_: object) -> None:
        raise OSError(24, "Too many open files")

    journal = Journal(tmp_path)
    records = Records(journal)
    drain = Drain(database, records, batch_s=0.01)
    drain.start()
    with monkeypatch.context() as patch:
        patch.setattr("headworks.records.drain.append", fails)
        records.write(row())
        await until(lambda: "Too many open files" in caplog.text)
    await until(lambda: count(as_superuser, "usage") == 1)
    await drain.stop()
    journal.close()


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
    monkeypatch.setattr("headworks.records.service.MOST_RECENT_BYTES", 4000)
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
