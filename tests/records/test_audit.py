"""Audit events: written with what they tell of, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from release_world import World, guest, shared_superuser, shared_urls

from headworks.identity.store import AtTheDoor
from headworks.records.audit import note_audit

__all__ = ["guest", "shared_superuser", "shared_urls"]


async def test_an_event_says_who_and_nobody_is_nobody(guest: World, shared_superuser: Any) -> None:
    for who in (guest.admin, AtTheDoor(guest.admin.tenant)):
        async with guest.db.tx(who) as tx:
            await note_audit(tx, who, "test.note", "it", {"size": 7})
    rows = shared_superuser.execute(
        "SELECT principal_id, subject, detail FROM audit_event WHERE action = 'test.note' AND tenant_id = %s"
        " ORDER BY principal_id NULLS LAST",
        [guest.admin.tenant],
    ).fetchall()
    assert rows == [(guest.admin.id, "it", {"size": 7}), (None, "it", {"size": 7})]


async def test_what_is_not_done_is_not_told(guest: World, shared_superuser: Any) -> None:
    async def fail() -> None:
        async with guest.db.tx(guest.admin) as tx:
            await note_audit(tx, guest.admin, "test.undone", "it")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    told = "SELECT count(*) FROM audit_event WHERE action = 'test.undone' AND tenant_id = %s"
    assert shared_superuser.execute(told, [guest.admin.tenant]).fetchone() == (0,)
