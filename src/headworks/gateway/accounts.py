"""Which provider a name stands for: the caller's own accounts, this process, what was found, the catalogue."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from headworks.errors import NotFound
from headworks.providers.builtin import Builtin
from headworks.providers.catalog import Catalog, Found
from headworks.providers.compatible import Compatible
from headworks.providers.contract import Provider
from headworks.providers.reaching import Clients
from headworks.providers.vendors import VENDORS
from headworks.types.workspace import AccountSpec


class Accounts:
    """Makes providers when they are first named, and keeps them with their connections."""

    def __init__(
        self,
        clients: Clients,
        builtin: Builtin,
        environ: Mapping[str, str],
        found: Sequence[Found] = (),
        catalog: Catalog | None = None,
    ) -> None:
        """`found` are what `catalog.discover` gave: local servers with their ports and models."""
        self._clients = clients
        self._builtin = builtin
        self._environ = environ
        self._catalog = catalog or Catalog.load()
        self._found = {each.provider.id: each for each in found}
        self._made: dict[str | AccountSpec, Provider] = {}

    def find(self, name: str, account: AccountSpec | None) -> tuple[Provider, str]:
        """The provider, and the catalogue id of its prices. Raises NotFound with near names."""
        if name == self._builtin.name:
            return self._builtin, name
        key = account or name
        if key not in self._made:
            self._made[key] = self._make(name, account)
        return self._made[key], account.kind if account else name

    def models(self) -> list[str]:
        """`provider/model` of all that can be called by name without asking a remote provider for its list."""
        local = [f"{each.provider.id}/{model}" for each in self._found.values() for model in each.models]
        return [f"builtin/{model}" for model in self._builtin.models] + local

    def named(self) -> list[str]:
        """What can be called by name without an account of one's own, once its key is there."""
        return [*(row.id for row in self._catalog), *VENDORS]

    def _make(self, name: str, account: AccountSpec | None) -> Provider:
        kind = account.kind if account else name
        found = self._found.get(kind)
        base_url = found.base_url if found and account is None else None
        client = self._clients.of(account)
        if (vendor := VENDORS.get(kind)) is not None:
            return vendor.make(client, self._environ, account=account)
        row = self._catalog.get(kind)
        if row is None:
            raise self.unknown(name)
        return Compatible(row, client, self._environ, account=account, base_url=base_url)

    def unknown(self, name: str, others: Iterable[str] = ()) -> NotFound:
        """The error for a provider that there is not."""
        known = ["builtin", *(row.id for row in self._catalog), *VENDORS, *others]
        near = difflib.get_close_matches(name, known, n=3)
        return NotFound(
            f"There is no provider `{name}`.",
            next_step=f"Near names: {', '.join(near)}." if near else "docs/reference/providers.md lists them.",
            param="model",
            code="model_not_found",
        )
