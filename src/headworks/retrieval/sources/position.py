"""How far a sync of a source is: what is kept, sealed, between the steps of a sync and from one sync to the next."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

import orjson

from headworks.storage.sealing import Keyring
from headworks.types.ids import TenantId


@dataclass(slots=True)
class Position:
    """Where a sync goes on."""

    cursor: str = ""
    """Of changes."""
    taken: list[str] = field(default_factory=list)
    """Of the page of changes at `cursor`: what was handed in before the page was cut off."""
    retry: list[str] = field(default_factory=list)
    """What could not be fetched, and is tried again when the next sync begins."""
    has_retried: bool = False
    has_restarted: bool = False
    """The source had forgotten the cursor."""
    place: str = ""
    """Of the sweep."""
    here: dict[str, list[list[str]] | None] = field(default_factory=dict)
    """Of the sweep so far: paths, the ids of their readers and of whom they are closed to (None: it does not say)."""
    read_at: datetime | None = None
    """When the sweep began, by the database's clock: that old are the readers that it tells."""
    errors: int = 0
    """How often in a row the source failed."""
    refusals: int = 0
    """How often in a row it asked for fewer requests."""
    waited_s: float = 0.0
    """How long it was waited for, all these refusals together."""

    def begin_sweep(self, now: datetime) -> None:
        """From the first page."""
        self.place, self.here, self.read_at = "", {}, now

    def progressed(self) -> None:
        """The source has given something: whatever was wrong with it is over."""
        self.errors, self.refusals, self.waited_s = 0, 0, 0.0

    def ended(self) -> Position:
        """What the next sync begins with."""
        return Position(cursor=self.cursor, retry=self.retry)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of `find_source`."""

    source_id: UUID
    collection_id: UUID
    name: str
    sync_id: UUID | None
    chain: UUID | None
    phase: str
    step: int
    state: bytes | None
    looked_at: int
    expected: int | None
    readable_until: datetime | None
    held_back: int | None
    confirmed: bool


def seal(keyring: Keyring, tenant: TenantId, source: UUID, position: Position) -> bytes:
    """A value for `source.state`. The keyring must know the tenant."""
    return keyring.seal(tenant, "source.state", str(source), orjson.dumps(asdict(position)))


def unseal(keyring: Keyring, tenant: TenantId, row: SourceRow) -> Position:
    """Where the source's sync is; at the beginning where nothing is stored."""
    if row.state is None:
        return Position()
    stored = orjson.loads(keyring.open(tenant, "source.state", str(row.source_id), row.state))
    read_at = stored.pop("read_at")
    return Position(**stored, read_at=None if read_at is None else datetime.fromisoformat(read_at))
