"""Two tenants, a project of which the first lends features to the second, and requests cut off in the middle.

A Hypothesis state machine does what tenants do, and what one tenant would try against another; after each step it
compares what each may see, in every table there is, with a model in memory. Eleven planted leaks are each found by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from headworks.storage import pool
from headworks.storage.connections import Connection, Connections
from headworks.storage.pool import Database, DatabaseUrls, Tx
from headworks.types.identity import Principal
from headworks.types.ids import new_id

MakePrincipal = Callable[..., Principal]
Superuser = psycopg.Connection[tuple[Any, ...]]

READABLE = """
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
     WHERE c.relnamespace = 'headworks'::regnamespace AND c.relkind IN ('r', 'p')
       AND has_table_privilege('hw_app', c.oid, 'SELECT')
"""
ADD_PROJECT = "INSERT INTO project (tenant_id, project_id, name) VALUES (%(tenant)s, %(id)s, %(name)s)"
GRANT = """
    INSERT INTO feature_grant (tenant_id, project_id, feature, grantee_tenant_id)
    VALUES (%(tenant)s, %(project)s, %(feature)s, %(grantee)s) ON CONFLICT DO NOTHING
"""
REVOKE = "DELETE FROM feature_grant WHERE project_id = %(project)s"
ADD_DOCUMENT = """
    INSERT INTO document (tenant_id, document_id, collection_id, source, path, title, media_type, content_hash, version,
                          restricted, handed_in_by, characters)
    VALUES (%(tenant)s, %(id)s, %(collection)s, 'upload', %(path)s, %(path)s, 'text/plain', '', 1, false, %(by)s, 1)
"""
ADD_TEXT = "INSERT INTO document_text (tenant_id, document_id, version, content) VALUES (%(tenant)s, %(id)s, 1, '')"

SAY = "INSERT INTO audit_event (tenant_id, event_id, action, subject) VALUES (%(tenant)s, %(id)s, 'said', 'so')"
WRITTEN = (
    "tenant",
    "principal",
    "project",
    "feature_grant",
    "collection",
    "collection_reader",
    "document",
    "document_text",
    "snapshot_version",
    "audit_event",
)

names = st.sampled_from(["alpha", "beta", "gamma"])
sides = st.sampled_from([0, 1])


@dataclass
class Side:
    """One tenant, and what it should see."""

    user: Principal
    curator: Principal
    collection: UUID
    projects: dict[UUID, str] = field(default_factory=dict)
    grants: set[UUID] = field(default_factory=set)
    """Its projects of which a feature is lent to the other tenant."""
    documents: set[UUID] = field(default_factory=set)


@dataclass(frozen=True)
class World:
    """What all examples of one run share."""

    database: Database
    loop: asyncio.Runner
    superuser: Superuser
    make_principal: MakePrincipal
    tables: tuple[str, ...]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(work)


class Tenants(RuleBasedStateMachine):
    """What tenants do; `world` is given to a subclass by `explore`."""

    world: ClassVar[World]
    sides: tuple[Side, Side]

    @initialize()
    def found_both(self) -> None:
        run = self.world.superuser.execute
        run("SET session_replication_role = replica")  # no foreign keys: the order does not matter
        for table in WRITTEN:
            run(f"DELETE FROM {table}".encode())
        run("RESET session_replication_role")
        self.sides = (self._found(), self._found())

    def _found(self) -> Side:
        user = self.world.make_principal()
        curator = self.world.make_principal(tenant=user.tenant, kind="curator")
        side = Side(user, curator, new_id())
        project = new_id()
        side.projects[project] = "home"
        self.world.superuser.execute(
            "INSERT INTO project (tenant_id, project_id, name) VALUES (%s, %s, 'home')", [user.tenant, project]
        )
        self.world.superuser.execute(
            "INSERT INTO collection (tenant_id, collection_id, project_id, name) VALUES (%s, %s, %s, 'library')",
            [user.tenant, side.collection, project],
        )
        self.world.superuser.execute(
            "INSERT INTO collection_reader (tenant_id, collection_id, principal_id) VALUES (%s, %s, %s)",
            [user.tenant, side.collection, user.id],
        )
        return side

    # ── what tenants do ──

    @rule(who=sides, name=names)
    def add_a_project(self, who: int, name: str) -> None:
        side, project = self.sides[who], new_id()
        if name in side.projects.values():
            return
        self.world.run(self._execute(side.user, ADD_PROJECT, tenant=side.user.tenant, id=project, name=name))
        side.projects[project] = name

    @rule(who=sides)
    def lend_a_feature_of_every_project_to_the_other(self, who: int) -> None:
        side, other = self.sides[who], self.sides[1 - who]
        for project in side.projects:
            params = {"tenant": side.user.tenant, "project": project, "grantee": other.user.tenant}
            self.world.run(self._execute(side.user, GRANT, feature="claims", **params))
        side.grants |= set(side.projects)

    @rule(who=sides)
    def take_the_features_back(self, who: int) -> None:
        side = self.sides[who]
        for project in side.grants:
            assert self.world.run(self._execute(side.user, REVOKE, project=project)) == 1
        side.grants.clear()

    @rule(who=sides)
    def store_a_document(self, who: int) -> None:
        side, document = self.sides[who], new_id()

        async def store() -> None:
            tenant = side.user.tenant
            async with self.world.database.tx(side.curator) as tx:
                ids = {"tenant": tenant, "id": document}
                by = side.curator.id
                await tx.run(ADD_DOCUMENT, **ids, collection=side.collection, path=str(document), by=by)
                await tx.run(ADD_TEXT, **ids)

        self.world.run(store())
        side.documents.add(document)

    @rule(who=sides, when=st.sampled_from(["before", "during", "after"]))
    def be_cut_off_in_the_middle(self, who: int, when: str) -> None:
        side = self.sides[who]

        async def cut_off() -> None:
            reached = asyncio.Event()

            async def write() -> None:
                async with self.world.database.tx(side.user) as tx:
                    await tx.run(ADD_PROJECT, tenant=side.user.tenant, id=new_id(), name="cut off")
                    reached.set()
                    await (tx.run("SELECT pg_sleep(20)") if when == "during" else asyncio.sleep(20))

            task = asyncio.create_task(write())
            if when != "before":
                await reached.wait()
            await asyncio.sleep(0.001 if when == "during" else 0)
            task.cancel()
            await asyncio.wait([task])

        self.world.run(cut_off())

    # ── what one tenant would try against the other ──

    @rule(who=sides)
    def write_a_row_of_the_other(self, who: int) -> None:
        side, other = self.sides[who], self.sides[1 - who]
        tenant = other.user.tenant
        tries: list[tuple[str, dict[str, object]]] = [
            (ADD_PROJECT, {"tenant": tenant, "id": new_id(), "name": "planted"}),
            (SAY, {"tenant": tenant, "id": new_id()}),
        ]
        for project in other.projects:
            params = {"tenant": tenant, "project": project, "feature": "stolen", "grantee": side.user.tenant}
            tries.append((GRANT, params))
        for statement, params in tries:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                self.world.run(self._execute(side.user, statement, **params))

    @rule(who=sides)
    def change_and_remove_whatever_can_be_reached(self, who: int) -> None:
        """Without naming a tenant: the rows of the caller's own, and no others."""
        side, other = self.sides[who], self.sides[1 - who]

        async def reach() -> None:
            async with self.world.database.tx(side.user) as tx:
                # Without a column read, only the policies for UPDATE stand in the way.
                assert await tx.run("UPDATE project SET created_at = '2026-01-01'") == len(side.projects)
                theirs = list(other.projects.keys() - side.projects.keys())
                assert await tx.run("DELETE FROM project WHERE project_id = ANY(%(ids)s)", ids=theirs) == 0
                for project in other.grants - side.projects.keys():
                    assert await tx.run(REVOKE, project=project) == 0

        self.world.run(reach())

    @rule(who=sides)
    def read_the_others_rows_by_their_ids(self, who: int) -> None:
        side, other = self.sides[who], self.sides[1 - who]

        async def read() -> None:
            async with self.world.database.tx(side.user) as tx:
                ids = list(other.documents)
                for table in ("document", "document_text"):
                    statement = f"SELECT count(*) FROM {table} WHERE document_id = ANY(%(ids)s)"
                    assert await tx.fetch_value(statement, ids=ids) == 0

        self.world.run(read())

    @rule(who=sides, name=names)
    def use_an_id_of_the_other(self, who: int, name: str) -> None:
        """It must be free: that it is taken would tell that it exists."""
        side, other = self.sides[who], self.sides[1 - who]
        free = [project for project in other.projects if project not in side.projects]
        if not free or name in side.projects.values():
            return
        self.world.run(self._execute(side.user, ADD_PROJECT, tenant=side.user.tenant, id=free[0], name=name))
        side.projects[free[0]] = name

    @rule()
    def ask_as_nobody(self) -> None:
        """On a connection that was somebody's a moment ago."""

        async def ask() -> None:
            lender = self.world.database._connections["app"]
            connection = (await lender.begin(b"BEGIN")).connection
            try:
                assert await everything(Tx(connection), self.world.tables) == set()
                await connection.rollback()
            finally:
                lender.give_back(connection)

        self.world.run(ask())

    # ── after each step ──

    @invariant()
    def each_sees_its_own_and_what_it_was_lent_and_nothing_else(self) -> None:
        for side, other in (self.sides, self.sides[::-1]):
            lent = {("feature_grant", other.user.tenant)} if other.grants else set()
            seen = self.world.run(self._seen(side))
            assert {tenant for _, tenant in seen["rows"] - lent} == {side.user.tenant}
            assert seen["projects"] == side.projects
            assert seen["grants"] == side.grants | other.grants
            assert seen["documents"] == side.documents

    async def _seen(self, side: Side) -> dict[str, Any]:
        async with self.world.database.tx(side.user) as tx:
            projects = await tx.fetch_all("SELECT project_id, name FROM project")
            return {
                "rows": await everything(tx, self.world.tables),
                "projects": {row.project_id: row.name for row in projects},
                "grants": {row[0] for row in await tx.fetch_all("SELECT project_id FROM feature_grant")},
                "documents": {row[0] for row in await tx.fetch_all("SELECT document_id FROM document")},
            }

    async def _execute(self, who: Principal, statement: str, **params: object) -> int:
        async with self.world.database.tx(who) as tx:
            return await tx.run(statement, **params)


async def everything(tx: Tx, tables: tuple[str, ...]) -> set[tuple[str, UUID]]:
    """Each table and each tenant of which a row can be seen in it."""
    parts = (f"SELECT DISTINCT '{table}' AS name, tenant_id FROM {table}" for table in tables)
    return {(row.name, row.tenant_id) for row in await tx.fetch_all(" UNION ALL ".join(parts))}


@pytest.fixture
def world(database_urls: DatabaseUrls, as_superuser: Superuser, make_principal: MakePrincipal) -> Iterator[World]:
    tables = tuple(sorted(str(row[0]) for row in as_superuser.execute(READABLE) if "_20" not in str(row[0])))
    assert len(tables) > 30
    with asyncio.Runner() as loop:
        database = Database(database_urls, pool_size=2)
        yield World(database, loop, as_superuser, make_principal, tables)
        loop.run(database.close())


def explore(world: World, examples: int) -> None:
    run_state_machine_as_test(
        type("TenantsOfThisWorld", (Tenants,), {"world": world}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=15,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            database=None,
        ),
    )


def test_no_tenant_ever_crosses_to_the_other(world: World) -> None:
    explore(world, 60)


# ── planted leaks ──

IN_THE_DATABASE = {
    "row-level security switched off": "ALTER TABLE project DISABLE ROW LEVEL SECURITY",
    "a policy that lets everybody read": "CREATE POLICY leak ON document FOR SELECT TO hw_app USING (true)",
    "a policy that lets everybody change": "CREATE POLICY leak ON project FOR UPDATE TO hw_app USING (true)",
    "a policy that lets everybody remove": "CREATE POLICY leak ON feature_grant FOR DELETE TO hw_app USING (true)",
    "a policy that lets everybody add": "CREATE POLICY leak ON audit_event FOR INSERT TO hw_app WITH CHECK (true)",
    "a grant that its grantee may write": "ALTER POLICY given_from_home ON feature_grant "
    "WITH CHECK (grantee_tenant_id = (SELECT app_tenant()))",
    "a key over all tenants": "CREATE UNIQUE INDEX leak ON project (project_id)",
    "a policy that forgives a missing tenant": "CREATE POLICY leak ON project FOR SELECT TO hw_app "
    "USING (tenant_id = app_tenant() OR app_tenant() IS NULL)",
    "a text that is readable where its document is not": "CREATE POLICY leak ON document_text FOR SELECT TO hw_app "
    "USING (true)",
}


@pytest.mark.parametrize("leak", IN_THE_DATABASE)
def test_a_leak_planted_in_the_database_is_found(world: World, leak: str) -> None:
    world.superuser.execute(IN_THE_DATABASE[leak].encode())
    with pytest.raises((AssertionError, psycopg.Error, pytest.fail.Exception)):
        explore(world, 400)  # ends with the first that finds it


def test_settings_that_outlive_their_transaction_are_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Connections.begin

    async def begin_for_good(self: Connections, statement: bytes) -> Connection:
        # A plain SET, as code that knows no better does: it stays on the connection after the commit.
        if statement != b"BEGIN":
            connection = await begin(self, statement.replace(b"BEGIN; ", b"").replace(b", true)", b", false)"))
            await connection.execute("BEGIN")
            return connection
        return await begin(self, statement)

    monkeypatch.setattr(Connections, "begin", begin_for_good)
    with pytest.raises((AssertionError, Flaky)):
        explore(world, 60)


def test_a_pool_that_lends_what_a_cut_off_request_left_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(pool._Transaction):
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None:
            assert self._connection is not None
            if kind is None:
                await self._connection.commit()
            self._connections._idle.append((self._connection, 0.0))  # in the middle of its transaction, or not
            self._connections._release_slot()

    monkeypatch.setattr(pool, "_Transaction", Careless)
    with pytest.raises((AssertionError, Flaky, psycopg.Error)):
        explore(world, 60)
