"""What a workspace's features become: bundles that are kept, gates that are attached, and where each release is put."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headworks.releases import store
from headworks.releases.bundles import Bundle, build_bundle
from headworks.releases.channels import Placement, placement
from headworks.releases.gate_bundles import Judging, judging_of
from headworks.releases.promotion.history import is_left, short
from headworks.releases.promotion.rules import Gate
from headworks.releases.promotion.standings import Standings, attach_gate, blocks, gate_of, moves
from headworks.storage.pool import Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId
from headworks.types.workspace import FeatureSpec, Workspace


@dataclass(frozen=True, slots=True)
class AppliedFeature:
    """What became of one feature. `is_moved` is False when the channel already pointed at this digest."""

    name: str
    digest: Digest
    channel: str
    is_moved: bool
    is_ungated: bool
    reason: str


class Applying:
    """Works in the caller's transaction, which has the project's lock."""

    def __init__(self, keyring: Keyring, standings: Standings, weights_digest: Callable[[str], str | None]) -> None:
        self._keyring = keyring
        self._standings = standings
        self._weights_digest = weights_digest

    async def release(
        self,
        tx: Tx,
        principal: Principal,
        project: ProjectId,
        workspace: Workspace,
        feature: FeatureSpec,
        before: Mapping[tuple[str, str], store.ChannelRow],
    ) -> tuple[AppliedFeature, str | None]:
        """Keep a feature's release and gate, and move the channel where it belongs; and what there is to say."""
        bundle = self.bundle(workspace, feature)
        place = await self.place(tx, principal, project, feature, bundle.digest)
        await store.put_release(tx, self._keyring, principal, project, store.MadeRelease(feature.name, bundle))
        current = before.get((feature.name, place.channel))
        is_moved = current is None or current.digest != bundle.digest
        if is_moved:
            move = store.Move(project, feature.name, place.channel, bundle.digest, is_ungated=place.is_ungated)
            await store.move_channel(tx, principal, move, current)
        notice = await self._gate(tx, principal, project, feature.name, judging_of(feature.name, workspace.files))
        made = AppliedFeature(feature.name, bundle.digest, place.channel, is_moved, place.is_ungated, place.reason)
        return made, notice

    async def place(
        self, tx: Tx, principal: Principal, project: ProjectId, feature: FeatureSpec, digest: Digest
    ) -> Placement:
        """The channel that `apply` moves. What is attached and what was live count, not only what the files say."""
        attached = await gate_of(tx, principal, project, feature.name)
        return placement(
            await self._standings.tier(tx, principal, project, feature.name, feature.risk),
            has_gate=feature.has_gate or attached is not None,
            is_blocked=any(
                each.digest in {None, digest} for each in await blocks(tx, principal, project, feature.name)
            ),
            is_left=is_left(await moves(tx, principal, project, feature.name, "prod"), digest),
            against=await self._standings.against(tx, principal, digest),
        )

    def bundle(self, workspace: Workspace, feature: FeatureSpec) -> Bundle:
        """A feature's release as the workspace's files say."""
        route = next(each for each in workspace.routes if each.name == feature.route)
        wanted = feature.retrieval.collection if feature.retrieval else None
        collection = next((each for each in workspace.collections if each.name == wanted), None)
        return build_bundle(feature, route, collection, self._weights_digest)

    async def keep_gate(self, tx: Tx, principal: Principal, project: ProjectId, feature: str, judging: Judging) -> None:
        """Store a gate's bundle, so that it can be attached and attested about."""
        made = store.MadeRelease(feature, judging.bundle, "gate")
        await store.put_release(tx, self._keyring, principal, project, made)

    async def _gate(
        self, tx: Tx, principal: Principal, project: ProjectId, feature: str, judging: Judging | None
    ) -> str | None:
        """The first gate of a feature is attached at once: it can only be stricter than none."""
        attached = await gate_of(tx, principal, project, feature)
        if judging is not None:
            await self.keep_gate(tx, principal, project, feature, judging)
        if attached is None and judging is not None:
            await attach_gate(tx, principal, project, feature, Gate(judging.bundle.digest, judging.dataset))
            return f"features/{feature}: {short(judging.bundle.digest)} judges its releases from now on."
        if attached is not None and (judging is None or judging.bundle.digest != attached.digest):
            return (
                f"features/{feature}: its gate or golden files are not those that judge it; {short(attached.digest)} "
                "stays attached until another is proposed and approved."
            )
        return None
