"""The documents that sections with readers of their own become: put beside their file, and cut anew by other rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from headworks.retrieval import collections, freshness
from headworks.retrieval.access import denials
from headworks.retrieval.access.sections import Section, read_rules
from headworks.retrieval.store import INGEST_SQL, Payloads
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import new_id

SQL = load("headworks.retrieval.access", "sections.sql")


async def put(tx: Tx, curator: Principal, payloads: Payloads, file: UUID, section: Section) -> UUID:
    """A section as a document of its own: new, or a new version. The file's row is as it will be."""
    rule, of_tenant = section.rule, {"tenant": curator.tenant}
    row = await tx.fetch_one(
        SQL.put_part,
        **of_tenant, document=new_id(), file=file, part=section.name, rule=rule.name,
        title=section.parsed.title[:500], characters=len(section.parsed.text),
    )  # fmt: skip
    document: UUID = row.document_id
    await tx.run(INGEST_SQL.delete_chunks, **of_tenant, documents=[document])
    await freshness.note_versions(tx, curator, {document: row.version})
    sealed = payloads.seal_text(document, row.version, section.parsed)
    await tx.run(INGEST_SQL.put_text, **of_tenant, document=document, version=row.version, content=sealed)
    await collections.set_readers(tx, curator, [document], rule.readers)
    await tx.run(denials.SQL.set_of_documents, **of_tenant, documents=[document], denied=sorted(rule.denied))
    return document


async def drop_others(tx: Tx, curator: Principal, file: UUID, sections: Sequence[Section]) -> None:
    """Those that the file no longer has vanish."""
    await tx.run(SQL.tombstone_parts, tenant=curator.tenant, file=file, parts=[each.name for each in sections])


def unused(settings: Mapping[str, Any], used: Sequence[str]) -> str:
    """A sentence on the rules that no section is there by; empty: each has one."""
    idle = [each.name for each in read_rules(settings) if each.name not in used]
    return f"No heading matches {', '.join(dict.fromkeys(idle))}: nothing is kept apart by it." if idle else ""
