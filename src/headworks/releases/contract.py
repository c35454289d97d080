"""What releases ask of the rooms above and beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headworks.types.identity import Principal
from headworks.types.ids import ProjectId
from headworks.types.workspace import CollectionSpec


class CollectionDeclarer(Protocol):
    """Implemented by retrieval, injected by app.py."""

    async def declare(self, principal: Principal, project: ProjectId, specs: Sequence[CollectionSpec]) -> None:
        """Make the tenant's collections as declared; nothing is deleted. Unknown readers raise WorkspaceInvalid."""
        ...
