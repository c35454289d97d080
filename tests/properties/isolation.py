"""A state machine of two tenants on one database: what each caller sees is what a model of the rights says.

The model knows names, lists and memberships only; nothing in it reads the database. Documents carry a canary each, so
that a text is recognised wherever it turns up.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headworks.errors import InvalidRequest, NotFound
from headworks.identity.contract import KeyRequest
from headworks.identity.roles import MEMBER
from headworks.observability.service import Traces
from headworks.records.drain import store
from headworks.records.lines import span_line, usage_line
from headworks.retrieval.readers import matches
from headworks.retrieval.service import HandedIn
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring
from headworks.types.features import RetrievalSettings
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, PrincipalId, new_id
from headworks.types.records import Span, UsageRow
from headworks.types.retrieval import Citation, Passage

from ..retrieval.conftest import World, make_world  # noqa: TID252 -- the tests are no installed package

T = TypeVar("T")

PEOPLE = ("ann", "bob")
GROUPS = ("clinic", "board")
LISTED = (*PEOPLE, *GROUPS, "everyone")
PATHS = ("a.md", "b.md", "board/c.md", "board/d.md")
COLLECTION = "handbook"
MODES = ("keywords", "vectors", "hybrid")
WAYS = ("search", "cite", "read")

some_names = st.sets(st.sampled_from(LISTED), max_size=3).map(frozenset)
either = st.integers(0, 1)
people = st.sampled_from(PEOPLE)


@dataclass
class Document:
    """What the model knows of a document; `given` is the list given on upload."""

    canary: str
    given: frozenset[str] | None


@dataclass
class Asker:
    """Somebody with a key. `through` are the groups that the key is narrowed to."""

    principal: Principal
    name: str
    through: frozenset[str] | None = None
    is_revoked: bool = False


@dataclass
class Trace:
    """A recorded request: whose it is, and the documents that its payload quotes."""

    trace: uuid.UUID
    name: str
    documents: list[uuid.UUID]
    canary: str


@dataclass
class Tenant:
    """The model of one tenant."""

    name: str
    admin: Principal
    ids: dict[str, PrincipalId]
    readers: frozenset[str] = frozenset()
    board: frozenset[str] | None = None
    """The list of the pattern `board/**`, if there is one."""
    documents: dict[str, Document] = field(default_factory=dict)
    queued: list[tuple[str, Document]] = field(default_factory=list)
    members: dict[str, set[str]] = field(default_factory=lambda: {group: set() for group in GROUPS})
    disabled: set[str] = field(default_factory=set)
    askers: list[Asker] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    def acting(self, asker: Asker) -> set[str]:
        """The names that somebody reads as."""
        if asker.is_revoked or asker.name in self.disabled:
            return set()
        groups = {"everyone"} | {group for group, inside in self.members.items() if asker.name in inside}
        if asker.name == "admin":
            groups.add("administrators")
        if asker.through is not None:
            return groups & asker.through
        return groups | {asker.name}

    def own_list(self, path: str, document: Document) -> frozenset[str] | None:
        if self.board is not None and matches("board/**", path):
            return self.board
        return document.given

    def may_enter(self, asker: Asker) -> bool:
        return bool(self.acting(asker) & self.readers)

    def readable(self, asker: Asker) -> dict[str, Document]:
        """The documents that somebody may read, by path."""
        acting = self.acting(asker)
        if not acting & self.readers:
            return {}
        found = {}
        for path, document in self.documents.items():
            own = self.own_list(path, document)
            if own is None or acting & own:
                found[path] = document
        return found


class Stage:
    """The database under the machine, kept from example to example; each example has tenants of its own."""

    def __init__(self, urls: DatabaseUrls, keyring: Keyring) -> None:
        self.runner = asyncio.Runner()
        self.behind = psycopg.connect(urls.owner, autocommit=True)
        self.behind.execute("SET search_path = headworks, public")
        self.db = Database(urls, pool_size=3)
        self.opened = [self.db]
        self.keyring = keyring
        self.world: World = self.run(make_world(self.db, keyring, self.behind))
        self.traces = Traces(self.db, keyring)
        self.count = itertools.count()
        self.tally: Counter[str] = Counter()
        """What the checks have met, so that a run can show that it was not empty."""

    def open(self, urls: DatabaseUrls) -> Database:
        """Another pool on the same loop."""
        self.opened.append(Database(urls))
        return self.opened[-1]

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def close(self) -> None:
        for each in self.opened:
            self.run(each.close())
        self.runner.close()
        self.behind.close()

    def relations(self) -> list[str]:
        """Every table and view that requests may read and that has tenants, as the catalogue has them now."""
        rows = self.behind.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
            "WHERE c.relnamespace = 'headworks'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'm') "
            "AND has_table_privilege('hw_app', c.oid, 'SELECT') ORDER BY 1"
        ).fetchall()
        return [str(row[0]) for row in rows]


class Isolation(RuleBasedStateMachine):
    """Two tenants. A subclass sets `stage`."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.world = self.stage.world
        self.step = 0
        self.is_granted = False
        self.canaries: dict[str, Tenant] = {}
        self.tenants: list[Tenant] = []
        self.relations = self.stage.relations()

    # ── What happens ──

    @initialize(own=some_names)
    def found_two_tenants(self, own: frozenset[str]) -> None:
        """Each with an open document, one with a list of its own, and one for a group that somebody is in."""
        for which in range(2):
            self.tenants.append(self.stage.run(self._found(f"tenant-{next(self.stage.count)}")))
            self.change_a_group(which, "board", PEOPLE[which], is_in=True)
            self.put_a_document(which, "a.md", None, is_done=False)
            self.put_a_document(which, "b.md", own, is_done=False)
            self.put_a_document(which, "board/c.md", frozenset({"board"}), is_done=True)

    async def _found(self, name: str) -> Tenant:
        identity = self.world.identity
        admin = await self.world.tenant(name)
        ids = {}
        for group in GROUPS:
            ids[group] = (await identity.create_group(admin, group)).id
        for person in PEOPLE:
            ids[person] = (await identity.create_principal(admin, person)).id
        tenant = Tenant(name, admin, ids, askers=[Asker(admin, "admin")])
        for person in PEOPLE:
            await self._new_key(tenant, person, None)
        await self._declare(tenant, frozenset({"everyone"}), None)
        return tenant

    async def _new_key(self, tenant: Tenant, person: str, through: frozenset[str] | None) -> None:
        groups = None if through is None else tuple(sorted(through))
        new = await self.world.identity.create_key(tenant.admin, KeyRequest(principal=person, groups=groups))
        principal = Principal(
            tenant.admin.tenant, tenant.ids[person], person, "user", MEMBER, new.key.id, is_narrowed=through is not None
        )
        tenant.askers.append(Asker(principal, person, through))

    async def _declare(self, tenant: Tenant, readers: frozenset[str], board: frozenset[str] | None) -> None:
        documents = [] if board is None else [("board/**", tuple(sorted(board)))]
        await self.world.collection(COLLECTION, *sorted(readers), documents=documents, maker=tenant.admin)
        tenant.readers, tenant.board = readers, board

    def _drain(self) -> None:
        self.stage.run(self.world.drain())
        for tenant in self.tenants:
            for path, document in tenant.queued:
                before = tenant.documents.get(path)
                given = document.given if document.given is not None or before is None else before.given
                tenant.documents[path] = Document(document.canary, given)
            tenant.queued.clear()

    @rule(which=either, path=st.sampled_from(PATHS), given=st.none() | some_names, is_done=st.booleans())
    def put_a_document(self, which: int, path: str, given: frozenset[str] | None, *, is_done: bool) -> None:
        tenant = self.tenants[which]
        if any(path == queued for queued, _ in tenant.queued):
            return  # which of two waiting contents counts is not what is tested here
        canary = f"canary{uuid.uuid4().hex}"
        text = f"# Note {path}\n\nThe heron {canary} stands in the pond.".encode()
        file = HandedIn(path, text, readers=None if given is None else sorted(given))
        self.canaries[canary] = tenant
        try:
            self.stage.run(self.world.retrieval.hand_in(tenant.admin, COLLECTION, file))
        except InvalidRequest:
            assert given is not None
            assert tenant.board is not None
            assert path.startswith("board/")
            return
        assert given is None or tenant.board is None or not path.startswith("board/")
        tenant.queued.append((path, Document(canary, given)))
        if is_done:
            self._drain()

    @rule(which=either, path=st.sampled_from(PATHS))
    def remove_a_document(self, which: int, path: str) -> None:
        tenant = self.tenants[which]
        seen = {*tenant.documents, *(queued for queued, _ in tenant.queued)} - {path}

        async def sync() -> None:
            begun = await self.world.retrieval.begin_sync(tenant.admin, COLLECTION, "upload")
            await self.world.retrieval.finish_sync(tenant.admin, begun.id, seen, collection=COLLECTION)

        self.stage.run(sync())
        tenant.documents.pop(path, None)
        tenant.queued = [each for each in tenant.queued if each[0] != path]

    @rule(which=either, readers=some_names, board=st.none() | some_names)
    def declare_other_readers(self, which: int, readers: frozenset[str], board: frozenset[str] | None) -> None:
        self.stage.run(self._declare(self.tenants[which], readers, board))

    @rule(which=either, group=st.sampled_from(GROUPS), person=people, is_in=st.booleans())
    def change_a_group(self, which: int, group: str, person: str, *, is_in: bool) -> None:
        tenant = self.tenants[which]
        change = self.world.identity.add_member if is_in else self.world.identity.remove_member
        self.stage.run(change(tenant.admin, group, person))
        (tenant.members[group].add if is_in else tenant.members[group].discard)(person)

    @rule(which=either, person=people, is_disabled=st.booleans())
    def disable_or_enable(self, which: int, person: str, *, is_disabled: bool) -> None:
        tenant = self.tenants[which]
        identity = self.world.identity
        self.stage.run((identity.disable_principal if is_disabled else identity.enable_principal)(tenant.admin, person))
        (tenant.disabled.add if is_disabled else tenant.disabled.discard)(person)

    @rule(which=either, person=people, through=st.sets(st.sampled_from((*GROUPS, "everyone")), max_size=2))
    def narrow_a_key(self, which: int, person: str, through: set[str]) -> None:
        tenant = self.tenants[which]
        held = {"everyone"} | {group for group, inside in tenant.members.items() if person in inside}
        if len(tenant.askers) < 6 and person not in tenant.disabled:
            self.stage.run(self._new_key(tenant, person, frozenset(through & held)))

    @rule(which=either, place=st.integers(1, 5))
    def revoke_a_key(self, which: int, place: int) -> None:
        tenant = self.tenants[which]
        if place < len(tenant.askers) and not tenant.askers[place].is_revoked:
            asker = tenant.askers[place]
            self.stage.run(self.world.identity.revoke_key(tenant.admin, str(asker.principal.key)))
            asker.is_revoked = True

    @rule(is_given=st.booleans())
    def lend_a_feature_of_the_first_to_the_second(self, *, is_given: bool) -> None:
        first, second = self.tenants
        identity = self.world.identity
        if is_given != self.is_granted:
            grantee = str(second.admin.tenant)
            change = identity.create_grant if is_given else identity.revoke_grant
            self.stage.run(change(first.admin, "assistant", grantee))
            self.is_granted = is_given

    @rule(which=either, person=people)
    def record_a_request(self, which: int, person: str) -> None:
        tenant = self.tenants[which]
        asker = next(each for each in tenant.askers if each.name == person)
        documents = [self._document_id(tenant, path) for path in tenant.readable(asker)]
        canary = f"canary{uuid.uuid4().hex}"
        trace, span, at = new_id(), new_id(), 1_795_000_000.0
        who = asker.principal
        usage = UsageRow(who.tenant, at, trace, trace, "chat", "answer", "assistant", principal_id=who.id)
        stage = Span(who.tenant, at, trace, span, "answer", at, principal_id=who.id, documents=list(documents))
        self.stage.run(self.stage.keyring.ensure(self.stage.db, who.tenant))
        stage.payload = self.stage.keyring.seal(who.tenant, "span.payload", span, orjson.dumps({"answer": canary}))
        self.stage.run(store(self.stage.db, [usage_line(usage) + span_line(stage)]))
        tenant.traces.append(Trace(trace, person, documents, canary))

    @rule(
        wanted=st.lists(
            st.tuples(either, st.integers(0, 5), st.sampled_from(WAYS), st.none() | st.integers(0, 30)),
            min_size=4, max_size=14,
        )
    )  # fmt: skip
    def ask_all_at_once_and_hang_up_on_some(self, wanted: Sequence[tuple[int, int, str, int | None]]) -> None:
        """More askers than connections; some leave in the middle of a statement."""
        self.stage.run(self._storm(wanted))

    async def _storm(self, wanted: Sequence[tuple[int, int, str, int | None]]) -> None:
        async def ask(which: int, place: int, what: str) -> None:
            tenant = self.tenants[which]
            asker = tenant.askers[place % len(tenant.askers)]
            if what == "search":
                await self._check_search(tenant, asker, "hybrid")
            elif what == "cite":
                await self._check_citations(tenant, asker)
            else:
                await self._check_rows(tenant, asker)
                await self._check_tenants(tenant, asker)

        tasks = []
        for which, place, what, turns in wanted:
            task = asyncio.ensure_future(ask(which, place, what))
            tasks.append(task)
            if turns is not None:
                loop = asyncio.get_running_loop()
                loop.call_later(turns / 3000, task.cancel)
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            self.stage.tally["hung up"] += isinstance(done, asyncio.CancelledError)
            if isinstance(done, BaseException) and not isinstance(done, asyncio.CancelledError):
                raise done

    # ── What must always be true ──

    @invariant()
    def everybody_sees_what_the_model_says(self) -> None:
        if not self.tenants:
            return
        self.step += 1
        turn = self.step
        for tenant in self.tenants:
            self.stage.run(self._check_tenants(tenant, tenant.askers[turn % len(tenant.askers)]))
            for asker in tenant.askers:
                self.stage.run(self._check_rows(tenant, asker))
        tenant = self.tenants[turn % 2]
        asker = tenant.askers[(turn // 2) % len(tenant.askers)]
        self.stage.run(self._check_search(tenant, asker, MODES[turn % 3]))
        self.stage.run(self._check_citations(tenant, asker))
        self.stage.run(self._check_documents(tenant, asker))
        self.stage.run(self._check_traces(tenant, asker))
        self.stage.run(self._check_grants())

    async def _check_rows(self, tenant: Tenant, asker: Asker) -> None:
        """By SQL that names no tenant: row-level security alone has to hold."""
        ids = {self._document_id(tenant, path) for path in tenant.readable(asker)}
        seen = " UNION ALL ".join(
            f"SELECT '{table}', array_agg(DISTINCT document_id) FROM {table}"
            for table in ("document", "document_text", "chunk", "embedding")
        )
        async with self.stage.db.tx(asker.principal) as tx:
            found = {row[0]: set(row[1] or ()) for row in await tx.fetch_all(seen)}
            handed = await tx.fetch_all("SELECT DISTINCT handed_in_by FROM ingest_item")
        for table, documents in found.items():
            assert documents == ids, f"{asker.name} of {tenant.name} sees other documents in {table}"
        assert {row[0] for row in handed} <= {asker.principal.id}, f"{asker.name} sees rows of others in ingest_item"

    async def _check_tenants(self, tenant: Tenant, asker: Asker) -> None:
        """In every table and view that there is."""
        foreign = " UNION ALL ".join(
            f"SELECT '{relation}', count(*) FROM {relation} WHERE tenant_id <> %(tenant)s"
            + (" AND grantee_tenant_id <> %(tenant)s" if relation == "feature_grant" else "")
            for relation in self.relations
        )
        async with self.stage.db.tx(asker.principal) as tx:
            crossed = {row[0]: row[1] for row in await tx.fetch_all(foreign, tenant=asker.principal.tenant) if row[1]}
        assert not crossed, f"{asker.name} of {tenant.name} sees rows of other tenants: {crossed}"

    async def _check_search(self, tenant: Tenant, asker: Asker, mode: str) -> None:
        expected = {document.canary for document in tenant.readable(asker).values()}
        settings = RetrievalSettings(COLLECTION, 20)
        self.world.models.is_missing = mode == "keywords"
        try:
            question = "nothing like it" if mode == "vectors" else "where does the heron stand"
            passages = await self.world.retrieval.passages(asker.principal, settings, question)
        except NotFound:
            assert not tenant.may_enter(asker), f"{asker.name} of {tenant.name} is refused what is open"
            self.stage.tally["refused"] += 1
            return
        finally:
            self.world.models.is_missing = False
        assert tenant.may_enter(asker), f"{asker.name} of {tenant.name} enters what is closed"
        assert self._canaries_in(*(each.text for each in passages)) == expected, f"search by {mode} of {asker.name}"
        self.stage.tally["found"] += len(expected)
        self.stage.tally["hidden"] += len(tenant.documents) - len(expected)

    async def _check_citations(self, tenant: Tenant, asker: Asker) -> None:
        """Passages that somebody got hold of, of both tenants, are cited only as far as the caller may read them."""
        readable = tenant.readable(asker)
        for other in self.tenants:
            for path, document in other.documents.items():
                passage = self._passage(other, path, document)
                stream = self.world.retrieval.citing(asker.principal, [passage])
                out = await stream.feed(f"The heron {document.canary} stands in the pond [1].")
                out += await stream.finish()
                is_cited = any(isinstance(each, Citation) for each in out)
                assert is_cited == (other is tenant and path in readable), f"citation of {path} by {asker.name}"
                self.stage.tally["cited" if is_cited else "not cited"] += 1

    async def _check_documents(self, tenant: Tenant, asker: Asker) -> None:
        readable = tenant.readable(asker)
        for other in self.tenants:
            for path, document in other.documents.items():
                try:
                    view = await self.world.retrieval.document(asker.principal, self._document_id(other, path))
                except NotFound:
                    assert other is not tenant or path not in readable
                else:
                    assert other is tenant
                    assert path in readable, f"{asker.name} opens {path}"
                    assert document.canary in view.text

    async def _check_traces(self, tenant: Tenant, asker: Asker) -> None:
        readable = {self._document_id(tenant, path) for path in tenant.readable(asker)}
        everybody = asker.principal.may("trace:read")
        for other in self.tenants:
            for trace in other.traces:
                try:
                    view = await self.stage.traces.show(asker.principal, trace.trace)
                except NotFound:
                    assert other is not tenant or not (everybody or trace.name == asker.name)
                    continue
                assert other is tenant
                assert everybody or trace.name == asker.name, f"{asker.name} sees the trace of {trace.name}"
                shown = {each.payload["answer"] for each in view.spans if each.payload is not None}
                may = set(trace.documents) <= readable
                self.stage.tally["payload shown" if may else "payload withheld"] += 1
                assert shown == ({trace.canary} if may else set()), f"payload for {asker.name}"

    async def _check_grants(self) -> None:
        for tenant, direction in zip(self.tenants, ("given", "received"), strict=True):
            found = await self.world.identity.list_grants(tenant.admin)
            assert [each.direction for each in found] == ([direction] if self.is_granted else [])

    # ── Behind the scenes ──

    def _canaries_in(self, *texts: str) -> set[str]:
        return {canary for canary in self.canaries if any(canary in text for text in texts)}

    def _document_id(self, tenant: Tenant, path: str) -> uuid.UUID:
        row = self.stage.behind.execute(
            "SELECT document_id FROM document WHERE tenant_id = %s AND path = %s AND tombstoned_at IS NULL",
            [tenant.admin.tenant, path],
        ).fetchone()
        assert row is not None, f"{path} of {tenant.name} is not there"
        found: uuid.UUID = row[0]
        return found

    def _passage(self, tenant: Tenant, path: str, document: Document) -> Passage:
        row = self.stage.behind.execute(
            "SELECT d.document_id, d.version, c.start_offset, c.end_offset FROM document d JOIN chunk c "
            "USING (tenant_id, document_id) WHERE d.tenant_id = %s AND d.path = %s AND d.tombstoned_at IS NULL",
            [tenant.admin.tenant, path],
        ).fetchone()
        assert row is not None
        text = f"# Note {path}\n\nThe heron {document.canary} stands in the pond."
        return Passage(1, DocumentId(row[0]), row[1], path, f"Note {path}", (), 0, row[2], row[3], text, 1.0)
