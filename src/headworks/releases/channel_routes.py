"""HTTP of channels: promote, roll back, block, and what is attested; under `/api`."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from headworks.errors import InvalidRequest
from headworks.identity.routes import declare, require
from headworks.releases.bodies import (
    Asked,
    AttestationBody,
    KeyBody,
    LogBody,
    MovedBody,
    StandingBody,
    WantedDecision,
    attestation_body,
    key_body,
    log_body,
    moved_body,
    standing_body,
)
from headworks.releases.channels import Order
from headworks.releases.evidence.store import is_ours
from headworks.releases.proposals.behaviour import behaviour_diff
from headworks.releases.service import Releases
from headworks.types.identity import Principal
from headworks.types.ids import Digest

router = APIRouter(tags=["releases"])

_READ = "workspace:read|workspace:apply"
Reader = Annotated[Principal, require("workspace:read", "workspace:apply")]
Mover = Annotated[Principal, require("release:promote", "release:break_glass")]
Blocker = Annotated[Principal, require("release:block")]
Approver = Annotated[Principal, require("release:approve")]
Attester = Annotated[Principal, require("release:attest")]
Applier = Annotated[Principal, require("workspace:apply")]
KeyWriter = Annotated[Principal, require("key:write")]


class WantedMove(Asked):
    """A channel to be moved. `expected` is what it points at now, as far as the caller knows; null: nothing."""

    feature: str
    digest: str
    expected: str | None
    channel: Literal["prod", "canary", "staging"] = "prod"
    break_glass: bool = False
    reason: str = ""
    project: str = "default"


class WantedRollback(Asked):
    """`to` null: the last release that was good."""

    feature: str
    to: str | None = None
    reason: str = ""
    project: str = "default"


class WantedBlock(Asked):
    """`digest` null: every release of the feature."""

    feature: str
    reason: str
    digest: str | None = None
    project: str = "default"


class WantedAttestation(Asked):
    """A statement of one's own; `headworks:` types are written by Headworks alone."""

    predicate_type: str
    predicate: dict[str, Any]


class BlockedBody(BaseModel):
    """A block that was made."""

    id: str


class ImportedBody(BaseModel):
    """What an archive held."""

    digest: str
    feature: str
    kind: str
    attestations: int
    new_attestations: int


def _releases(request: Request) -> Releases:
    found: Releases = request.app.state.releases
    return found


@router.post("/api/releases/promote", openapi_extra=declare("release:promote|release:break_glass", "release.promote"))
async def promote(request: Request, body: WantedMove, caller: Mover) -> MovedBody:
    """Move a channel to a release: `prod` by the rule, or past it with `break_glass` and a reason."""
    expected = None if body.expected is None else Digest(body.expected)
    order = Order(body.feature, Digest(body.digest), expected, body.channel, body.reason, body.break_glass)
    return moved_body(await _releases(request).promotions.promote(caller, body.project, order))


@router.post("/api/releases/rollback", openapi_extra=declare("release:promote|release:break_glass", "release.rollback"))
async def rollback(request: Request, body: WantedRollback, caller: Mover) -> MovedBody:
    """Point `prod` at what was live and good before; nothing is asked of gates and evidence."""
    to = None if body.to is None else Digest(body.to)
    moved = await _releases(request).promotions.roll_back(caller, body.project, body.feature, body.reason, to)
    return moved_body(moved)


@router.get("/api/releases/log", openapi_extra=declare(_READ, None))
async def log(request: Request, caller: Reader, feature: str, project: str = "default") -> LogBody:
    """Who moved a feature's channels, when, from where to where, and why; and what blocks it."""
    return log_body(*await _releases(request).promotions.log(caller, project, feature))


@router.post("/api/releases/blocks", openapi_extra=declare("release:block", "release.block"), status_code=201)
async def block(request: Request, body: WantedBlock, caller: Blocker) -> BlockedBody:
    """Stop promotions of a feature, or of one of its releases, because of an incident."""
    digest = None if body.digest is None else Digest(body.digest)
    made = await _releases(request).promotions.block(caller, body.project, body.feature, body.reason, digest)
    return BlockedBody(id=str(made))


@router.delete("/api/releases/blocks/{block_id}", openapi_extra=declare("release:block", "release.unblock"))
async def unblock(request: Request, block_id: str, caller: Blocker) -> dict[str, str]:
    """Lift a block."""
    return {"feature": await _releases(request).promotions.unblock(caller, _uuid(block_id))}


@router.put(
    "/api/releases",
    openapi_extra=declare("workspace:apply", "release.import")
    | {"requestBody": {"content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def take(
    request: Request,
    caller: Applier,
    project: str = "default",
    trust: Annotated[list[str], Query()] = [],  # noqa: B006 -- as FastAPI reads lists
) -> ImportedBody:
    """Keep a release from an archive, its digest and signatures verified; nothing goes live by that."""
    content = await request.body()
    archive, new = await _releases(request).archives.take(caller, project, content, trust)
    return ImportedBody(
        digest=archive.bundle.digest,
        feature=archive.feature,
        kind=archive.kind,
        attestations=len(archive.attestations),
        new_attestations=new,
    )


@router.get("/api/releases/{digest}", openapi_extra=declare(_READ, None))
async def show(request: Request, digest: str, caller: Reader) -> StandingBody:
    """A release: how it stands on its way to `prod`, what is attested, and what it does otherwise than the live one."""
    standing, conditions = await _releases(request).promotions.standing_of(caller, Digest(digest))
    return standing_body(standing, conditions, behaviour_diff(standing.attested, standing.live))


@router.get("/api/releases/{digest}/archive", openapi_extra=declare(_READ, None), response_class=Response)
async def export(request: Request, digest: str, caller: Reader) -> Response:
    """A release with its attestations as one tar: the same bytes until something more is attested."""
    content = await _releases(request).archives.export(caller, Digest(digest))
    name = f"{digest.removeprefix('sha256:')[:12]}.headworks.tar"
    return Response(
        content, media_type="application/x-tar", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


@router.post("/api/releases/{digest}/approve", openapi_extra=declare("release:approve", "release.approve"))
async def approve(request: Request, digest: str, body: WantedDecision, caller: Approver) -> AttestationBody:
    """Sign one's word on a digest; who made or proposed it can't approve it."""
    made = await _releases(request).promotions.approve(
        caller, Digest(digest), body.decision, as_expert=body.as_expert, comment=body.comment
    )
    return attestation_body(made)


@router.post(
    "/api/releases/{digest}/attestations", openapi_extra=declare("release:attest", "release.attest"), status_code=201
)
async def attest(request: Request, digest: str, body: WantedAttestation, caller: Attester) -> AttestationBody:
    """Sign a statement of one's own about a release, e.g. a model card; it is kept for good."""
    if is_ours(body.predicate_type):
        raise InvalidRequest(
            "Statements of the types `headworks:…` are made by Headworks itself.",
            next_step="Use an address of your own, such as `https://example.com/model-card/v1`.",
            param="predicate_type",
        )
    return attestation_body(
        await _releases(request).attest(caller, Digest(digest), body.predicate_type, body.predicate)
    )


@router.get("/api/signing-keys", openapi_extra=declare(_READ, None))
async def keys(request: Request, caller: Reader) -> dict[str, list[KeyBody]]:
    """The public keys that verify this tenant's attestations, and those of others that it trusts."""
    return {"rows": [key_body(each) for each in await _releases(request).evidence.keys(caller)]}


@router.post("/api/signing-keys/rotate", openapi_extra=declare("key:write", "release.rotate"))
async def rotate(request: Request, caller: KeyWriter) -> KeyBody:
    """Sign with a new key from now on; what was signed until now stays valid."""
    return key_body(await _releases(request).evidence.rotate(caller))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidRequest(
            f"`{text[:60]}` is no id of a block.",
            next_step="Blocks and their ids are below the moves: headworks release log FEATURE", param="block_id",
        ) from None  # fmt: skip
