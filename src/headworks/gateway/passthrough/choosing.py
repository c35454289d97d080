"""Which account files and batches go to: the one that is named, else the only one that can take them.

Whoever has an account's key sees all its files. So an account is offered only to the tenant whose own its key is: a
key that another tenant could use, too, would show each the other's files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from headworks.errors import Forbidden, HeadworksError, InvalidRequest
from headworks.gateway.routing import View
from headworks.policy.service import may_call
from headworks.providers.contract import Carrier, Provider, Surface
from headworks.types.identity import Principal
from headworks.types.ids import TenantId


class Account:
    """An account that serves a surface, with the provider that reaches it."""

    __slots__ = ("carrier", "name", "provider")

    def __init__(self, name: str, provider: Provider, carrier: Carrier) -> None:
        self.name = name
        self.provider = provider
        self.carrier = carrier


def choose(view: View, principal: Principal, surface: Surface, named: str | None) -> Account:
    """The account for files or batches of this caller. Raises InvalidRequest, NotFound, ModelMissing, Forbidden."""
    if named is not None:
        return _checked(view, principal, surface, named, _foreign(view, principal.tenant))
    found = {account.carrier.credential: account for account in _usable(view, principal, surface)}
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise InvalidRequest(
            f"There is no account here that you could use for {surface}.",
            next_step="Give the workspace one with a key of its own: docs/reference/accounts.md says how.",
            param="provider",
        )
    listed = ", ".join(sorted(account.name for account in found.values()))
    raise InvalidRequest(
        f"There are {len(found)} accounts for {surface}: {listed}.",
        next_step="Name one in the header `x-headworks-provider`, or as `?provider=` in the address.",
        param="provider",
    )


def _checked(view: View, principal: Principal, surface: Surface, name: str, foreign: Collection[bytes]) -> Account:
    provider = view.provider(principal.tenant, name)
    if not isinstance(provider, Carrier) or not provider.carries(surface):
        raise InvalidRequest(f"`{name}` does not serve {surface}.", param="provider")
    provider.check(surface, surface)
    if provider.credential in foreign:
        raise Forbidden(
            f"The key of `{name}` is not this tenant's alone, and whoever has it sees all its {surface}.",
            next_step="Give the workspace an account with a key of its own: docs/reference/accounts.md says how.",
            param="provider",
            code="account_is_shared",
        )
    return Account(name, provider, provider)


def _usable(view: View, principal: Principal, surface: Surface) -> Iterator[Account]:
    """Those that need not be named; the tenant's own come last, and take the place of the catalogue's."""
    foreign = _foreign(view, principal.tenant)
    for name in reversed(view.provider_names(principal.tenant)):
        if may_call(principal, permission="model:call", model_name=f"{name}/{surface}"):
            try:
                yield _checked(view, principal, surface, name, foreign)
            except HeadworksError:
                continue


def _foreign(view: View, tenant: TenantId) -> set[bytes]:
    """What the accounts that other tenants can use are known by."""
    others = view.identity.tenants - {tenant}
    providers = [view.provider(other, name) for other in others for name in view.provider_names(other)]
    return {each.credential for each in providers if isinstance(each, Carrier)}
