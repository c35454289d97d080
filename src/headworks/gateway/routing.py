"""The world as one request sees it: who holds which key, what is live, what it costs. Immutable; names become plans."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from headworks.errors import Forbidden, NotFound, Unauthenticated
from headworks.gateway.accounts import Accounts
from headworks.gateway.calls import Call
from headworks.gateway.contract import LiveReleases, RouteOf
from headworks.gateway.plans import CAPS, Aim, Plan, aim_at, plan_of
from headworks.gateway.wire.models_list import Listed
from headworks.identity.contract import Grant
from headworks.identity.service import IdentityTable
from headworks.policy.service import may_call
from headworks.providers.contract import Provider
from headworks.providers.prices import PriceTable, Rates, Unpriced, check_priced
from headworks.providers.pricing.facts import UNKNOWN, ModelFacts, of_all
from headworks.types.features import Feature, Route, Target
from headworks.types.identity import Principal, ShownKey
from headworks.types.ids import Digest, TenantId

_MOST_PLANS = 4096
_LIVE = "prod"


class View:
    """One moment of everything that the request path reads. Plans are made when first asked for, and kept."""

    def __init__(
        self,
        identity: IdentityTable,
        releases: LiveReleases,
        prices: PriceTable,
        accounts: Accounts,
        route_of: RouteOf,
        *,
        unpriced: Unpriced = "allow",
    ) -> None:
        """`unpriced`: what becomes of calls of models without a price."""
        self.identity = identity
        self.releases = releases
        self.prices = prices
        self._accounts = accounts
        self._route_of = route_of
        self._unpriced = unpriced
        self._plans: dict[tuple[int, str], Plan] = {}
        """By the tenant's number, whose hash costs less than its id's."""

    def find_caller(self, call: Call, now: float) -> Principal | None:
        """Who calls: signed in and authenticated before, or by a key; None: not by one that this view admits.

        `now` is `Snapshots.now()`.
        """
        if call.caller is not None:
            return call.caller
        try:
            return self.identity.authenticate(call.key, now)
        except Unauthenticated:
            return None

    def find_plan(self, principal: Principal, name: str) -> Plan | None:
        """What a name stands for in the caller's tenant, if that was worked out before."""
        return self._plans.get((principal.tenant.int, name))

    def authenticate(self, key: ShownKey, now: float) -> Principal:
        """Who calls. Raises Unauthenticated."""
        return self.identity.authenticate(key, now)

    def resolve(self, principal: Principal, name: str) -> Plan:
        """What a name stands for in the caller's tenant.

        Raises NotFound that lists near names the caller may use, ModelUnpriced.
        """
        plan = self._plans.get((principal.tenant.int, name))
        if plan is None:
            plan = self._made(principal, name)
            if len(self._plans) < _MOST_PLANS:
                self._plans[principal.tenant.int, name] = plan
        return plan

    def of_release(self, principal: Principal, name: str, feature: Feature) -> Plan:
        """The plan of a release that no channel points at."""
        return self._of_route(principal.tenant, name, feature.route, feature)

    def home_of(self, principal: Principal, feature: str) -> TenantId | None:
        """Whose feature of that name the caller may call: the own tenant's, or one that grants it.

        A name of the tenant's own never comes to mean what another tenant lends, be it a feature or a route.
        """
        if (principal.tenant, feature) in self.releases.features:
            return principal.tenant
        if (principal.tenant, feature) in self.releases.routes:
            return None
        return next((grant.tenant for grant in self._grants(principal) if self._is_granted(grant, feature)), None)

    def names(self, principal: Principal) -> list[str]:
        """Features, routes and known models that the caller may call, in that order."""
        return [name for name, permission in self._known(principal) if _allows(principal, permission, name)]

    def of_kind(self, principal: Principal, kind: str) -> list[str]:
        """Routes that the caller may call and whose targets are all of that kind; where there is none, such models."""
        listed = [name for name, permission in self._known(principal) if permission == "model:call"]
        allowed = (name for name in listed if _allows(principal, "model:call", name))
        found = [name for name in allowed if self.describe(principal, name).facts.kind == kind]
        return [name for name in found if "/" not in name] or found

    def known(self, principal: Principal, name: str) -> str:
        """The name, if the caller may call it and it is listed, or a model that the price tables know.

        Raises NotFound.
        """
        if name in self.names(principal):
            return name
        provider, slash, model = name.partition("/")
        is_allowed = bool(slash) and _allows(principal, "model:call", name)
        if is_allowed and self._known_of(principal.tenant, Target(provider, model)) != (None, UNKNOWN):
            return name
        raise self.unknown(principal, name)

    def describe(self, principal: Principal, name: str) -> Listed:
        """What is known of a name that the caller may call: of a model, or what holds for all targets of a route."""
        tenant = principal.tenant
        provider, slash, model = name.partition("/")
        if slash:
            return Listed(name, None, (), *self._known_of(tenant, Target(provider, model)))
        channels = self._channels(principal, name)
        if channels is not None and _LIVE in channels:
            feature = channels[_LIVE]
            return Listed(name, feature, (), *self._known_of_all(feature.tenant, feature.route))
        route = self.releases.routes.get((tenant, name))
        if route is None:
            return Listed(name)
        names = tuple(each.name for each in route.every_target)
        return Listed(name, None, names, *self._known_of_all(tenant, route))

    def _known_of_all(self, tenant: TenantId, route: Route) -> tuple[Rates | None, ModelFacts]:
        """What a call costs, where each target's costs the same, and the facts that hold for each."""
        known = [self._known_of(tenant, target) for target in route.every_target]
        rates = [each for each, _ in known]
        return rates[0] if all(each == rates[0] for each in rates) else None, of_all([facts for _, facts in known])

    def _known_of(self, tenant: TenantId, target: Target) -> tuple[Rates | None, ModelFacts]:
        """Price and facts of a model, whose output a route may cap."""
        try:
            _, priced_as = self._accounts.find(target.provider, self.releases.accounts.get((tenant, target.provider)))
        except NotFound:
            return None, UNKNOWN
        facts = self.prices.find_facts(priced_as, target.model) or UNKNOWN
        cap = next((each for word in CAPS if isinstance(each := target.parameters.get(word), int)), None)
        return self.prices.find(priced_as, target.model), facts if cap is None else facts.capped(cap)

    def provider(self, tenant: TenantId, name: str) -> Provider:
        """The tenant's account of that name, or the catalogue's provider. Raises NotFound."""
        return self._accounts.find(name, self.releases.accounts.get((tenant, name)))[0]

    def provider_names(self, tenant: TenantId) -> list[str]:
        """What `provider` knows: the tenant's accounts, then the catalogue's providers, usable or not."""
        own = [name for owner, name in self.releases.accounts if owner == tenant]
        return list(dict.fromkeys([*own, *self._accounts.named()]))

    def features(self, principal: Principal) -> list[Feature]:
        """The features that the caller may call by name."""
        names = [name for name, permission in self._known(principal) if permission == "feature:call"]
        live = [self._channels(principal, name) for name in names if _allows(principal, "feature:call", name)]
        return [channels[_LIVE] for channels in live if channels is not None]

    def unknown(self, principal: Principal, name: str) -> NotFound:
        """The error for a name that stands for nothing here."""
        usable = self.names(principal)
        near = difflib.get_close_matches(name, usable, n=3, cutoff=0.5)
        if near:
            hint = f"Near names: {', '.join(near)}."
        elif usable:
            hint = f"You may call: {', '.join(usable[:10])}{', …' if len(usable) > 10 else ''}."
        else:
            hint = "This key may call no model at all."
        return NotFound(
            f"There is no model or feature `{name}`.", next_step=hint, param="model", code="model_not_found"
        )

    def _made(self, principal: Principal, name: str) -> Plan:
        if "/" in name:
            return self._of_model(principal, name)
        base, at, which = name.partition("@")
        channels = self._channels(principal, base)
        if at:
            feature = _chosen(channels, which)
        elif channels is not None:
            feature = channels.get(_LIVE)
        else:
            feature = None
        if feature is not None:
            return self._of_route(principal.tenant, name, feature.route, feature)
        route = None if at else self.releases.routes.get((principal.tenant, name))
        if route is None:
            raise self._missing(principal, name, channels or {})
        return self._of_route(principal.tenant, name, route, None)

    def _of_model(self, principal: Principal, name: str) -> Plan:
        provider, _, model = name.partition("/")
        if not provider or not model:
            raise self.unknown(principal, name)
        try:
            return self._of_route(principal.tenant, name, self._route_of(Target(provider, model)), None)
        except NotFound:
            raise self._accounts.unknown(provider, self._own_accounts(principal)) from None

    def _own_accounts(self, principal: Principal) -> list[str]:
        """The names that the tenant has given its accounts, for who may call models by them."""
        if not principal.may("model:call"):
            return []
        return [name for tenant, name in self.releases.accounts if tenant == principal.tenant]

    def _of_route(self, tenant: TenantId, name: str, route: Route, feature: Feature | None) -> Plan:
        owner = feature.tenant if feature else tenant

        def find(provider: str) -> tuple[Provider, str]:
            return self._accounts.find(provider, self.releases.accounts.get((owner, provider)))

        aims: tuple[Aim, ...] = tuple(aim_at(target, find, self.prices.find) for target in route.every_target)
        for aim in aims:
            check_priced(aim.rates, aim.target.name, self._unpriced, is_local=aim.provider.is_local)
        return plan_of(name, route, aims, self.prices.version, feature)

    def _channels(self, principal: Principal, feature: str) -> dict[str, Feature] | None:
        home = self.home_of(principal, feature)
        return None if home is None else dict(self.releases.features.get((home, feature), {}))

    def _missing(self, principal: Principal, name: str, channels: dict[str, Feature]) -> NotFound:
        base, at, which = name.partition("@")
        if not channels or not _allows(principal, "feature:call", base):
            return self.unknown(principal, name)
        if at and which.startswith("sha256:"):
            message = f"The feature `{base}` has no release `{which}`."
        else:
            message = f"The feature `{base}` has no release on `{which or _LIVE}`."
        listed = ", ".join(f"{base}@{channel}" for channel in sorted(channels))
        return NotFound(message, next_step=f"There is: {listed}.", param="model", code="model_not_found")

    def _known(self, principal: Principal) -> Iterator[tuple[str, str]]:
        tenant = principal.tenant
        own = [name for (owner, name), live in self.releases.features.items() if owner == tenant and _LIVE in live]
        lent = [grant.feature for grant in self._grants(principal) if self._is_lent_by(principal, grant)]
        for name in sorted({*own, *lent}):
            yield name, "feature:call"
        for name in sorted(name for owner, name in self.releases.routes if owner == tenant):
            yield name, "model:call"
        yield from ((name, "model:call") for name in self._targets(tenant))

    def _targets(self, tenant: TenantId) -> list[str]:
        named = [
            target.name
            for (owner, _), route in self.releases.routes.items()
            if owner == tenant
            for target in route.every_target
        ]
        return sorted({*named, *self._accounts.models()})

    def _grants(self, principal: Principal) -> tuple[Grant, ...]:
        return self.identity.grants.get(principal.tenant, ())

    def _is_lent_by(self, principal: Principal, grant: Grant) -> bool:
        """Whether it is this grant by which the caller may call its feature, and by its plain name."""
        live = self.releases.features.get((grant.tenant, grant.feature), {})
        return _LIVE in live and self.home_of(principal, grant.feature) == grant.tenant

    def _is_granted(self, grant: Grant, feature: str) -> bool:
        """Whether a grant is of this feature, and of the project that has it."""
        if grant.feature != feature:
            return False
        live = self.releases.features.get((grant.tenant, feature), {})
        return any(release.project == grant.project for release in live.values())


def _allows(principal: Principal, permission: str, name: str) -> bool:
    return may_call(principal, permission=permission, model_name=name)


def _chosen(channels: dict[str, Feature] | None, which: str) -> Feature | None:
    if channels is None:
        return None
    return channels.get(which) or next((each for each in channels.values() if each.digest == which), None)


def pinned_digest(name: str) -> tuple[str, Digest] | None:
    """Feature and digest of `name@sha256:…`, None for other names."""
    base, at, which = name.partition("@")
    if not at or "/" in name or not which.startswith("sha256:"):
        return None
    return base, Digest(which)


def needs_pin(principal: Principal, name: str) -> None:
    """Refuse the look-up of a release to who may not name one. Raises Forbidden."""
    if not principal.may("release:pin"):
        raise Forbidden(
            "Naming a channel or a digest needs the permission `release:pin`.",
            next_step=f"Call `{name.partition('@')[0]}`, or ask an administrator for the permission.",
            param="model",
        )
