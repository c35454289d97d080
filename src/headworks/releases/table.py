"""What is live, as the request path sees it: immutable, of all tenants, re-made when something moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headworks.types.features import Feature, Route
from headworks.types.ids import TenantId
from headworks.types.workspace import AccountSpec


@dataclass(frozen=True, slots=True)
class ReleaseTable:
    """Features by (tenant, name) and then channel; routes and accounts by (tenant, name)."""

    features: Mapping[tuple[TenantId, str], Mapping[str, Feature]] = field(default_factory=dict)
    routes: Mapping[tuple[TenantId, str], Route] = field(default_factory=dict)
    accounts: Mapping[tuple[TenantId, str], AccountSpec] = field(default_factory=dict)

    def feature(self, tenant: TenantId, name: str, channel: str = "prod") -> Feature | None:
        """The feature's release on a channel, or None."""
        return self.features.get((tenant, name), {}).get(channel)

    def names(self, tenant: TenantId) -> list[str]:
        """All features with a `prod` release and all routes of a tenant."""
        features = [name for (owner, name), channels in self.features.items() if owner == tenant and "prod" in channels]
        return sorted(features + [name for owner, name in self.routes if owner == tenant])
