"""What a proposed change of files comes to: which releases and gates, beside what is applied and live now."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from headworks.errors import InvalidRequest, NotSupportedYet
from headworks.releases import store
from headworks.releases.applying import Applying
from headworks.releases.channels import PROD
from headworks.releases.contract import SplitLock
from headworks.releases.gate_bundles import Judging, judging_of
from headworks.releases.promotion.standings import gate_of
from headworks.releases.proposals.store import Entry
from headworks.releases.workspace.reading import Surroundings, parse_workspace
from headworks.storage.pool import Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import ProjectId
from headworks.types.workspace import FeatureSpec, Workspace

MOST_FILES = 200
_MOST_BYTES = 8_000_000
_LONGEST_TITLE = 200
_LONGEST_TEXT = 20_000
_PATH = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff\\]{1,500}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody proposes: texts by path (None: the file goes).

    `features` and `gates` name what is proposed though no file changes: what was applied, and waits on `staging`.
    """

    title: str
    description: str = ""
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    features: Sequence[str] = ()
    gates: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a change of files comes to, beside what is applied and live now."""

    merged: dict[str, bytes]
    bases: dict[str, str | None]
    workspace: Workspace
    entries: tuple[Entry, ...]
    judgings: dict[str, Judging]


class Resolving:
    """Works in the caller's transaction, which has the project's lock."""

    def __init__(
        self, keyring: Keyring, applying: Applying, surroundings: Surroundings, split_lock: SplitLock | None = None
    ) -> None:
        self._keyring = keyring
        self._applying = applying
        self._around = surroundings
        self._split_lock = split_lock

    async def resolve(self, tx: Tx, principal: Principal, project: ProjectId, wanted: Wanted) -> Resolved:
        """What a change comes to. Raises WorkspaceInvalid, InvalidRequest, NotSupportedYet, Conflict."""
        applied = await store.files(tx, self._keyring, principal, project)
        merged = {path: content for path, content in applied.items() if wanted.files.get(path, content) is not None}
        merged |= {path: content for path, content in wanted.files.items() if content is not None}
        workspace = await asyncio.to_thread(parse_workspace, merged, self._around)
        old = await asyncio.to_thread(parse_workspace, applied, replace(self._around, check_judging=None))
        before = {each.name: each for each in old.features}
        if gone := sorted(before.keys() - {each.name for each in workspace.features}):
            raise NotSupportedYet(
                f"A proposal can't take away the feature `{gone[0]}`.", next_step="`headworks apply` without it does."
            )
        await store.check_names(tx, principal, project, workspace)
        if self._split_lock is not None:
            await self._split_lock.check(tx, principal, project, merged)
        entries: list[Entry] = []
        judgings: dict[str, Judging] = {}
        for feature in workspace.features:
            was = before.get(feature.name)
            changed = was is None or self._differs(old, was, workspace, feature)
            entry = await self._release_entry(tx, principal, project, workspace, feature)
            if entry and (changed or feature.name in wanted.features):
                entries.append(entry)
            judging = judging_of(feature.name, merged)
            is_named = feature.name in wanted.gates
            gate = await self._gate_entry(tx, principal, project, feature.name, judging, applied, is_named=is_named)
            if gate is not None and judging is not None:
                judgings[feature.name] = judging
                entries.append(gate)
        _check_entries(wanted, workspace, entries)
        bases = {path: text_of(applied.get(path)) for path in wanted.files}
        return Resolved(merged, bases, workspace, tuple(entries), judgings)

    def _differs(self, old: Workspace, was: FeatureSpec, new: Workspace, feature: FeatureSpec) -> bool:
        return self._applying.bundle(old, was).digest != self._applying.bundle(new, feature).digest

    async def _release_entry(
        self, tx: Tx, principal: Principal, project: ProjectId, workspace: Workspace, feature: FeatureSpec
    ) -> Entry | None:
        digest = self._applying.bundle(workspace, feature).digest
        live = await store.channel(tx, principal, project, feature.name, PROD)
        if live is not None and live.digest == digest:
            return None
        return Entry(feature.name, "feature", live.digest if live else None, digest)

    async def _gate_entry(
        self,
        tx: Tx,
        principal: Principal,
        project: ProjectId,
        feature: str,
        judging: Judging | None,
        applied: Mapping[str, bytes],
        *,
        is_named: bool,
    ) -> Entry | None:
        attached = await gate_of(tx, principal, project, feature)
        was = judging_of(feature, applied)
        is_changed = (was.bundle.digest if was else None) != (judging.bundle.digest if judging else None)
        if not (is_changed or is_named):
            return None
        if judging is None:
            raise NotSupportedYet(
                f"A gate can be changed by a proposal, and not be taken away: `{feature}`.",
                next_step="Keep `evals/gate.yaml`.",
            )
        if attached is not None and attached.digest == judging.bundle.digest:
            return None
        return Entry(feature, "gate", attached.digest if attached else None, judging.bundle.digest)

    async def put_files(self, tx: Tx, principal: Principal, project: ProjectId, found: Resolved) -> None:
        """Make the workspace be what the change comes to."""
        if self._split_lock is not None:
            await self._split_lock.keep(tx, principal, project, found.merged)
        await store.put_files(tx, self._keyring, principal, project, found.merged)
        await store.put_accounts_and_routes(tx, principal, project, found.workspace)

    async def keep(self, tx: Tx, principal: Principal, project: ProjectId, found: Resolved) -> None:
        """Store the bundles, so that they can be called by digest, attested about and judged."""
        specs = {each.name: each for each in found.workspace.features}
        for each in found.entries:
            if each.kind == "gate":
                await self._applying.keep_gate(tx, principal, project, each.feature, found.judgings[each.feature])
            else:
                made = store.MadeRelease(each.feature, self._applying.bundle(found.workspace, specs[each.feature]))
                await store.put_release(tx, self._keyring, principal, project, made)


def check_wanted(wanted: Wanted) -> None:
    """Raise InvalidRequest for what no proposal can be."""
    if not 1 <= len(wanted.title.strip()) <= _LONGEST_TITLE:
        raise InvalidRequest(f"A proposal's title has 1 to {_LONGEST_TITLE} characters.", param="title")
    if len(wanted.description) > _LONGEST_TEXT:
        raise InvalidRequest(f"A description has at most {_LONGEST_TEXT:,} characters.", param="description")
    if len(wanted.files) > MOST_FILES:
        raise InvalidRequest(f"A proposal changes at most {MOST_FILES} files.", param="files")
    if sum(len(each) for each in wanted.files.values() if each is not None) > _MOST_BYTES:
        raise InvalidRequest(
            f"A proposal's files have together more than {_MOST_BYTES // 1_000_000} MB.",
            next_step="Propose less at a time.",
            param="files",
        )
    for path in wanted.files:
        if not _PATH.fullmatch(path) or {"", ".", ".."} & set(path.split("/")):
            raise InvalidRequest(f"{path[:200]!r} is no path of a workspace's file.", param="files")
        if not (path.startswith("features/") or path == "routes.yaml"):
            raise InvalidRequest(
                f"A proposal can't change `{path[:200]}`: only `features/…` and `routes.yaml`.",
                next_step="`headworks apply` changes the rest.",
                param="files",
            )


def _check_entries(wanted: Wanted, workspace: Workspace, entries: Sequence[Entry]) -> None:
    known = {each.name for each in workspace.features}
    for name in (*wanted.features, *wanted.gates):
        if name not in known:
            raise InvalidRequest(f"There is no feature `{name[:100]}`.", param="features")
    if not entries:
        raise InvalidRequest(
            "This changes nothing that is live.",
            next_step="Change a file, or name a feature whose release waits on `staging`.",
            code="nothing_changes",
        )
    gates = {each.feature for each in entries if each.kind == "gate"}
    if mixed := sorted(gates & {each.feature for each in entries if each.kind == "feature"}):
        raise InvalidRequest(
            f"One proposal can't change `{mixed[0]}` and what judges it.",
            next_step="Propose the gate or golden files by themselves first.",
            code="gate_of_its_own",
        )


def text_of(content: bytes | None) -> str | None:
    """A file as proposals keep it; None of none."""
    return None if content is None else content.decode(errors="replace")
