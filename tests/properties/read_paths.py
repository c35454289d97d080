"""Every way to read, each checked against the model: what is given and what is refused, to whom of which tenant."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headworks.errors import Forbidden, ModelMissing, NotFound
from headworks.gateway.stored.contract import PREFIX
from headworks.retrieval.contract import Ranking
from headworks.types.ids import DocumentId
from headworks.types.retrieval import Citation, Passage

from .judged import JudgedAnswers
from .model import CANARY, HEADING, QUESTION, Asker, Quoting, Shown, Tenant, joined

if TYPE_CHECKING:
    from .stage import Stage

COLLECTION = "handbook"
RANKINGS: tuple[Ranking, ...] = ("keywords", "vectors", "hybrid")
_OF_DOCUMENTS = "^(document|document_text|chunk|embedding.*)$"
_QUOTED = 120
"""Characters of a passage that is to be cited: its heading, its canary and some words."""
_BEHIND = """
SELECT DISTINCT ON (d.shown_path) d.shown_path, d.document_id, d.version, c.ordinal, c.start_offset, c.end_offset
FROM document d LEFT JOIN chunk c USING (tenant_id, document_id)
WHERE d.tenant_id = %s AND d.tombstoned_at IS NULL
ORDER BY d.shown_path, c.ordinal DESC
"""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A document as it stands in the database, and the place of its last chunk."""

    id: uuid.UUID
    version: int
    ordinal: int
    start: int
    end: int


class ReadPaths:
    """Asks as somebody, and compares. `look` goes through all of it in turns."""

    def __init__(self, stage: Stage, tenants: list[Tenant], canaries: dict[str, Tenant]) -> None:
        self._stage = stage
        self._tenants = tenants
        self._canaries = canaries
        self._there: dict[str, dict[str, _Stored]] = {}
        """By the tenants' names and by path: what there is during a look."""
        self.judged_answers = JudgedAnswers(stage, self._canaries_in)
        relations = _relations(stage)
        self._foreign = " UNION ALL ".join(
            f"SELECT '{relation}', count(*) FROM {relation} WHERE tenant_id <> %(tenant)s"
            + (" AND grantee_tenant_id <> %(tenant)s" if relation == "feature_grant" else "")
            for relation in relations
        )
        self._of_documents = " UNION ALL ".join(
            f"SELECT '{relation}', array_agg(DISTINCT {column}) FROM {relation}"
            for relation, column in [
                *[(each, "document_id") for each in relations if re.match(_OF_DOCUMENTS, each)],
                ("ingest_item", "handed_in_by"),
            ]
        )

    def _count(self, what: str, times: int = 1) -> None:
        self._stage.tally[f"read: {what}"] += times

    async def look(self, step: int, *, is_granted: bool) -> None:
        """As a few askers, over the read paths whose turn it is."""
        self._there = {each.name: self._look_behind(each) for each in self._tenants}
        for turn, tenant in zip((step, step // 2), self._tenants, strict=True):
            asker = tenant.askers[turn % len(tenant.askers)]
            await self.rows(tenant, asker)
            await self.search(tenant, asker, RANKINGS[turn % 3], (20, 1, 2, 3)[turn % 4])
        tenant = self._tenants[step % 2]
        asker = tenant.askers[step // 2 % len(tenant.askers)]
        await self.citations(tenant, asker)
        await self.documents(tenant, asker)
        turns = (
            self.tenants, self.lists, self.quoting, self.seen_as, self.judged, self.explained, self.versions
        )  # fmt: skip # a prime number of them, so that each comes to every asker
        await turns[step % len(turns)](tenant, asker)
        await self.rows(tenant, tenant.askers[(step // 3) % len(tenant.askers)])
        if step % 7 == 0:
            await self.grants(is_granted=is_granted)

    # ── By SQL that names no tenant: row-level security alone has to hold ──

    async def rows(self, tenant: Tenant, asker: Asker) -> None:
        by_path = self._ids(tenant)
        known = {by_path[path] for path in tenant.visible(asker)}
        ids = {by_path[path] for path in tenant.readable(asker)}
        self._count("rows")
        async with self._stage.db.tx(asker.principal) as tx:
            found = {row[0]: set(row[1] or ()) for row in await tx.fetch_all(self._of_documents)}
        handed_in_by = found.pop("ingest_item")
        for table, documents in found.items():
            wanted = known if table == "document" else ids
            assert documents == wanted, f"{asker.name} of {tenant.name} sees other documents in {table}"
        assert handed_in_by <= {asker.principal.id}, f"{asker.name} sees rows of others in ingest_item"

    async def tenants(self, tenant: Tenant, asker: Asker) -> None:
        """In every table and view that there is."""
        self._count("all tables")
        async with self._stage.db.tx(asker.principal) as tx:
            rows = await tx.fetch_all(self._foreign, tenant=asker.principal.tenant)
        crossed = {row[0]: row[1] for row in rows if row[1]}
        assert not crossed, f"{asker.name} of {tenant.name} sees rows of other tenants: {crossed}"

    # ── By the services ──

    async def search(self, tenant: Tenant, asker: Asker, ranking: Ranking, k: int) -> None:
        """What the model says is best, in its order, and nothing else; of the hybrid ranking at least how many."""
        try:
            found = await self._found(asker, ranking, k)
        except ModelMissing:
            live, asked = self._weights(tenant), self._stage.world.models.digest
            assert ranking == "vectors", f"search by {ranking} of {asker.name}: there are keywords"
            assert live != asked, f"search by {ranking} of {asker.name}: its weights are there"
            self._stage.tally["of other weights"] += 1
            return
        if found is None:
            assert not tenant.may_enter(asker), f"{asker.name} of {tenant.name} is refused what is open"
            self._stage.tally["refused"] += 1
            return
        assert tenant.may_enter(asker), f"{asker.name} of {tenant.name} enters what is closed"
        readable = {piece.canary for piece in tenant.pieces(asker)}
        assert set(found) <= readable, f"search by {ranking} of {asker.name}: what it may not read"
        if ranking == "hybrid":
            assert len(found) == min(k, len(readable)), f"search by {ranking} of {asker.name}: not enough"
        else:
            assert found == tenant.best(asker, ranking, k), f"search by {ranking} of {asker.name}: not the best"
        self._stage.tally["found"] += len(readable)
        self._stage.tally["hidden"] += sum(len(each.pieces) for each in tenant.shown()) - len(readable)
        self._stage.tally["section kept apart"] += len(list(tenant.shown())) > len(tenant.documents)
        self._stage.tally["cut anew"] += bool(tenant.bare)
        self._stage.tally["cut off"] += len(found) == k < len(readable)

    async def search_meanwhile(self, states: Sequence[Tenant], asker: Asker) -> None:
        """While lists change: each passage was readable before or after."""
        found = await self._found(asker, "hybrid", 20)
        readable = {piece.canary for state in states for piece in state.pieces(asker)}
        assert set(found or ()) <= readable, f"search by hybrid of {asker.name}: never readable"

    async def _found(self, asker: Asker, ranking: Ranking, k: int) -> list[str] | None:
        """The canaries of what was found, in order; None where there is no such collection."""
        self._count(f"search by {ranking}")
        try:
            result = await self._stage.world.retrieval.search(asker.principal, COLLECTION, QUESTION, k, ranking=ranking)
        except NotFound as error:
            self._canaries_in(str(error))
            return None
        found = [canary for each in result.passages for canary in self._canaries_in(each.text)]
        crossed = [each for each in found if self._canaries[each].admin.tenant != asker.principal.tenant]
        assert not crossed, f"search by {ranking} of {asker.name}: what another tenant has"
        return found

    async def citations(self, tenant: Tenant, asker: Asker) -> None:
        """Passages that somebody got hold of, of both tenants, are cited only as far as the caller may read them.

        One answer has them all: what may be cited stands beside what may not.
        """
        readable = tenant.readable(asker)
        quoted = [
            (other, shown)
            for other in self._tenants
            for shown in _some([each for each in other.shown() if each.pieces], slice(2))
        ]
        passages = [self._passage(number, *each) for number, each in enumerate(quoted, 1)]
        claims = [
            f"The note {shown.pieces[-1].canary} slot{shown.pieces[-1].slot:02} [{number}]."
            for number, (_, shown) in enumerate(quoted, 1)
        ]
        stream = self._stage.world.retrieval.citing(asker.principal, passages)
        self._count("citation", len(quoted))
        out = [*await stream.feed(" ".join(claims)), *await stream.finish()]
        cited = {each.number for each in out if isinstance(each, Citation)}
        for number, (other, shown) in enumerate(quoted, 1):
            may = other is tenant and shown.path in readable
            assert (number in cited) == may, f"citation of {shown.path} by {asker.name}"
            self._stage.tally["cited" if may else "not cited"] += 1

    async def documents(self, tenant: Tenant, asker: Asker) -> None:
        """Opened by their ids, one of each tenant, and found by their paths."""
        readable = tenant.readable(asker)
        retrieval = self._stage.world.retrieval
        for other in self._tenants:
            by_path = self._ids(other)
            for shown in _some(list(other.shown()), slice(1, 3)):
                self._count("document")
                try:
                    view = await retrieval.document(asker.principal, DocumentId(by_path[shown.path]))
                except NotFound:
                    assert other is not tenant or shown.path not in readable, f"{shown.path} is refused to {asker.name}"
                    continue
                assert other is tenant
                assert shown.path in readable, f"{asker.name} opens {shown.path}"
                assert set(self._canaries_in(repr(view))) == {piece.canary for piece in shown.pieces}
                has_heading = any(HEADING in piece.heading for piece in shown.pieces)
                assert (HEADING in repr(view)) == has_heading, f"{asker.name} sees other headings"

    async def versions(self, tenant: Tenant, asker: Asker) -> None:
        """The newest as the document itself, and the one before by the lists that it had, too."""
        readable = tenant.readable(asker)
        history = self._stage.world.retrieval.lifecycle.history
        for other in self._tenants:
            for shown in other.shown():
                there = self._there[other.name][shown.path]
                for version in range(max(1, there.version - 1), there.version + 1):
                    self._count("version")
                    is_newest = version == there.version
                    try:
                        said = self._canaries_in(await history.text(asker.principal, there.id, version))
                    except NotFound:
                        is_refused = other is tenant and shown.path in readable and is_newest
                        assert not is_refused, f"{shown.path} is refused to {asker.name}"
                        self._stage.tally["old version not given"] += not is_newest
                        continue
                    assert other is tenant
                    assert shown.path in readable, f"{asker.name} opens a version of {shown.path}"
                    if is_newest:
                        assert set(said) == {piece.canary for piece in shown.pieces}
                    else:
                        closed = [canary for canary in said if not tenant.could_read(asker, canary)]
                        assert not closed, f"{asker.name} opens an old version of {shown.path}"
                        self._stage.tally["old version given"] += 1

    async def lists(self, tenant: Tenant, asker: Asker) -> None:
        """Collections with how many documents there are, and documents by their paths."""
        visible = tenant.visible(asker)
        retrieval = self._stage.world.retrieval
        self._count("list", 2)
        views = await retrieval.list_collections(asker.principal)
        counted = {view.name: view.documents for view in views}
        expected = {COLLECTION: len(visible)} if tenant.may_enter(asker) else {}
        assert counted == expected, f"{asker.name} counts {counted}"
        try:
            wanted = [each.path for each in tenant.shown()]
            found = await retrieval.find_documents(asker.principal, COLLECTION, wanted)
        except NotFound:
            assert not tenant.may_enter(asker)
        else:
            assert {each.path for each in found} == set(visible), f"{asker.name} finds other paths"

    async def quoting(self, tenant: Tenant, asker: Asker) -> None:
        """Traces and stored responses: withheld as soon as one of the documents that they may quote is."""
        by_path = self._ids(tenant)
        readable = {by_path[path] for path in tenant.visible(asker)}
        for other in self._tenants:
            for trace in other.traces[-2:]:
                await self._trace(tenant, other, asker, trace, readable)
            for response in other.responses[-2:]:
                await self._response(tenant, other, asker, response, readable)

    async def judged(self, tenant: Tenant, asker: Asker) -> None:
        """Answers that were kept and judged: no word where one of the documents is hidden."""
        by_path = self._ids(tenant)
        readable = {by_path[path] for path in tenant.visible(asker)}
        for other in self._tenants:
            for each in other.judged[-1:]:
                is_readable = set(each.trace.documents) <= readable
                await self.judged_answers.look(tenant, other, asker, each, is_readable=is_readable)

    async def _trace(
        self, tenant: Tenant, other: Tenant, asker: Asker, trace: Quoting, readable: set[uuid.UUID]
    ) -> None:
        everybody = asker.principal.may("trace:read")
        self._count("trace")
        try:
            view = await self._stage.traces.show(asker.principal, trace.id)
        except NotFound:
            assert other is not tenant or not (everybody or trace.name == asker.name)
            return
        assert other is tenant
        assert everybody or trace.name == asker.name, f"{asker.name} sees the trace of {trace.name}"
        shown = {each.payload["answer"] for each in view.spans if each.payload is not None}
        may = set(trace.documents) <= readable
        self._stage.tally["payload shown" if may else "payload withheld"] += 1
        assert shown == ({trace.canary} if may else set()), f"payload for {asker.name}"

    async def _response(
        self, tenant: Tenant, other: Tenant, asker: Asker, response: Quoting, readable: set[uuid.UUID]
    ) -> None:
        may = other is tenant and asker.name == response.name and set(response.documents) <= readable
        self._count("stored response")
        try:
            found = await self._stage.responses.find(asker.principal, PREFIX + response.id.hex)
        except NotFound:
            assert not may, f"a stored response is refused to {asker.name}"
            return
        assert may, f"{asker.name} gets a stored response of {response.name}"
        assert self._canaries_in(found.body.decode()) == [response.canary]
        self._stage.tally["response given"] += 1

    async def seen_as(self, tenant: Tenant, asker: Asker) -> None:
        """An administrator sees what somebody would by a whole key, and nobody else may."""
        whole = Asker(tenant.askers[1].principal, tenant.askers[1].name)
        identity = self._stage.world.identity
        self._count("seen as")
        try:
            seen = await identity.seen_as(asker.principal, whole.name, "POST /api/search")
        except Forbidden:
            assert asker.name != "admin"
            return
        assert asker.name == "admin", f"{asker.name} sees as {whole.name}"
        await self.search(tenant, Asker(seen, whole.name), "keywords", 20)

    async def explained(self, tenant: Tenant, asker: Asker) -> None:
        """What an administrator is told is so."""
        whole = Asker(asker.principal, asker.name)
        for shown in _some(list(tenant.shown()), slice(1)):
            self._count("explanation")
            found = await self._stage.world.retrieval.explain(tenant.admin, COLLECTION, shown.path, asker.name)
            may = shown.path in tenant.readable(whole)
            assert found.may_read == may, f"explanation of {shown.path} for {asker.name}"

    async def grants(self, *, is_granted: bool) -> None:
        for tenant, direction in zip(self._tenants, ("given", "received"), strict=True):
            self._count("grants")
            found = await self._stage.world.identity.list_grants(tenant.admin)
            assert [each.direction for each in found] == ([direction] if is_granted else [])

    # ── Behind the scenes ──

    def _canaries_in(self, text: str) -> list[str]:
        return [canary for canary in dict.fromkeys(CANARY.findall(text)) if canary in self._canaries]

    def ids(self, tenant: Tenant) -> dict[str, uuid.UUID]:
        """Of the documents that there are now, by path."""
        return {path: each.id for path, each in self._look_behind(tenant).items()}

    def _ids(self, tenant: Tenant) -> dict[str, uuid.UUID]:
        return {path: each.id for path, each in self._there[tenant.name].items()}

    def _look_behind(self, tenant: Tenant) -> dict[str, _Stored]:
        rows = self._stage.behind.execute(_BEHIND, [tenant.admin.tenant]).fetchall()
        found = {path: _Stored(*stored) for path, *stored in rows}
        missing = {each.path for each in tenant.shown()} - set(found)
        assert not missing, f"{sorted(missing)} of {tenant.name} are not there"
        return found

    def _weights(self, tenant: Tenant) -> str:
        """The digest of those that made the vectors that serve."""
        row = self._stage.behind.execute(
            "SELECT g.model_digest FROM collection c JOIN generation g USING (tenant_id, generation_id) "
            "WHERE c.tenant_id = %s",
            [tenant.admin.tenant],
        ).fetchone()
        assert row is not None
        return str(row[0])

    def _passage(self, number: int, tenant: Tenant, shown: Shown) -> Passage:
        """Where the last chunk begins."""
        at = self._there[tenant.name][shown.path]
        text = joined(shown.pieces)[at.start : at.end][:_QUOTED]
        end = at.start + len(text)
        return Passage(
            number, DocumentId(at.id), at.version, shown.path, "Note", (), at.ordinal, at.start, end, text, 1.0
        )


def _some(there: list[Shown], places: slice) -> list[Shown]:
    """A few of them: those at these places, and a section that was cut off."""
    return list(dict.fromkeys([*there[places], *[each for each in there if "#" in each.path][:1]]))


def _relations(stage: Stage) -> list[str]:
    """Every table and view that requests may read and that has tenants, as the catalogue has them now."""
    rows = stage.behind.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "WHERE c.relnamespace = 'headworks'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'm') "
        "AND has_table_privilege('hw_app', c.oid, 'SELECT') ORDER BY 1"
    ).fetchall()
    return [str(row[0]) for row in rows]
