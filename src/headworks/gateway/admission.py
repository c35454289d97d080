"""Who calls, and what for: by the view in force, or by a newer one where this one does not know the key or the name."""

from __future__ import annotations

from headworks.errors import NotFound, Unauthenticated
from headworks.gateway.contract import Pins
from headworks.gateway.plans import Plan
from headworks.gateway.routing import View, needs_pin, pinned_digest
from headworks.gateway.snapshots import Snapshots
from headworks.types.identity import Principal, ShownKey


class Admission:
    """The two look-ups at the door, for what the view in force does not know at once."""

    def __init__(self, snapshots: Snapshots, pins: Pins) -> None:
        self._snapshots = snapshots
        self._pins = pins

    async def authenticate(self, view: View, key: ShownKey, now: float) -> Principal:
        """Who holds a key at `now`, by `Snapshots.now()`. Raises Unauthenticated."""
        try:
            return view.authenticate(key, now)
        except Unauthenticated:
            if view.identity.knows(key) or (newer := await self._snapshots.newer(view)) is view:
                raise
            return newer.authenticate(key, now)

    async def enter(self, key: ShownKey, caller: Principal | None = None) -> tuple[View, Principal]:
        """The view and the caller, for what is no call of a model. Raises Unauthenticated, DatabaseUnavailable.

        `caller`: who was authenticated before.
        """
        view = self._snapshots.current()
        if caller is not None:
            return view, caller
        principal = await self.authenticate(view, key, self._snapshots.now())
        return self._snapshots.current(), principal

    async def resolve(self, view: View, principal: Principal, name: str) -> Plan:
        """Raises NotFound, Forbidden."""
        try:
            return view.resolve(principal, name)
        except NotFound:
            newer = await self._snapshots.newer(view)
            if pinned := pinned_digest(name):
                plan = await self._pinned(newer, principal, name, *pinned)
                if plan is not None:
                    return plan
            if newer is view:
                raise
            return newer.resolve(principal, name)

    async def _pinned(self, view: View, principal: Principal, name: str, *pinned: str) -> Plan | None:
        """A release that no channel points at, if it is one of that feature."""
        base, digest = pinned
        needs_pin(principal, name)
        home = view.home_of(principal, base)
        if home is None:
            return None
        feature = await self._pins.pinned(home, digest)  # type: ignore[arg-type]  # a digest's text
        if feature is None or feature.name != base:
            return None
        return view.of_release(principal, name, feature)
