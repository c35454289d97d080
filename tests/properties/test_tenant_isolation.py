"""No crossing between tenants, no reader no chunk: the machine of `isolation.py`, and leaks that it has to find."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test

from headworks.identity.roles import MEMBER
from headworks.retrieval.quoting import CitationStream
from headworks.retrieval.search import Searcher
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring

from .isolation import Isolation, Stage

_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "print_blob": False,
}


@pytest.fixture
def stage(database_urls: DatabaseUrls, keyring: Keyring) -> Iterator[Stage]:
    stage = Stage(database_urls, keyring)
    yield stage
    stage.close()


def _machine(stage: Stage) -> type[Isolation]:
    return type("IsolationHere", (Isolation,), {"stage": stage})


def test_nobody_ever_sees_what_the_model_does_not_say(stage: Stage) -> None:
    run_state_machine_as_test(
        _machine(stage), settings=settings(max_examples=8, stateful_step_count=14, derandomize=True, **_COMMON)
    )
    met = {"found", "hidden", "refused", "cited", "not cited", "payload shown", "payload withheld", "hung up"}
    assert {what for what, times in stage.tally.items() if times} == met, "a check that met nothing shows nothing"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nobody_ever_sees_what_the_model_does_not_say_for_long(stage: Stage) -> None:
    run_state_machine_as_test(_machine(stage), settings=settings(max_examples=150, stateful_step_count=30, **_COMMON))


# ── Planted leaks ──

Plant = Callable[[Stage, pytest.MonkeyPatch], None]
_WITHOUT_NARROWING = """
    CREATE OR REPLACE VIEW acting_as WITH (security_invoker = true) AS
        SELECT p.principal_id FROM principal p
         WHERE p.tenant_id = app_tenant() AND p.principal_id = app_principal() AND p.disabled_at IS NULL
        UNION ALL
        SELECT m.group_id FROM membership m WHERE m.tenant_id = app_tenant() AND m.principal_id = app_principal()
"""
_WITHOUT_REVOCATION = """
    CREATE OR REPLACE VIEW acting_as WITH (security_invoker = true) AS
        SELECT p.principal_id FROM principal p
         WHERE p.tenant_id = app_tenant() AND p.principal_id = app_principal() AND p.disabled_at IS NULL
           AND NOT coalesce((SELECT k.narrowed FROM api_key k WHERE k.key_id = app_key()), false)
        UNION ALL
        SELECT m.group_id FROM membership m WHERE m.tenant_id = app_tenant() AND m.principal_id = app_principal()
           AND (NOT coalesce((SELECT k.narrowed FROM api_key k WHERE k.key_id = app_key()), false)
                OR EXISTS (SELECT FROM api_key_group n WHERE n.key_id = app_key() AND n.group_id = m.group_id))
"""


def _view_of_the_superuser(stage: Stage, _: pytest.MonkeyPatch) -> None:
    stage.behind.execute("CREATE VIEW titles AS SELECT tenant_id, title FROM document")
    stage.behind.execute("GRANT SELECT ON titles TO hw_app")


def _view_of_the_owner_without_force(stage: Stage, _: pytest.MonkeyPatch) -> None:
    _view_of_the_owner(stage)
    stage.behind.execute("ALTER TABLE document NO FORCE ROW LEVEL SECURITY")


def _view_of_the_owner(stage: Stage) -> None:
    stage.behind.execute("CREATE VIEW titles AS SELECT tenant_id, title FROM document")
    stage.behind.execute("ALTER VIEW titles OWNER TO hw_owner")
    stage.behind.execute("GRANT SELECT ON titles TO hw_app")


def _table_without_row_level_security(stage: Stage, _: pytest.MonkeyPatch) -> None:
    stage.behind.execute("ALTER TABLE chunk DISABLE ROW LEVEL SECURITY")


def _policy_that_is_too_kind(stage: Stage, _: pytest.MonkeyPatch) -> None:
    stage.behind.execute("CREATE POLICY helpful ON document_text FOR SELECT TO hw_app USING (true)")


def _own_lists_are_ignored(stage: Stage, _: pytest.MonkeyPatch) -> None:
    stage.behind.execute(
        "ALTER POLICY readable ON document USING (tenant_id = (SELECT app_tenant()) AND ((SELECT is_curator()) "
        "OR (tombstoned_at IS NULL AND collection_id = ANY ((SELECT readable_collections())::uuid[]))))"
    )


def _tombstones_are_ignored(stage: Stage, _: pytest.MonkeyPatch) -> None:
    stage.behind.execute(
        "CREATE POLICY dead_too ON document FOR SELECT TO hw_app USING (tenant_id = (SELECT app_tenant()) "
        "AND tombstoned_at IS NOT NULL AND collection_id = ANY ((SELECT readable_collections())::uuid[]))"
    )


def _items_are_open_to_the_tenant(stage: Stage, _: pytest.MonkeyPatch) -> None:
    stage.behind.execute(
        "CREATE POLICY open ON ingest_item FOR SELECT TO hw_app USING (tenant_id = (SELECT app_tenant()))"
    )


def _narrowing_is_ignored(stage: Stage, _: pytest.MonkeyPatch) -> None:
    stage.behind.execute(_WITHOUT_NARROWING)


def _revocation_is_ignored(stage: Stage, _: pytest.MonkeyPatch) -> None:
    stage.behind.execute(_WITHOUT_REVOCATION)


def _settings_of_the_session(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set for the session instead of the transaction, and every tenth transaction forgets to set them."""
    whole = Database.tx
    count = itertools.count(1)

    def tx(self: Database, principal: Any, **options: Any) -> Any:
        made = whole(self, principal, **options)
        begin = made._begin.replace(b", true)", b", false)")
        is_asker = getattr(principal, "permissions", None) == MEMBER
        made._begin = b"BEGIN" if is_asker and next(count) % 10 == 0 else begin
        return made

    monkeypatch.setattr(Database, "tx", tx)


def _search_as_the_owner(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = DatabaseUrls(*[stage.behind.info.dsn] * 4)
    password = stage.behind.info.password
    owner = stage.open(replace(urls, app=f"{urls.app} password={password}"))
    monkeypatch.setattr(stage.world.retrieval._searcher, "_db", owner)


def _answers_are_cached_by_the_question(_: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Searcher.search
    cache: dict[Any, Any] = {}

    async def search(self: Searcher, principal: Any, collection: str, query: str, k: int, **options: Any) -> Any:
        key = (principal.tenant, collection, query)
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


_SEES = "sees rows of other tenants|sees other documents"


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (_view_of_the_superuser, "sees rows of other tenants: {'titles'"),
        (_view_of_the_owner_without_force, "sees rows of other tenants: {'titles'"),
        (_table_without_row_level_security, "sees rows of other tenants: {'chunk'"),
        (_policy_that_is_too_kind, "sees rows of other tenants: {'document_text'"),
        (_own_lists_are_ignored, "sees other documents|search by"),
        (_tombstones_are_ignored, "sees other documents"),
        (_items_are_open_to_the_tenant, "ingest_item"),
        (_narrowing_is_ignored, "sees other documents|search by|enters what is closed"),
        (_revocation_is_ignored, "sees other documents|search by|enters what is closed"),
        (_settings_of_the_session, _SEES),
        (_search_as_the_owner, "search by|enters what is closed"),
        (_answers_are_cached_by_the_question, "search by|enters what is closed"),
        (_citations_are_read_by_the_curator, "citation of"),
    ],
)
def test_a_planted_leak_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch, plant: Plant, message: str) -> None:
    plant(stage, monkeypatch)
    quick = settings(
        max_examples=40, stateful_step_count=20, derandomize=True, phases=[Phase.generate],
        report_multiple_bugs=False, **_COMMON,
    )  # fmt: skip
    assert re.search(message, _failure(stage, quick))


def _failure(stage: Stage, quick: settings) -> str:
    """What the machine says that is wrong; it may depend on which connection was lent, and so not come again."""
    try:
        run_state_machine_as_test(_machine(stage), settings=quick)
    except AssertionError as error:
        return str(error)
    except FlakyFailure as error:
        return " ".join(map(str, error.exceptions))
    return ""


def test_a_view_of_the_owner_leaks_nothing_while_row_level_security_is_forced(stage: Stage) -> None:
    _view_of_the_owner(stage)
    run_state_machine_as_test(
        _machine(stage), settings=settings(max_examples=2, stateful_step_count=6, derandomize=True, **_COMMON)
    )
