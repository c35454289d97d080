"""HTTP of workspaces and releases, under `/api`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from headworks.errors import WorkspaceInvalid
from headworks.identity.routes import declare, require
from headworks.releases.channel_routes import router as channel_routes
from headworks.releases.proposal_routes import router as proposal_routes
from headworks.releases.service import Knowingly, Releases
from headworks.types.identity import Principal

router = APIRouter(tags=["releases"])

Applier = Annotated[Principal, require("workspace:apply")]
Reader = Annotated[Principal, require("workspace:read", "workspace:apply")]
Caller = Annotated[Principal, require("feature:call", "workspace:read")]
_READ = "workspace:read|workspace:apply"
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Files(BaseModel):
    """A workspace: text of each file by its path inside the workspace."""

    model_config = ConfigDict(extra="forbid")

    project: str = "default"
    files: dict[str, str] = Field(max_length=2000)

    def as_bytes(self) -> dict[str, bytes]:
        """The files as they lie on a disk. Raises WorkspaceInvalid for a path or a text that no file can have."""
        found: dict[str, bytes] = {}
        for path, text in self.files.items():
            if _UNUSABLE.search(path):
                raise WorkspaceInvalid(f"{path[:200]!r}: no path of a workspace's file.", next_step="Rename the file.")
            try:
                found[path] = text.encode()
            except UnicodeEncodeError as error:
                line = text[: error.start].count("\n") + 1
                raise WorkspaceInvalid(f"{path}:{line}: not UTF-8.", next_step="Save the file as UTF-8.") from None
        return found


class FilesToApply(Files):
    """A workspace, and what is done on purpose: accepted proposals to go over, and why examples change their split."""

    over: list[int] = Field(default=[], max_length=1000)
    unlock: str = Field(default="", max_length=2000)


class AppliedFeatureBody(BaseModel):
    """What became of a feature."""

    name: str
    digest: str
    channel: str
    moved: bool
    ungated: bool
    reason: str


class ApplyBody(BaseModel):
    """What `apply` did."""

    features: list[AppliedFeatureBody]
    routes: list[str]
    collections: list[str]
    removed: list[str]
    notices: list[str]


class ChangeBody(BaseModel):
    """A file that would change."""

    path: str
    kind: str
    before: str
    after: str


class FeatureDiffBody(BaseModel):
    """A feature's release on its channel, and after `apply`."""

    name: str
    before: str | None
    after: str


class DiffBody(BaseModel):
    """What `apply` would change."""

    files: list[ChangeBody]
    features: list[FeatureDiffBody]
    notices: list[str]


class ReleaseBody(BaseModel):
    """A release in a list; `kind` is `feature`, or `gate` of what judges one."""

    digest: str
    feature: str
    project: str
    created_at: datetime
    channels: list[str]
    kind: str


class FeatureBody(BaseModel):
    """A feature that can be called by its name."""

    name: str
    digest: str
    channel: str
    owner: str
    risk: str
    route: str
    targets: list[str]
    collection: str | None


def _releases(request: Request) -> Releases:
    found: Releases = request.app.state.releases
    return found


@router.post("/api/workspace/apply", openapi_extra=declare("workspace:apply", "workspace.apply"))
async def apply(request: Request, body: FilesToApply, caller: Applier) -> ApplyBody:
    """Make the project's workspace be these files: a release for each feature, channels moved by the rule."""
    knowingly = Knowingly(frozenset(body.over), body.unlock)
    report = await _releases(request).apply(caller, body.project, body.as_bytes(), knowingly)
    return ApplyBody(
        features=[
            AppliedFeatureBody(
                name=each.name,
                digest=each.digest,
                channel=each.channel,
                moved=each.is_moved,
                ungated=each.is_ungated,
                reason=each.reason,
            )
            for each in report.features
        ],
        routes=list(report.routes),
        collections=list(report.collections),
        removed=list(report.removed),
        notices=list(report.notices),
    )


@router.post("/api/workspace/diff", openapi_extra=declare(_READ, None))
async def diff(request: Request, body: Files, caller: Reader) -> DiffBody:
    """What `apply` would change."""
    report = await _releases(request).diff(caller, body.project, body.as_bytes())
    return DiffBody(
        files=[ChangeBody(path=c.path, kind=c.kind, before=c.before, after=c.after) for c in report.files],
        features=[FeatureDiffBody(name=name, before=before, after=after) for name, before, after in report.features],
        notices=list(report.notices),
    )


@router.get("/api/workspace", openapi_extra=declare(_READ, None))
async def pull(request: Request, caller: Reader, project: str = "default") -> Files:
    """The files as last applied."""
    files = await _releases(request).pull(caller, project)
    return Files(project=project, files={path: content.decode(errors="replace") for path, content in files.items()})


@router.get("/api/releases", openapi_extra=declare(_READ, None))
async def list_releases(
    request: Request, caller: Reader, most: int = 100, digits: str | None = None
) -> dict[str, list[ReleaseBody]]:
    """The newest releases, with the channels that point at them.

    `digits` are the first ones of a digest: all that begin so, gates too.
    """
    wanted = None if digits is None else f"sha256:{digits.removeprefix('sha256:')}"
    rows = await _releases(request).list_releases(caller, min(max(most, 1), 1000), wanted)
    return {
        "releases": [
            ReleaseBody(
                digest=row.digest,
                feature=row.feature,
                project=row.project,
                created_at=row.created_at,
                channels=row.channels,
                kind=row.kind,
            )
            for row in rows
        ]
    }


@router.get("/api/features", openapi_extra=declare("feature:call|workspace:read", None))
async def list_features(request: Request, caller: Caller) -> dict[str, list[FeatureBody]]:
    """The features that the caller may call by name: the tenant's own and those lent to it."""
    features = request.app.state.callable_features(caller)
    return {
        "features": [
            FeatureBody(
                name=each.name,
                digest=each.digest,
                channel=each.channel,
                owner=each.owner,
                risk=each.risk,
                route=each.route.name,
                targets=[target.name for target in each.route.targets],
                collection=each.retrieval.collection if each.retrieval else None,
            )
            for each in features
        ]
    }


router.include_router(proposal_routes)
router.include_router(channel_routes)
