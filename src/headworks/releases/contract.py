"""What releases ask of the rooms above and beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from headworks.storage.pool import Tx
from headworks.types.identity import Principal
from headworks.types.ids import ProjectId
from headworks.types.workspace import CollectionSpec


class SchemaWrong(ValueError):
    """A JSON schema that is not taken: what is wrong, and where.

    `path` leads to the place in the schema; `line` is set where the text is no JSON at all.
    """

    def __init__(self, message: str, path: tuple[str | int, ...] = (), line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line


class SchemaReader(Protocol):
    """guardrails.schema.read_output_schema, injected by app.py."""

    def __call__(self, text: str, *, is_strict: bool) -> bytes:
        """The schema as compact JSON, its members in their own order. Raises SchemaWrong.

        `is_strict` asks also for what providers that decode strictly demand.
        """
        ...


class SplitLock(Protocol):
    """evaluation's lock on the splits of golden files, injected by app.py. In the caller's transaction."""

    async def check(
        self, tx: Tx, principal: Principal, project: ProjectId, files: Mapping[str, bytes], unlock: str = ""
    ) -> None:
        """Raise Conflict (`split_locked`) where an example would move to another split, unless `unlock` says why."""
        ...

    async def keep(
        self, tx: Tx, principal: Principal, project: ProjectId, files: Mapping[str, bytes], unlock: str = ""
    ) -> None:
        """As `check`; then remember in which split each is now."""
        ...


class CollectionDeclarer(Protocol):
    """Implemented by retrieval, injected by app.py."""

    async def check(self, principal: Principal, specs: Sequence[CollectionSpec]) -> None:
        """Raise what `declare` would of readers and settings, with nothing changed."""
        ...

    async def declare(self, principal: Principal, project: ProjectId, specs: Sequence[CollectionSpec]) -> None:
        """Make the tenant's collections as declared; nothing is deleted. Unknown readers raise WorkspaceInvalid."""
        ...
