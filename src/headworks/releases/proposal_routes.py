"""HTTP of drafts and proposals, under `/api/proposals`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from headworks.errors import WorkspaceInvalid
from headworks.identity.routes import declare, require
from headworks.releases.bodies import Asked, MovedBody, WantedDecision, moved_body
from headworks.releases.proposal_bodies import ProposalBody, WholeProposalBody, proposal_body, whole_proposal_body
from headworks.releases.proposals.resolving import MOST_FILES, Wanted
from headworks.releases.service import Releases
from headworks.types.identity import Principal

router = APIRouter(tags=["proposals"], prefix="/api/proposals")

_READ = "workspace:read|workspace:apply"
Reader = Annotated[Principal, require("workspace:read", "workspace:apply")]
Proposer = Annotated[Principal, require("release:propose")]
Approver = Annotated[Principal, require("release:approve")]
Talker = Annotated[Principal, require("release:propose", "release:approve")]
Closer = Annotated[Principal, require("release:propose", "release:promote")]
Mover = Annotated[Principal, require("release:promote", "release:break_glass")]


class WantedProposal(Asked):
    """A change of files: texts by path, null for one that goes.

    `features` and `gates` name what was applied, waits on `staging`, and is proposed though no file changes.
    """

    title: str
    description: str = ""
    files: dict[str, str | None] = Field(default={}, max_length=MOST_FILES)
    features: list[str] = Field(default=[], max_length=200)
    gates: list[str] = Field(default=[], max_length=200)
    draft: bool = False
    project: str = "default"

    def wanted(self) -> Wanted:
        """As the service takes it. Raises WorkspaceInvalid for a text that no file can have."""
        files: dict[str, bytes | None] = {}
        for path, text in self.files.items():
            try:
                files[path] = None if text is None else text.encode()
                path.encode()
            except UnicodeEncodeError:
                raise WorkspaceInvalid(f"{path[:200]!r}: not UTF-8.", next_step="Save it as UTF-8.") from None
        return Wanted(self.title, self.description, files, tuple(self.features), tuple(self.gates))


class WantedWord(Asked):
    """A word in the discussion; `path` and `line` where it is about one."""

    text: str
    path: str | None = None
    line: int | None = Field(default=None, ge=1)


class WantedWordOnAll(WantedDecision):
    """`digests`: those that were read, refused where others are there by now; left out: whatever it brings."""

    digests: list[str] | None = Field(default=None, max_length=2 * MOST_FILES)


class WantedAcceptance(Asked):
    """`break_glass`: past the rule, with a reason."""

    break_glass: bool = False
    reason: str = ""


def _releases(request: Request) -> Releases:
    found: Releases = request.app.state.releases
    return found


@router.get("", openapi_extra=declare(_READ, None))
async def list_proposals(
    request: Request,
    caller: Reader,
    project: str | None = None,
    state: Literal["draft", "open", "accepted", "closed"] | None = None,
    most: int = 100,
) -> dict[str, list[ProposalBody]]:
    """The newest proposals, without what they change; of drafts only the caller's own."""
    found = await _releases(request).proposals.list(caller, project, state, min(max(most, 1), 1000))
    return {"rows": [proposal_body(each) for each in found]}


@router.post("", openapi_extra=declare("release:propose", "release.propose"), status_code=201)
async def propose(request: Request, body: WantedProposal, caller: Proposer) -> WholeProposalBody:
    """Propose a change of files, or keep it as a draft that nobody else sees."""
    proposals = _releases(request).proposals
    number = await proposals.make(caller, body.project, body.wanted(), is_draft=body.draft)
    return whole_proposal_body(await proposals.show(caller, number))


@router.get("/{number}", openapi_extra=declare(_READ, None))
async def show(request: Request, number: int, caller: Reader) -> WholeProposalBody:
    """A proposal word by word, by behaviour, by the rule, and with what was said."""
    return whole_proposal_body(await _releases(request).proposals.show(caller, number))


@router.put("/{number}", openapi_extra=declare("release:propose", "release.propose"))
async def change(request: Request, number: int, body: WantedProposal, caller: Proposer) -> WholeProposalBody:
    """Put another content in the place of one's own proposal's, on what is live now; a draft may become a proposal."""
    proposals = _releases(request).proposals
    await proposals.change(caller, number, body.wanted(), is_draft=body.draft)
    return whole_proposal_body(await proposals.show(caller, number))


@router.post("/{number}/comments", openapi_extra=declare("release:propose|release:approve", "release.comment"))
async def comment(request: Request, number: int, body: WantedWord, caller: Talker) -> WholeProposalBody:
    """Say something about a proposal, or about a line of one of its files."""
    proposals = _releases(request).proposals
    await proposals.comment(caller, number, body.text, body.path, body.line)
    return whole_proposal_body(await proposals.show(caller, number))


@router.post("/{number}/approve", openapi_extra=declare("release:approve", "release.approve"))
async def approve(request: Request, number: int, body: WantedWordOnAll, caller: Approver) -> WholeProposalBody:
    """Approve every digest that a proposal brings now, object to them, or withdraw one's word."""
    proposals = _releases(request).proposals
    await proposals.approve(
        caller, number, body.decision, as_expert=body.as_expert, comment=body.comment, digests=body.digests
    )
    return whole_proposal_body(await proposals.show(caller, number))


@router.post("/{number}/accept", openapi_extra=declare("release:promote|release:break_glass", "release.accept"))
async def accept(request: Request, number: int, body: WantedAcceptance, caller: Mover) -> dict[str, list[MovedBody]]:
    """Make a proposal live: its files, releases and gates at once, or nothing."""
    moved = await _releases(request).proposals.accept(caller, number, glass=body.break_glass, reason=body.reason)
    return {"moved": [moved_body(each) for each in moved]}


@router.post("/{number}/close", openapi_extra=declare("release:propose|release:promote", "release.close"))
async def close(request: Request, number: int, caller: Closer) -> WholeProposalBody:
    """End a proposal without accepting it."""
    proposals = _releases(request).proposals
    await proposals.close(caller, number)
    return whole_proposal_body(await proposals.show(caller, number))
