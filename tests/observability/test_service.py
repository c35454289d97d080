from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import psycopg
import pytest

from headworks.errors import Forbidden, NotFound
from headworks.observability.service import Traces
from headworks.records.drain import store
from headworks.records.lines import span_line, usage_line
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import new_id
from headworks.types.records import Span, UsageRow

MakePrincipal = Callable[..., Principal]
Superuser = psycopg.Connection[tuple[object, ...]]
AT = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)


@pytest.fixture
def traces(database: Database, keyring: Keyring) -> Traces:
    return Traces(database, keyring)


async def recorded(
    database: Database, keyring: Keyring, who: Principal, documents: list[UUID], *, at: datetime = AT
) -> UUID:
    """One request of somebody, with a span whose payload quotes these documents."""
    await keyring.ensure(database, who.tenant)
    trace, span = new_id(), new_id()
    usage = UsageRow(who.tenant, at, trace, trace, "chat", "answer", "assistant", principal_id=who.id, total_us=900)
    payload = keyring.seal(who.tenant, "span.payload", span, orjson.dumps({"answer": "canary-7"}))
    stage = Span(
        who.tenant, at, trace, span, "answer", at + timedelta(microseconds=500), principal_id=who.id, duration_us=400,
        attributes={"k": 6}, documents=documents, payload=payload,
    )  # fmt: skip
    first = Span(who.tenant, at, trace, new_id(), "guard input", at, principal_id=who.id, duration_us=100)
    await store(database, [usage_line(usage) + span_line(stage) + span_line(first)])
    return trace


def document(superuser: Superuser, who: Principal, readers: list[Principal]) -> UUID:
    """A document in a collection that the group may read; `readers` is its own list."""
    project, collection, made = new_id(), new_id(), new_id()
    run = superuser.execute
    run("INSERT INTO project (tenant_id, project_id, name) VALUES (%s, %s, %s)", [who.tenant, project, str(project)])
    run(
        "INSERT INTO collection (tenant_id, collection_id, project_id, name) VALUES (%s, %s, %s, %s)",
        [who.tenant, collection, project, str(collection)],
    )
    run(
        "INSERT INTO collection_reader (tenant_id, collection_id, principal_id) VALUES (%s, %s, %s)",
        [who.tenant, collection, who.id],
    )
    run(
        "INSERT INTO document (tenant_id, document_id, collection_id, source, path, title, media_type, content_hash, "
        "version, restricted, characters, handed_in_by) "
        "VALUES (%s, %s, %s, 'upload', 'a', 'A', 'text/plain', 'h', 1, true, 1, %s)",
        [who.tenant, made, collection, who.id],
    )
    for reader in readers:
        run(
            "INSERT INTO document_reader (tenant_id, document_id, principal_id) VALUES (%s, %s, %s)",
            [who.tenant, made, reader.id],
        )
    return made


async def test_a_trace_has_its_stages_in_order_with_offsets(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal
) -> None:
    who = make_principal(permissions=["trace:own"])
    view = await traces.show(who, await recorded(database, keyring, who, []))
    assert [(span.name, span.offset_us, span.duration_us) for span in view.spans] == [
        ("guard input", 0, 100),
        ("answer", 500, 400),
    ]
    assert view.spans[1].payload == {"answer": "canary-7"}
    assert view.usage["asked_model"] == "assistant"


async def test_a_trace_is_there_once_its_own_row_is_and_not_with_a_row_that_it_caused(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal
) -> None:
    who = make_principal(permissions=["trace:own"])
    await keyring.ensure(database, who.tenant)
    trace = new_id()
    caused = UsageRow(who.tenant, AT, new_id(), trace, "internal", "embed_query", "builtin/minilm", principal_id=who.id)
    await store(database, [usage_line(caused)])
    with pytest.raises(NotFound):
        await traces.show(who, trace)
    asked = UsageRow(who.tenant, AT, trace, trace, "chat", "answer", "assistant", principal_id=who.id)
    await store(database, [usage_line(asked)])
    view = await traces.show(who, trace)
    assert view.usage["asked_model"] == "assistant"
    assert [row["purpose"] for row in view.calls] == ["embed_query"]


async def test_somebody_elses_trace_reads_as_none_without_the_right_to_all(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal
) -> None:
    who = make_principal(permissions=["trace:own"])
    other = make_principal(tenant=who.tenant, permissions=["trace:own"])
    auditor = make_principal(tenant=who.tenant, permissions=["trace:read"])
    stranger = make_principal(permissions=["trace:read"])
    trace = await recorded(database, keyring, who, [])
    for blind in (other, stranger):
        with pytest.raises(NotFound, match=f"There is no trace {trace} that you may see"):
            await traces.show(blind, trace)
        assert await traces.tail(blind, hours=24 * 3650) == []
    assert (await traces.show(auditor, trace)).trace == trace
    assert len(await traces.tail(auditor, hours=24 * 3650)) == 1


async def test_a_payload_is_shown_only_to_who_may_read_all_that_it_quotes(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    who = make_principal(permissions=["trace:own"])
    auditor = make_principal(tenant=who.tenant, permissions=["trace:read"])
    readable = document(as_superuser, who, [who])
    trace = await recorded(database, keyring, who, [readable])
    assert (await traces.show(who, trace)).spans[1].payload == {"answer": "canary-7"}
    withheld = (await traces.show(auditor, trace)).spans[1]
    assert withheld.is_withheld
    assert withheld.payload is None
    assert "canary" not in repr(await traces.show(auditor, trace))


async def test_a_revoked_reader_loses_the_payload_of_his_own_trace_at_once(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    who = make_principal(permissions=["trace:own"])
    readable = document(as_superuser, who, [who])
    trace = await recorded(database, keyring, who, [readable])
    as_superuser.execute("DELETE FROM document_reader WHERE document_id = %s", [readable])
    assert (await traces.show(who, trace)).spans[1].payload is None


async def test_a_narrowed_key_does_not_see_what_its_wider_one_was_told(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal, as_superuser: Superuser
) -> None:
    group = make_principal(kind="group")
    who = make_principal(tenant=group.tenant, permissions=["trace:own"], groups=[group])
    narrow = make_principal(tenant=group.tenant, groups=[group], narrowed_to=[group])
    readable = document(as_superuser, who, [who])
    trace = await recorded(database, keyring, who, [readable])
    as_narrow = Principal(narrow.tenant, narrow.id, "n", "user", frozenset({"trace:read"}), key=narrow.key)
    assert (await traces.show(as_narrow, trace)).spans[1].is_withheld


async def test_what_a_provider_counted_in_detail_is_shown(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal
) -> None:
    who = make_principal(permissions=["trace:own"])
    await keyring.ensure(database, who.tenant)
    trace = new_id()
    counts = {"cache_write_tokens": 1, "cache_write_1h_tokens": 2, "reasoning_tokens": 3, "audio_output_tokens": 4}
    usage = UsageRow(
        who.tenant, AT, trace, trace, "chat", "answer", "m", principal_id=who.id, service_tier="flex", **counts
    )
    usage.continuations = 1
    await store(database, [usage_line(usage)])
    shown = counts | {"audio_input_tokens": None, "service_tier": "flex", "continuations": 1}
    assert (await traces.show(who, trace)).usage.items() >= shown.items()
    assert (await traces.tail(who, hours=24 * 3650))[0].items() >= shown.items()


async def test_the_newest_come_first_and_the_limit_holds(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal
) -> None:
    who = make_principal(permissions=["trace:own"])
    made = [await recorded(database, keyring, who, [], at=AT + timedelta(seconds=index)) for index in range(5)]
    rows = await traces.tail(who, most=3, hours=24 * 3650)
    assert [row["trace_id"] for row in rows] == made[:1:-1]
    assert rows[0]["principal"] == who.name


async def test_traces_need_a_right(
    database: Database, keyring: Keyring, traces: Traces, make_principal: MakePrincipal
) -> None:
    who = make_principal()
    with pytest.raises(Forbidden, match="trace:own"):
        await traces.tail(who)
