"""Why somebody may or may not read a document: asked by administrators, answered by PostgreSQL, audited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from headworks.errors import NotFound
from headworks.identity.contract import Way
from headworks.identity.service import allow
from headworks.records.audit import note_audit
from headworks.retrieval.access import denials
from headworks.retrieval.access.readers import own_list, read_patterns
from headworks.retrieval.contract import Admission, Directory, Explanation
from headworks.retrieval.store import SQL
from headworks.storage.pool import Database
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, PrincipalId
from headworks.types.storable import storable


@dataclass(frozen=True, slots=True)
class _Lists:
    """Who is admitted and who is denied, as it is stored, and the names of all of them."""

    row: Any
    """Of `find_document`."""
    readers: list[frozenset[PrincipalId]]
    denied: list[frozenset[PrincipalId]]
    """On the collection, on the document (of a section: its file), and on the section itself."""
    names: Mapping[PrincipalId, str]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Whom it is asked about, with the groups that he is in."""

    id: PrincipalId
    name: str
    ways: Mapping[PrincipalId, Way]

    def of(self, listed: Iterable[PrincipalId], *, is_open: bool) -> list[PrincipalId]:
        """Those of a list that he is; `is_open`: only by ways without a disabled group, as a list admits."""
        return [
            each
            for each in listed
            if each == self.id or (each in self.ways and (self.ways[each].is_open or not is_open))
        ]


class Explainer:
    """Asks as the one in question, and as the curator for the lists that he would have to be on."""

    def __init__(self, db: Database, directory: Directory) -> None:
        self._db = db
        self._directory = directory

    async def explain(self, asker: Principal, collection: str | None, document: str, name: str) -> Explanation:
        """Why the user or service account `name`, by a whole key, may or may not read a document (its id or path).

        Needs `reader:explain`. Raises NotFound for an unknown principal or document.
        """
        allow(asker, "reader:explain")
        principal = await self._directory.as_reader(asker, name)
        lists = await self._lists(asker, collection, document)
        row = lists.row
        reader = _Reader(principal.id, name, await self._directory.ways_up(asker, principal.id))
        async with self._db.tx(principal) as tx:
            may_read = await tx.fetch_one(SQL.read_document, tenant=asker.tenant, document=row.document_id) is not None
        first = _admission(
            "collection", f"`readers` of the collection `{row.collection}`", lists.readers[0], lists.names, reader
        )
        first = _with_denials(first, lists.denied[0], lists.names, reader)
        second = _with_denials(_own_admission(lists, reader), lists.denied[1], lists.names, reader)
        admissions: tuple[Admission, ...] = (first, second)
        if row.part_of is not None:
            listed = _admission(
                "section", f"the rule {row.cut_by} of the collection", lists.readers[2], lists.names, reader
            )
            admissions = (*admissions, _with_denials(listed, lists.denied[2], lists.names, reader))
        obstacles = _obstacles(row)
        reason = _reason(name, obstacles, admissions, may_read=may_read)
        found = Explanation(
            DocumentId(row.document_id), row.collection, row.path, row.title, name, may_read, reason, admissions,
            obstacles,
        )  # fmt: skip
        await self._note(asker, found)
        return found

    async def _lists(self, asker: Principal, collection: str | None, document: str) -> _Lists:
        curator = await self._directory.curator(asker.tenant)
        of_tenant = {"tenant": asker.tenant}
        async with self._db.tx(curator) as tx:
            row = await tx.fetch_one(
                SQL.find_document,
                **of_tenant,
                document=_as_uuid(document),
                path=storable(document),
                collection=collection and storable(collection),
            )
            if row is None:
                raise NotFound(
                    f"There is no document `{document[:200]}`" + (f" in `{collection}`." if collection else "."),
                    next_step="Name it by its path as it was handed in, or by its id.",
                    param="document",
                )
            of_collection, of_document = {"collection": row.collection_id}, {"document": row.part_of or row.document_id}
            of_section = {"document": row.document_id}
            found = [
                await tx.fetch_all(SQL.list_collection_readers, **of_tenant, **of_collection),
                await tx.fetch_all(SQL.list_document_readers, **of_tenant, **of_document),
                await tx.fetch_all(SQL.list_document_readers, **of_tenant, **of_section),
                await tx.fetch_all(denials.SQL.list_of_collection, **of_tenant, **of_collection),
                await tx.fetch_all(denials.SQL.list_of_document, **of_tenant, **of_document),
                await tx.fetch_all(denials.SQL.list_of_document, **of_tenant, **of_section),
            ]
        lists = [frozenset(PrincipalId(each.principal_id) for each in rows) for rows in found]
        names = await self._directory.names_of(asker, frozenset[PrincipalId]().union(*lists))
        return _Lists(row, lists[:3], lists[3:], names)

    async def _note(self, asker: Principal, found: Explanation) -> None:
        async with self._db.tx(asker) as tx:
            told = {"principal": found.principal, "may_read": found.may_read}
            await note_audit(tx, asker, "reader.explain", f"document:{found.document}", told)


def _as_uuid(document: str) -> UUID | None:
    try:
        return UUID(document)
    except ValueError:
        return None


def _admission(
    kind: Literal["collection", "document", "section"],
    origin: str,
    listed: frozenset[PrincipalId],
    names: Mapping[PrincipalId, str],
    reader: _Reader,
) -> Admission:
    by = sorted((names[each], each) for each in reader.of(listed, is_open=True) if each in names)
    ways = [reader.ways[each].groups if each in reader.ways else () for _, each in by]
    return Admission(kind, origin, _named(listed, names), tuple(name for name, _ in by), bool(by), tuple(ways))


def _own_admission(lists: _Lists, reader: _Reader) -> Admission:
    row = lists.row
    if not (row.restricted if row.part_of is None else row.file_restricted):
        return Admission("document", "it has no list of its own", (), (), admits=True)
    own = own_list(row.file, read_patterns(row.settings), row.given_readers)
    is_pattern = own is not None and own.pattern is not None
    origin = f"the pattern `{own.pattern}` of the collection" if own and is_pattern else "given when it was handed in"
    return _admission("document", origin, lists.readers[1], lists.names, reader)


def _with_denials(
    found: Admission, denied: frozenset[PrincipalId], names: Mapping[PrincipalId, str], reader: _Reader
) -> Admission:
    """The same list with the deny entries beside it. A group that is disabled denies all the same."""
    by = _named(reader.of(denied, is_open=False), names)
    return replace(found, denied=_named(denied, names), denied_by=by, admits=found.admits and not by)


def _named(ids: Iterable[PrincipalId], names: Mapping[PrincipalId, str]) -> tuple[str, ...]:
    return tuple(sorted(names[each] for each in ids if each in names))


def _obstacles(row: Any) -> tuple[str, ...]:  # noqa: ANN401 -- a row of `find_document`
    """Why nobody reads it, whatever the lists say."""
    found = []
    if row.is_gone:
        found.append("it vanished from its source")
    if row.is_bare:
        found.append("the text of it is not there (yet): its sections are cut anew when its collection's file changes")
    if row.is_early:
        found.append(f"it is valid only from {row.valid_from:%Y-%m-%d %H:%M} UTC on")
    if row.is_late:
        found.append(f"it was valid until {row.valid_to:%Y-%m-%d %H:%M} UTC")
    if row.is_stale:
        since = f" since {row.readable_until:%Y-%m-%d %H:%M} UTC" if row.readable_until else ""
        found.append(
            f"its source `{row.told_by}` has not told its readers for too long, or not since the collection's file "
            f"names others for them, so it hides{since} until a sync ends"
        )
    return tuple(found)


def _reason(name: str, obstacles: tuple[str, ...], admissions: tuple[Admission, ...], *, may_read: bool) -> str:
    if may_read:
        ways = " and ".join(way for each in admissions for way in _through(each))
        return f"`{name}` may read it, by {ways}: {'both' if len(admissions) == 2 else 'all'} lists admit."
    if obstacles:
        return f"Nobody may read it: {'; '.join(obstacles)}."
    for each in admissions:
        if each.denied_by:
            closed = " and ".join(_quoted(name, denied) for denied in each.denied_by)
            return f"`{name}` may not read it: the {each.kind} is closed to {closed}, and that goes before every list."
    for each in admissions:
        if not each.listed and not each.admits:
            return f"Nobody may read it: the list ({each.origin}) is empty."
        if not each.admits:
            listed = ", ".join(f"`{reader}`" for reader in each.listed)
            return f"`{name}` may not read it: only {listed} may ({each.origin}), and `{name}` is in none of them."
    return f"`{name}` may not read it: the account or the group that would admit it is disabled."


def _quoted(name: str, denied: str) -> str:
    return f"`{denied}`" if denied == name else f"`{denied}`, which `{name}` is in"


def _through(admission: Admission) -> list[str]:
    """The name that admits, and how one is in it where that is not plain to see."""
    for by, way in zip(admission.by, admission.ways, strict=True):
        between = f" (through {' → '.join(f'`{each}`' for each in way[:-1])})" if len(way) > 1 else ""
        return [f"`{by}`{between}"]
    return []
