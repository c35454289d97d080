"""The machine of `isolation.py` finds leaks: each of these is one, planted where a slip of a hand would make it."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from headworks.evaluation.experiments.showing import Answers
from headworks.gateway.stored import store as stored_responses
from headworks.identity.service import Identity
from headworks.observability import service as observability
from headworks.retrieval import collections, finding
from headworks.retrieval.access import denials, sections
from headworks.retrieval.ingestion import parts
from headworks.retrieval.jobs import Runs
from headworks.retrieval.quoting import CitationStream
from headworks.retrieval.searching.search import Searcher
from headworks.retrieval.service import Retrieval
from headworks.review import store as judgements
from headworks.storage.pool import Database, DatabaseUrls

from .isolation import PEOPLES_RIGHTS
from .rounds import COMMON, machine
from .stage import Stage
from .test_tenant_isolation import stage

__all__ = ["stage"]

T = TypeVar("T")
Plant = Callable[[Stage, pytest.MonkeyPatch], None]


def _sql(*statements: str) -> Plant:
    """A leak in the database."""

    def plant(stage: Stage, _: pytest.MonkeyPatch) -> None:
        for statement in statements:
            stage.behind.execute(statement.encode())

    return plant


def _edited(function: str, *edits: tuple[str, str]) -> Plant:
    """A function or view of the database with a slip in it."""

    def plant(stage: Stage, _: pytest.MonkeyPatch) -> None:
        is_view = function == "acting_as"
        query = f"SELECT pg_get_viewdef('{function}'::regclass)" if is_view else (
            f"SELECT pg_get_functiondef('{function}'::regproc)"
        )  # fmt: skip
        (text,) = stage.behind.execute(query.encode()).fetchone() or ("",)
        if is_view:
            text = f"CREATE OR REPLACE VIEW {function} WITH (security_invoker = true) AS {text}"
        for before, after in edits:
            assert re.search(before, text), f"{function} has no {before} any more: {text}"
            text = re.sub(before, after, text)
        stage.behind.execute(text.encode())

    return plant


def _without(policy: str, table: str, *conditions: str) -> Plant:
    """A policy that forgets some of its conditions."""

    def plant(stage: Stage, _: pytest.MonkeyPatch) -> None:
        (text,) = stage.behind.execute(
            "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = %s AND polrelid = %s::regclass",
            [policy, table],
        ).fetchone() or ("",)
        for condition in conditions:
            assert re.search(condition, text), f"{policy} has no {condition} any more: {text}"
            text = re.sub(condition, "true", text, count=1)
        stage.behind.execute(f"ALTER POLICY {policy} ON {table} USING ({text})".encode())

    return plant


_VIEW = (
    "CREATE VIEW titles AS SELECT tenant_id, title FROM document",
    "GRANT SELECT ON titles TO hw_app",
)


def _settings_of_the_session(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set for the session instead of the transaction, and every tenth transaction forgets to set them."""
    whole = Database.tx
    count = itertools.count(1)

    def tx(self: Database, principal: Any, **options: Any) -> Any:
        made = whole(self, principal, **options)
        begin = made._begin.replace(b", true)", b", false)")
        is_asker = getattr(principal, "permissions", None) == PEOPLES_RIGHTS
        made._begin = b"BEGIN" if is_asker and next(count) % 10 == 0 else begin
        return made

    monkeypatch.setattr(Database, "tx", tx)


def _search_as_the_owner(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = DatabaseUrls(*[stage.behind.info.dsn] * 4)
    owner = stage.open(replace(urls, app=f"{urls.app} password={stage.behind.info.password}"))
    monkeypatch.setattr(stage.world.retrieval._searcher, "_db", owner)


def _answers_are_cached_by_the_question(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Searcher.search
    cache: dict[Any, Any] = {}

    async def search(self: Searcher, principal: Any, collection: str, query: str, k: int, **options: Any) -> Any:
        key = (principal.tenant, collection, query, k, options.get("ranking"))
        if key not in cache:
            cache[key] = await whole(self, principal, collection, query, k, **options)
        return cache[key]

    monkeypatch.setattr(Searcher, "search", search)


def _answers_are_cached_without_the_tenant(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever has the same name: both tenants have an Ann."""
    whole = Searcher.search
    cache: dict[Any, Any] = {}

    async def search(self: Searcher, principal: Any, collection: str, query: str, k: int, **options: Any) -> Any:
        key = (principal.name, collection, query, k, options.get("ranking"))
        if key not in cache:
            cache[key] = await whole(self, principal, collection, query, k, **options)
        return cache[key]

    monkeypatch.setattr(Searcher, "search", search)


def _citations_are_read_by_the_curator(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CitationStream._read_again

    async def read_again(self: CitationStream, candidates: Any) -> None:
        self._principal = await stage.world.identity.curator(self._principal.tenant)
        await whole(self, candidates)

    monkeypatch.setattr(CitationStream, "_read_again", read_again)


def _paths_are_found_by_the_curator(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finding.find_documents

    async def find(db: Database, principal: Any, collection: str, paths: Any) -> Any:
        return await whole(db, await stage.world.identity.curator(principal.tenant), collection, paths)

    monkeypatch.setattr(finding, "find_documents", find)


def _responses_are_given_whatever_they_quote(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def may_read(*_: Any) -> bool:
        return True

    monkeypatch.setattr(stored_responses, "may_read", may_read)


def _payloads_are_shown_whatever_they_quote(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {name: observability._SQL[name] for name in ("tail", "usage_of_trace", "spans_of_trace")}
    kind = whole["spans_of_trace"].replace("SELECT NOT EXISTS (", "SELECT true OR NOT EXISTS (")
    assert kind != whole["spans_of_trace"]
    monkeypatch.setattr(observability, "_SQL", whole | {"spans_of_trace": kind})


def _seeing_as_somebody_adds_what_one_may_read(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Identity.seen_as

    async def seen_as(self: Identity, principal: Any, name: str, request: str) -> Any:
        seen = await whole(self, principal, name, request)
        return replace(seen, id=principal.id)

    monkeypatch.setattr(Identity, "seen_as", seen_as)


def _denials_of_an_update_are_forgotten(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = denials.renew

    async def renew(*arguments: Any, given: Any = None) -> None:
        await whole(*arguments, given=given or [])

    monkeypatch.setattr(denials, "renew", renew)


def _the_text_of_a_section_stays_in_its_file(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def split(path: str, parsed: Any, rules: Any) -> Any:
        return parsed, sections.split(path, parsed, rules)[1]

    monkeypatch.setattr("headworks.retrieval.ingestion.working.split", split)


def _sections_have_the_readers_of_their_file(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parts.put

    async def put(tx: Any, curator: Any, payloads: Any, file: Any, section: Any) -> Any:
        document = await whole(tx, curator, payloads, file, section)
        (everyone,) = await tx.fetch_all("SELECT principal_id FROM principal WHERE name = 'everyone'")
        await collections.set_readers(tx, curator, [document], [everyone.principal_id])
        return document

    monkeypatch.setattr(parts, "put", put)


def _other_rules_hold_only_for_what_comes_later(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def recut(*_: Any) -> int:
        return 0

    monkeypatch.setattr(collections, "recut", recut)


def _logs_of_experiments_hide_nothing(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hidden(*_: Any) -> set[Any]:
        return set()

    monkeypatch.setattr(Answers, "_hidden", hidden)


def _judgements_are_shown_whatever_they_quote(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = judgements._SQL["list_judgements"].replace("SELECT NOT EXISTS (", "SELECT true OR NOT EXISTS (")
    assert kind != judgements._SQL["list_judgements"]
    monkeypatch.setattr(judgements, "_SQL", {**judgements._SQL, "list_judgements": kind})


def _opinions_are_read_before_ones_own(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headworks.review.judgements._sees_all", lambda _: True)


def _searches_are_logged(logger: str) -> Plant:
    def plant(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = Searcher.search

        async def search(self: Searcher, *arguments: Any, **options: Any) -> Any:
            found = await whole(self, *arguments, **options)
            logging.getLogger(logger).debug("found %s", found)
            return found

        monkeypatch.setattr(Searcher, "search", search)

    return plant


def _a_step_returns_what_it_has_read(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in, batch = Retrieval.hand_in, Runs._batch
    read: list[str] = []

    async def remembering(self: Retrieval, principal: Any, collection: str, file: Any, **options: Any) -> Any:
        read.append(file.data.decode())
        return await hand_in(self, principal, collection, file, **options)

    async def telling(self: Runs, tenant: str, collection: str) -> Any:
        return await batch(self, tenant, collection) and read

    monkeypatch.setattr(Retrieval, "hand_in", remembering)
    monkeypatch.setattr(Runs, "_batch", telling)


_SEES = (
    "of other tenants|sees other documents|sees rows of others|search by|enters what is closed|opens|counts|"
    "finds other|sees other headings|citation of|refused to|gets a stored response|payload for|what is judged|"
    "sees other judgements|was logged"
)

LEAKS: dict[str, tuple[Plant, str]] = {
    "a view of the superuser": (_sql(*_VIEW), _SEES),
    "a view of the owner without FORCE": (
        _sql(*_VIEW, "ALTER VIEW titles OWNER TO hw_owner", "ALTER TABLE document NO FORCE ROW LEVEL SECURITY"),
        _SEES,
    ),
    "a table without row-level security": (_sql("ALTER TABLE chunk DISABLE ROW LEVEL SECURITY"), _SEES),
    "a policy that is too kind": (
        _sql("CREATE POLICY helpful ON document_text FOR SELECT TO hw_app USING (true)"), _SEES
    ),
    "items that are open to the tenant": (
        _sql("CREATE POLICY open ON ingest_item FOR SELECT TO hw_app USING (tenant_id = (SELECT app_tenant()))"),
        _SEES,
    ),
    "own lists are ignored": (_without("readable", "document", r"NOT restricted"), _SEES),
    "tombstones are ignored": (_without("readable", "document", r"tombstoned_at IS NULL"), _SEES),
    "deny entries of documents are ignored": (_without("readable", "document", r"NOT has_denials"), _SEES),
    "deny entries of collections are ignored": (
        _without("readable", "collection_reader", r"collection_id <> ALL \(.*\)::uuid\[\]\)"), _SEES
    ),
    "a narrowed key reads as a whole one": (_edited("acting_as", (r"NOT \w+\.narrowed", "true")), _SEES),
    "a narrowed key escapes deny entries": (
        _edited("deniable_ids", (r"RETURN headworks\.app_principal\(\) \|\| ARRAY\([\s\S]*?\);",
                                 "RETURN headworks.acting_ids();")),
        _SEES,
    ),
    "deny entries hold only for the direct name": (
        _edited("deniable_ids", (r"RETURN headworks\.app_principal\(\) \|\| ARRAY\([\s\S]*?\);",
                                 "RETURN ARRAY[headworks.app_principal()];")),
        _SEES,
    ),
    "a revoked key reads on": (_edited("acting_as", (r"k\.revoked_at IS NULL", "true")), _SEES),
    "a disabled user reads on": (_edited("acting_as", (r"p\.disabled_at IS NULL", "true")), _SEES),
    "a disabled group admits": (_edited("acting_as", (r"m\.is_enabled", "true")), _SEES),
    "a disabled group no longer denies": (
        _edited("deniable_ids", (r"c\.principal_id = headworks\.app_principal\(\)",
                                 "c.principal_id = headworks.app_principal() AND c.is_enabled")),
        _SEES,
    ),
    "who leaves a group stays in the closure": (
        _edited("membership_changed", (r"TG_OP <> 'INSERT'", "false")), _SEES
    ),
    "the closure of the members below is not refreshed": (
        _edited("refresh_closure", (r"affected := ARRAY\([\s\S]*?FROM inside\);", "affected := ARRAY[changed];")), _SEES
    ),
    "settings of the session": (_settings_of_the_session, _SEES),
    "search as the owner": (_search_as_the_owner, _SEES),
    "answers are cached by the question": (_answers_are_cached_by_the_question, _SEES),
    "answers are cached without the tenant": (_answers_are_cached_without_the_tenant, "what another tenant has"),
    "citations are read by the curator": (_citations_are_read_by_the_curator, _SEES),
    "paths are found by the curator": (_paths_are_found_by_the_curator, _SEES),
    "stored responses are given whatever they quote": (
        _responses_are_given_whatever_they_quote, "gets a stored response"
    ),
    "payloads of traces are shown whatever they quote": (_payloads_are_shown_whatever_they_quote, "payload for"),
    "seeing as somebody adds one's own": (_seeing_as_somebody_adds_what_one_may_read, _SEES),
    "deny entries of an update are forgotten": (_denials_of_an_update_are_forgotten, _SEES),
    "the text of a section stays in its file": (_the_text_of_a_section_stays_in_its_file, _SEES),
    "sections have the readers of their file": (_sections_have_the_readers_of_their_file, _SEES),
    "a section does not ask for its file's list": (_without("readable", "document", r"part_of IS NULL"), _SEES),
    "old versions are for who reads the document": (
        _sql(
            "ALTER POLICY readable ON document_version USING (EXISTS (SELECT FROM document d "
            "WHERE d.tenant_id = document_version.tenant_id AND d.document_id = document_version.document_id))"
        ),
        _SEES,
    ),
    "old versions keep no lists": (_edited("keep_lists", (r"OLD\.restricted", "false")), _SEES),
    "everybody reads all of the tenant": (
        _sql("ALTER POLICY readable ON document USING (tenant_id = app_tenant() AND tombstoned_at IS NULL)"), _SEES
    ),
    "sections do not follow their file": (_sql("DROP TRIGGER parts_follow ON document"), _SEES),
    "logs of experiments hide nothing": (_logs_of_experiments_hide_nothing, "what is judged"),
    "judgements are shown whatever they quote": (_judgements_are_shown_whatever_they_quote, "what is judged"),
    "opinions are read before one's own": (_opinions_are_read_before_ones_own, "sees other judgements"),
    "searches are logged": (_searches_are_logged("headworks.retrieval"), "was logged"),
    "a driver logs what it reads": (_searches_are_logged("psycopg"), "was logged"),
    "a step returns what it has read": (_a_step_returns_what_it_has_read, "is kept by durable work"),
    "other rules hold only for what comes later": (
        _other_rules_hold_only_for_what_comes_later,
        f"{_SEES}|are not there",  # nor are the sections that the other rules keep apart
    ),
}  # fmt: skip


SLOW = {
    "a view of the owner without FORCE", "tombstones are ignored", "a revoked key reads on", "a disabled user reads on",
    "a disabled group admits", "a disabled group no longer denies", "who leaves a group stays in the closure",
    "settings of the session", "stored responses are given whatever they quote",
    "payloads of traces are shown whatever they quote", "deny entries of an update are forgotten",
    "a section does not ask for its file's list", "sections do not follow their file",
    "logs of experiments hide nothing", "opinions are read before one's own",
    "judgements are shown whatever they quote", "old versions are for who reads the document",
    "old versions keep no lists",
}  # fmt: skip
"""What shows only after some change that is not made in every example."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("leak", [pytest.param(leak, marks=[pytest.mark.long] * (leak in SLOW)) for leak in LEAKS])
def test_a_planted_leak_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch, leak: str) -> None:
    plant, message = LEAKS[leak]
    plant(stage, monkeypatch)
    quick = settings(
        max_examples=96, stateful_step_count=50, derandomize=True, phases=[Phase.generate],
        report_multiple_bugs=False, **COMMON,
    )  # fmt: skip
    _end_at_the_first_violation(stage, monkeypatch)
    with pytest.raises(Violation, match=message):
        run_state_machine_as_test(machine(stage), settings=quick)


class Violation(BaseException):
    """Nothing for Hypothesis, which would want to see it again: what depends on a lent connection may not come."""


def _end_at_the_first_violation(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stage.run

    def listening(coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return run(coroutine)
        except AssertionError as error:
            raise Violation(str(error) or repr(error)) from error

    monkeypatch.setattr(stage, "run", listening)


def test_a_view_of_the_owner_leaks_nothing_while_row_level_security_is_forced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sql(*_VIEW, "ALTER VIEW titles OWNER TO hw_owner")(stage, monkeypatch)
    run_state_machine_as_test(
        machine(stage), settings=settings(max_examples=2, stateful_step_count=6, derandomize=True, **COMMON)
    )
