"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from headworks.types.ids import KeyId, PrincipalId, TenantId

PrincipalKind = Literal["user", "service", "group", "curator"]


class ShownKey:
    """An API key as a caller shows it, hashed once for all requests that it comes with. Its text is never printed."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        """Empty where none was shown."""
        self.digest = blake2b(text.encode("utf-8", "replace"), digest_size=32).digest()


NO_KEY = ShownKey("")


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was authenticated; made only by `identity`.

    `permissions` are what this very key or session may do: the principal's, met with the key's. `groups` are ids for
    display; who may read is always joined in the database, never taken from here.
    """

    tenant: TenantId
    id: PrincipalId
    name: str
    kind: PrincipalKind
    permissions: frozenset[str]
    key: KeyId | None = None
    allowed_models: frozenset[str] | None = None
    groups: frozenset[PrincipalId] = frozenset()
    is_narrowed: bool = False
    seen_by: Principal | None = None
    """An administrator who looks at what this one may read. What that costs is theirs; nothing else is done so."""

    def may(self, permission: str) -> bool:
        """Whether this key or session holds a permission such as `model:call`."""
        return permission in self.permissions
