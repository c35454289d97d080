"""Which provider a name stands for: the caller's own accounts, this process, what was found, the catalogue."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from headworks.errors import NotFound
from headworks.providers import anthropic, bedrock, gemini
from headworks.providers.anthropic import Anthropic
from headworks.providers.bedrock import Bedrock
from headworks.providers.builtin import Builtin
from headworks.providers.catalog import Catalog, Found
from headworks.providers.compatible import Compatible
from headworks.providers.contract import Provider
from headworks.providers.gemini import Gemini
from headworks.providers.upstream import Upstream
from headworks.types.workspace import AccountSpec


class _Make(Protocol):
    def __call__(
        self, upstream: Upstream, environ: Mapping[str, str], *, account: AccountSpec | None = None
    ) -> Provider: ...


_OF_THEIR_OWN: Mapping[str, tuple[_Make, str]] = {
    "anthropic": (Anthropic, "anthropic"),
    "bedrock": (Bedrock, "aws"),
    "gemini": (Gemini, "google"),
}
"""Providers with a format of their own, and the id that their prices stand under."""
KEYS_OF_THEIR_OWN: Mapping[str, tuple[str, ...]] = {
    "anthropic": anthropic.KEY_ENV,
    "bedrock": (bedrock.BEARER_ENV,),
    "gemini": gemini.KEY_ENV,
}
"""The same providers, and the usual variables of their keys: an account may be of these kinds, too."""


class Accounts:
    """Makes providers when they are first named, and keeps them with their connections."""

    def __init__(
        self,
        upstream: Upstream,
        builtin: Builtin,
        environ: Mapping[str, str],
        found: Sequence[Found] = (),
        catalog: Catalog | None = None,
    ) -> None:
        """`found` are what `catalog.discover` gave: local servers with their ports and models."""
        self._upstream = upstream
        self._builtin = builtin
        self._environ = environ
        self._catalog = catalog or Catalog.load()
        self._found = {each.provider.id: each for each in found}
        self._made: dict[str | AccountSpec, Provider] = {}

    def find(self, name: str, account: AccountSpec | None) -> tuple[Provider, str]:
        """The provider, and the catalogue id of its prices. Raises NotFound with near names."""
        if name == self._builtin.name:
            return self._builtin, name
        kind = account.kind if account else name
        key = account or name
        if (of_its_own := _OF_THEIR_OWN.get(kind)) is not None:
            make, priced_as = of_its_own
            if key not in self._made:
                self._made[key] = make(self._upstream, self._environ, account=account)
            return self._made[key], priced_as
        row = self._catalog.get(kind)
        if row is None:
            raise self.unknown(name)
        if key not in self._made:
            found = self._found.get(row.id)
            base_url = found.base_url if found and account is None else None
            self._made[key] = Compatible(row, self._upstream, self._environ, account=account, base_url=base_url)
        return self._made[key], row.id

    def models(self) -> list[str]:
        """`provider/model` of all that can be called by name without asking a remote provider for its list."""
        local = [f"{each.provider.id}/{model}" for each in self._found.values() for model in each.models]
        return [f"builtin/{model}" for model in self._builtin.models] + local

    def unknown(self, name: str, others: Iterable[str] = ()) -> NotFound:
        """The error for a provider that there is not."""
        known = ["builtin", *(row.id for row in self._catalog), *_OF_THEIR_OWN, *others]
        near = difflib.get_close_matches(name, known, n=3)
        return NotFound(
            f"There is no provider `{name}`.",
            next_step=f"Near names: {', '.join(near)}." if near else "docs/reference/providers.md lists them.",
            param="model",
            code="model_not_found",
        )
