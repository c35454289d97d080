"""What a model's name stands for, worked out once per view: who is asked, in which order, and what is fixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import msgspec

from headworks.formats.neutral import FormatName, Request
from headworks.gateway.translation import Way, fixed_by, way_to
from headworks.providers.contract import Provider, Surface
from headworks.providers.prices import Rates
from headworks.types.failing import RouteDeadlines
from headworks.types.features import Fallback, Feature, Route, Target
from headworks.types.ids import Digest

CAPS = ("max_tokens", "max_completion_tokens")
"""The two names of OpenAI's cap on output; a target's parameters may hold one of them."""


class Aim(msgspec.Struct, frozen=True):
    """A target with everything that an attempt needs. `changes` are spliced into the body; `cap` is the route's."""

    target: Target
    provider: Provider
    changes: Mapping[str, bytes]
    cap: int | None
    rates: Rates | None
    streaming_changes: Mapping[str, bytes]
    """As `changes`, for a stream of a caller who said nothing about `stream_options`."""
    fixed: Request | None = None
    """The route's parameters for it, for who asks in another format."""
    ways: dict[tuple[Surface, FormatName | None, bool], Way] = msgspec.field(default_factory=dict)
    """Those that were found to go: see `way`."""

    def way(self, surface: Surface, name: FormatName | None, *, relays: bool) -> Way:
        """How a request in the format `name` is asked. Raises ModelMissing, InvalidRequest, NotFound if it can't be."""
        way = way_to(self.provider, surface, name, relays=relays)
        self.provider.check(way.surface, self.target.model)
        self.ways[surface, name, relays] = way
        return way


class Bound(NamedTuple):
    """At most so many tokens of output, charged as at most so many calls."""

    output_tokens: int
    calls: int = 1


class Plan(msgspec.Struct, frozen=True):
    """A plain route, or a feature's release. `permission` is what the caller must hold."""

    name: str
    release: Digest
    aims: tuple[Aim, ...]
    permission: str
    header: tuple[bytes, bytes]
    default_max_output: int
    price_version: str
    route: Route
    feature: Feature | None = None
    is_pinned: bool = False
    is_usual: bool = False
    """Whether it is a plain route that retries nothing, with the server's deadlines."""

    @property
    def walked(self) -> Route:
        """The route as its targets are asked: `aims` are its `every_target`, or those few that may be."""
        route = self.route
        if len(self.aims) == len(route.every_target):
            return route
        steps: Fallback = {word: step if isinstance(step, str) else "next" for word, step in route.fallback.items()}
        return replace(route, targets=tuple(aim.target for aim in self.aims), fallback=steps)

    @property
    def leaves_host(self) -> bool:
        """Whether any target lies outside this host."""
        return not all(aim.provider.is_local for aim in self.aims)


Find = Callable[[str], tuple[Provider, str]]
"""The provider of a name, and the catalogue id that its prices stand under."""

WITH_USAGE = b'{"include_usage":true}'


def aim_at(target: Target, find: Find, price: Callable[[str, str], Rates | None]) -> Aim:
    """A target made ready."""
    provider, priced_as = find(target.provider)
    fixed = {name: msgspec.json.encode(value) for name, value in target.parameters.items() if name not in CAPS}
    changes = {"model": msgspec.json.encode(target.model), **fixed}
    cap = next((value for name in CAPS if isinstance(value := target.parameters.get(name), int)), None)
    asking = {"stream_options": WITH_USAGE} if provider.takes_stream_options else {}
    rates = price(priced_as, target.model)
    return Aim(target, provider, changes, cap, rates, {**changes, **asking}, fixed_by(target.parameters))


def plan_of(name: str, route: Route, aims: tuple[Aim, ...], price_version: str, feature: Feature | None = None) -> Plan:
    """The plan of a route, or of a feature with its own."""
    release = feature.digest if feature else route.digest
    return Plan(
        name=name,
        release=release,
        aims=aims,
        permission="feature:call" if feature else "model:call",
        header=(b"x-headworks-release", release.encode("ascii")),
        default_max_output=route.default_max_output,
        price_version=price_version,
        route=route,
        feature=feature,
        is_usual=feature is None and not route.retries.most and route.deadlines == RouteDeadlines(),
        is_pinned="@" in name and feature is not None,
    )
