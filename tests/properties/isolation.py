"""A state machine of two tenants on one database: on every read path, each caller sees what a model of the rights says.

Everything goes through the services that the server itself calls; what happens and what is asked is counted.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headworks.errors import HeadworksError, InvalidRequest
from headworks.gateway.stored.contract import Making
from headworks.gateway.stored.service import new_response_id
from headworks.identity.contract import KeyRequest
from headworks.identity.roles import MEMBER
from headworks.records.drain import store
from headworks.records.lines import span_line, usage_line
from headworks.retrieval.service import HandedIn
from headworks.types.identity import Principal
from headworks.types.ids import new_id
from headworks.types.records import Span, UsageRow
from headworks.types.workspace import ChunkingSpec, SectionSpec

from .model import (
    CANARY,
    CUT_PATHS,
    GROUPS,
    HEADING,
    LISTED,
    PATHS,
    PATTERN,
    PEOPLE,
    QUESTION,
    SLOTS,
    Asker,
    Document,
    Lists,
    Piece,
    Quoting,
    Rule,
    Tenant,
    new_canary,
)
from .read_paths import COLLECTION, ReadPaths
from .stage import Stage

some_names = st.sets(st.sampled_from(LISTED), max_size=3).map(frozenset)
few_names = st.sets(st.sampled_from(LISTED), max_size=1).map(frozenset)
rules = st.builds(Rule, st.sampled_from(CUT_PATHS), some_names, few_names)
every_lists = st.builds(Lists, some_names, few_names, st.none() | some_names, few_names, st.none() | rules)
either = st.integers(0, 1)
people = st.sampled_from(PEOPLE)
paths = st.sampled_from(PATHS)
turns = st.integers(0, 60)
PEOPLES_RIGHTS = MEMBER | {"judgement:read", "judgement:write"}
_MOST_QUEUED = 6
"""Of a tenant: there are slots for no more."""
_MOST_WEIGHTS = 100


class Isolation(RuleBasedStateMachine):
    """Two tenants. A subclass sets `stage`."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.world = self.stage.world
        self.stage.use_weights(0)
        self.step = 0
        self.is_granted = False
        self.canaries: dict[str, Tenant] = {}
        self.tenants: list[Tenant] = []
        self.reads = ReadPaths(self.stage, self.tenants, self.canaries)

    def _count(self, what: str) -> None:
        self.stage.tally[f"change: {what}"] += 1

    # ── What happens ──

    @initialize(own=some_names, cut=rules)
    def found_two_tenants(self, own: frozenset[str], cut: Rule) -> None:
        """Each with groups in groups, a narrowed key, and documents: open, listed, for a group, closed to some."""
        for which in range(2):
            self.tenants.append(self.stage.run(self._found(f"tenant-{next(self.stage.count)}", cut)))
            for group, member in (("board", PEOPLE[which]), ("temps", "ann"), ("clinic", "temps")):
                self.change_a_group(which, group, member, is_in=True)
            self.narrow_a_key(which, "bob", {"everyone"})
            for path, given, denied in (
                ("a.md", None, None),
                ("b.md", own, None),
                ("board/c.md", frozenset({"board", "temps"}), None),
                ("board/d.md", None, frozenset({"bob"})),
                ("old.md", None, frozenset({"clinic"})),
            ):
                self.put_a_document(
                    which, path, given, denied, len(path), has_secret=path != "b.md", is_same=False,
                    is_done=path == "old.md",
                )  # fmt: skip

    async def _found(self, name: str, cut: Rule) -> Tenant:
        identity = self.world.identity
        admin = await self.world.tenant(name)
        ids = {group: (await identity.create_group(admin, group)).id for group in GROUPS}
        for person in PEOPLE:
            ids[person] = (await identity.create_principal(admin, person)).id
        edges = {(person, "everyone") for person in (*PEOPLE, "admin")} | {("admin", "administrators")}
        tenant = Tenant(name, admin, ids, edges=edges, askers=[Asker(admin, "admin")])
        for person in PEOPLE:
            await self._new_key(tenant, person, None)
        tenant.lists = Lists(frozenset({"everyone"}), rule=cut)
        await self._declare(tenant, tenant.lists)
        return tenant

    async def _new_key(self, tenant: Tenant, person: str, through: frozenset[str] | None) -> None:
        groups = None if through is None else tuple(sorted(through))
        new = await self.world.identity.create_key(tenant.admin, KeyRequest(principal=person, groups=groups))
        principal = Principal(
            tenant.admin.tenant, tenant.ids[person], person, "user", PEOPLES_RIGHTS, new.key.id,
            is_narrowed=through is not None,
        )  # fmt: skip
        tenant.askers.append(Asker(principal, person, through))

    async def _declare(self, tenant: Tenant, lists: Lists, chunking: ChunkingSpec | None = None) -> None:
        documents = [] if lists.board is None else [(PATTERN, tuple(sorted(lists.board)))]
        denials = ((PATTERN, tuple(sorted(lists.board_denied))),) if lists.board_denied else ()
        sections = () if lists.rule is None else (_as_spec(lists.rule),)
        await self.world.collection(
            COLLECTION, *sorted(lists.readers), documents=documents, maker=tenant.admin, sections=sections,
            denied=tuple(sorted(lists.denied)), denials=denials, chunking=chunking or tenant_chunking(tenant),
        )  # fmt: skip

    def _drain(self) -> None:
        self.stage.run(self.world.drain())
        for tenant in self.tenants:
            tenant.settle()

    def _pieces(self, tenant: Tenant, path: str, slot: int, *, has_secret: bool) -> tuple[Piece, ...]:
        headings = ("# Note", f"## {HEADING}")[: 1 + has_secret]
        slots = tenant.free_slots(path, slot)
        pieces = tuple(Piece(heading, new_canary(), next(slots)) for heading in headings)
        self.canaries |= {piece.canary: tenant for piece in pieces}
        return pieces

    async def _hand_in(self, tenant: Tenant, path: str, document: Document) -> bool:
        """Whether it was taken: a list where a pattern has one is refused."""
        readers = None if document.given is None else sorted(document.given)
        denied = None if document.denied is None else sorted(document.denied)
        try:
            file = HandedIn(path, document.text().encode(), readers=readers, denied=denied)
            await self.world.retrieval.hand_in(tenant.admin, COLLECTION, file)
        except InvalidRequest:
            assert document.given is not None
            assert tenant.lists.board is not None
            assert path.startswith("board/")
            return False
        assert document.given is None or tenant.lists.board is None or not path.startswith("board/")
        return True

    @rule(
        which=either, path=paths, given=st.none() | some_names, denied=st.none() | few_names,
        slot=st.integers(0, SLOTS - 1), has_secret=st.booleans(), is_same=st.booleans(), is_done=st.booleans(),
    )  # fmt: skip
    def put_a_document(
        self, which: int, path: str, given: frozenset[str] | None, denied: frozenset[str] | None, slot: int, *,
        has_secret: bool, is_same: bool, is_done: bool,
    ) -> None:  # fmt: skip
        """`is_same`: the content that is there already, with other lists. Several may wait at one path."""
        tenant = self.tenants[which]
        if len(tenant.queued) >= _MOST_QUEUED:
            return
        is_same = is_same and path in tenant.documents
        pieces = tenant.documents[path].pieces if is_same else self._pieces(tenant, path, slot, has_secret=has_secret)
        document = Document(pieces, given, denied)
        self._count("ingest the same" if is_same else "ingest or update")
        if self.stage.run(self._hand_in(tenant, path, document)):
            tenant.queued.append((path, document))
        if is_done:
            self._drain()

    @rule(which=either, path=paths)
    def remove_a_document(self, which: int, path: str) -> None:
        tenant = self.tenants[which]
        seen = {*tenant.documents, *(queued for queued, _ in tenant.queued)} - {path}

        async def sync() -> None:
            begun = await self.world.retrieval.begin_sync(tenant.admin, COLLECTION, "upload")
            await self.world.retrieval.finish_sync(tenant.admin, begun.id, seen, collection=COLLECTION)

        self._count("tombstone")
        self.stage.run(sync())
        if (gone := tenant.documents.pop(path, None)) is not None:
            tenant.keep(path, gone)
        tenant.bare.discard(path)
        tenant.queued = [each for each in tenant.queued if each[0] != path]

    @rule(which=either, lists=every_lists, is_cut_as_before=st.booleans())
    def declare_other_lists(self, which: int, lists: Lists, *, is_cut_as_before: bool) -> None:
        """Grant, revoke and deny."""
        self._count("grant, revoke or deny")
        if is_cut_as_before:
            lists = replace(lists, rule=self.tenants[which].lists.rule)
        self.stage.run(self._declare(self.tenants[which], lists))
        self.tenants[which].declare(lists)

    @rule(which=either, cut=st.none() | rules, back=st.booleans(), is_done=st.booleans())
    def declare_other_sections(self, which: int, cut: Rule | None, *, back: bool, is_done: bool) -> None:
        """`back`: and then again what was there before."""
        tenant = self.tenants[which]
        before = tenant.lists
        for lists in (replace(before, rule=cut), before)[: 1 + back]:
            self._count("sections")
            self.stage.run(self._declare(tenant, lists))
            tenant.declare(lists)
        if is_done:
            self._drain()

    @rule(which=either, is_done=st.booleans())
    def cut_it_otherwise(self, which: int, *, is_done: bool) -> None:
        """A new generation: until it is whole, the old one serves."""
        tenant = self.tenants[which]
        tenant.chunking += 1
        self._count("re-embed")
        self.stage.run(self._declare(tenant, tenant.lists))
        if is_done:
            self._drain()

    @rule(which=either, path=paths, slot=st.integers(0, SLOTS - 1), is_done=st.booleans())
    def change_the_weights_and_put_a_document(self, which: int, path: str, slot: int, *, is_done: bool) -> None:
        """Of the model, for both tenants: what is embedded next makes a new generation, and the old one serves."""
        self.stage.use_weights((self.stage.weights + 1) % _MOST_WEIGHTS)
        self._count("other weights")
        self.put_a_document(which, path, None, None, slot, has_secret=True, is_same=False, is_done=is_done)

    @rule(which=either, group=st.sampled_from(GROUPS), member=st.sampled_from((*PEOPLE, *GROUPS)), is_in=st.booleans())
    def change_a_group(self, which: int, group: str, member: str, *, is_in: bool) -> None:
        """Join and leave; groups too, also in rings."""
        tenant = self.tenants[which]
        if group != member:
            self._count("join or leave")
            self.stage.run(self._change_group(tenant, group, member, is_in=is_in))
            (tenant.edges.add if is_in else tenant.edges.discard)((member, group))

    async def _change_group(self, tenant: Tenant, group: str, member: str, *, is_in: bool) -> None:
        change = self.world.identity.add_member if is_in else self.world.identity.remove_member
        await change(tenant.admin, group, member)

    @rule(which=either, name=st.sampled_from((*PEOPLE, *GROUPS)), is_disabled=st.booleans())
    def disable_or_enable(self, which: int, name: str, *, is_disabled: bool) -> None:
        tenant = self.tenants[which]
        identity = self.world.identity
        self._count("disable or enable")
        self.stage.run((identity.disable_principal if is_disabled else identity.enable_principal)(tenant.admin, name))
        (tenant.disabled.add if is_disabled else tenant.disabled.discard)(name)

    @rule(which=either, person=people, through=st.sets(st.sampled_from((*GROUPS, "everyone")), max_size=2))
    def narrow_a_key(self, which: int, person: str, through: set[str]) -> None:
        tenant = self.tenants[which]
        if len(tenant.askers) < 6 and person not in tenant.disabled:
            self._count("narrow a key")
            held = tenant.groups(person)
            self.stage.run(self._new_key(tenant, person, frozenset(through & held)))

    @rule(which=either, place=st.integers(1, 5))
    def revoke_a_key(self, which: int, place: int) -> None:
        tenant = self.tenants[which]
        if place < len(tenant.askers) and not tenant.askers[place].is_revoked:
            asker = tenant.askers[place]
            self._count("revoke a key")
            self.stage.run(self.world.identity.revoke_key(tenant.admin, str(asker.principal.key)))
            asker.is_revoked = True

    @rule(is_given=st.booleans())
    def lend_a_feature_of_the_first_to_the_second(self, *, is_given: bool) -> None:
        first, second = self.tenants
        identity = self.world.identity
        if is_given != self.is_granted:
            grantee = str(second.admin.tenant)
            change = identity.create_grant if is_given else identity.revoke_grant
            self._count("lend or take back")
            self.stage.run(change(first.admin, "assistant", grantee))
            self.is_granted = is_given

    @rule(which=either, person=people)
    def record_a_request(self, which: int, person: str) -> None:
        """A trace, a stored response, an experiment's answer and judgements: all quote what the asker may read now."""
        tenant = self.tenants[which]
        asker = next(each for each in tenant.askers if each.name == person)
        by_path = self.reads.ids(tenant)
        shown = tenant.readable(asker)
        documents = [by_path[path] for path in shown]
        canary = new_canary()
        self.canaries[canary] = tenant
        who, at = asker.principal, datetime(2026, 11, 18, tzinfo=UTC)
        trace, span = new_id(), new_id()
        usage = UsageRow(who.tenant, at, trace, trace, "chat", "answer", "assistant", principal_id=who.id)
        stage = Span(who.tenant, at, trace, span, "request", at, principal_id=who.id, documents=list(documents))
        self.stage.run(self.stage.keyring.ensure(self.stage.db, who.tenant))
        payload = msgspec.json.encode({"question": QUESTION, "answer": canary})
        stage.payload = self.stage.keyring.seal(who.tenant, "span.payload", span, payload)
        self._count("record a trace")
        self.stage.run(store(self.stage.db, [usage_line(usage) + span_line(stage)]))
        tenant.traces.append(Quoting(trace, person, documents, canary))
        response, body = new_response_id(), msgspec.json.encode({"output": [], "text": canary})
        making = Making(documents=tuple(documents))
        self._count("keep a response")
        self.stage.run(self.stage.responses.keep(who, response, [], body, making=making))
        tenant.responses.append(Quoting(uuid.UUID(response.removeprefix("resp_")), person, documents, canary))
        kept = self.reads.judged_answers.keep(tenant, asker, tenant.traces[-1], list(shown.values()))
        tenant.judged.append(self.stage.run(kept))

    @rule(
        which=either, lists=every_lists, is_cut_as_before=st.booleans(),
        wanted=st.lists(st.tuples(either, st.integers(0, 5), st.none() | turns), min_size=3, max_size=9),
    )  # fmt: skip
    def ask_all_at_once_while_lists_change(
        self, which: int, lists: Lists, wanted: Sequence[tuple[int, int, int | None]], *, is_cut_as_before: bool
    ) -> None:
        """More askers than connections; some leave in the middle of a statement. Each sees the old state or the new."""
        tenant = self.tenants[which]
        if is_cut_as_before:
            lists = replace(lists, rule=tenant.lists.rule)
        later = tenant.declared(lists)
        self._count("grant, revoke or deny among readers")
        self.stage.run(self._storm(tenant, later, wanted))
        tenant.declare(lists)

    async def _storm(self, tenant: Tenant, later: Tenant, wanted: Sequence[tuple[int, int, int | None]]) -> None:
        async def ask(which: int, place: int) -> None:
            of = self.tenants[which]
            asker = of.askers[place % len(of.askers)]
            await self.reads.search_meanwhile([of, later] if of is tenant else [of], asker)
            await self.reads.tenants(of, asker)

        tasks = []
        for which, place, left_after in wanted:
            task = asyncio.ensure_future(ask(which, place))
            tasks.append(task)
            if left_after is not None:
                asyncio.get_running_loop().call_later(left_after / 3000, task.cancel)
        await self._declare(tenant, later.lists)
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            self.stage.tally["hung up"] += isinstance(done, asyncio.CancelledError)
            if isinstance(done, BaseException) and not isinstance(done, asyncio.CancelledError):
                raise done

    # ── What breaks ──

    @rule(
        which=either, lists=every_lists, group=st.sampled_from(GROUPS), member=people, after=turns, is_in=st.booleans()
    )
    def kill_backends_in_the_middle(
        self, which: int, lists: Lists, group: str, member: str, after: int, *, is_in: bool
    ) -> None:
        """Of lists that change, of a membership and of durable work: all of it or nothing is there."""
        tenant = self.tenants[which]
        self._count("crash")
        what = after % 3
        if what == 0:
            self._crash(self._declare(tenant, lists), after)
            if self._stored_lists(tenant) == (lists.readers, lists.denied):
                tenant.declare(lists)
            self.stage.run(self._declare(tenant, tenant.lists))  # whichever it is, it is whole when it is said again
        elif what == 1:
            self._crash(self._change_group(tenant, group, member, is_in=is_in), after)
            edges = self.stage.behind.execute(
                "SELECT count(*) FROM membership WHERE group_id = %s AND principal_id = %s",
                [tenant.ids[group], tenant.ids[member]],
            ).fetchone()
            (tenant.edges.add if edges == (1,) else tenant.edges.discard)((member, group))
        else:
            self._crash(self.world.drain(), after)
            self.stage.run(self.world.retrieval.catch_up())
            self._drain()

    def _crash(self, action: Coroutine[Any, Any, Any], after: int) -> None:
        """One time in nine all connections are lost, as when PostgreSQL restarts."""
        end = partial(self.stage.end_backends, also_idle=after % 10 == 0)

        async def broken() -> None:
            task = asyncio.ensure_future(action)
            loop = asyncio.get_running_loop()
            timer = loop.call_later(after / 5000, end)
            try:
                await task
            except (HeadworksError, psycopg.Error):
                self.stage.tally["crashed in the middle"] += 1
            finally:
                timer.cancel()

        self.stage.run(broken())
        end()

    def _stored_lists(self, tenant: Tenant) -> tuple[frozenset[str], frozenset[str]]:
        found = []
        for table in ("collection_reader", "collection_denial"):
            rows = self.stage.behind.execute(
                f"SELECT p.name FROM {table} JOIN principal p USING (tenant_id, principal_id) WHERE tenant_id = %s",
                [tenant.admin.tenant],
            )
            found.append(frozenset(str(row[0]) for row in rows))
        return found[0], found[1]

    # ── What must always be true ──

    @invariant()
    def everybody_sees_what_the_model_says(self) -> None:
        if not self.tenants:
            return
        self.step += 1
        self.stage.run(self.reads.look(self.step, is_granted=self.is_granted))

    def teardown(self) -> None:
        self.stage.run(self._nothing_was_told())
        self.stage.heard.lines.clear()

    async def _nothing_was_told(self) -> None:
        told = "\n".join(self.stage.heard.lines)
        assert self.canaries.keys().isdisjoint(CANARY.findall(told)), "what documents say was logged"
        kept = self.stage.kept_by_dbos()
        assert all(str(each.admin.tenant) in kept for each in self.tenants), "the durable work of this example"
        assert self.canaries.keys().isdisjoint(CANARY.findall(kept)), "what documents say is kept by durable work"


def _as_spec(rule: Rule) -> SectionSpec:
    return SectionSpec(rule.documents, HEADING, tuple(sorted(rule.readers)), tuple(sorted(rule.denied)))


def tenant_chunking(tenant: Tenant) -> ChunkingSpec:
    """How its documents are cut; always each piece into one chunk."""
    return ChunkingSpec(tokens=200 - tenant.chunking % 20)
