"""HTTP of human judgements, under `/api/judgements`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from headworks.identity.routes import declare, require
from headworks.review.contract import Judgement, Verdict
from headworks.review.files import READERS, line_of
from headworks.review.sampling import Draw
from headworks.review.service import Review
from headworks.review.store import Filter
from headworks.types.identity import Principal
from headworks.types.json_values import JsonObject

router = APIRouter(tags=["judgements"], prefix="/api/judgements")

Reader = Annotated[Principal, require("judgement:read")]
Writer = Annotated[Principal, require("judgement:write")]
Judging = Annotated[Principal, require("judgement:write", "judgement:adjudicate")]
Asking = Annotated[Principal, require("judgement:read", "judgement:write")]
Word = Annotated[str, Field(max_length=500)]
"""What is looked for in the database."""


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WantedJudgement(_Asked):
    """One's verdict on an answer. `feature`: whose taxonomy names the failure modes. `adjudicate`: decide."""

    subject: str
    metric: str
    verdict: Verdict
    failure_modes: list[str] = Field(default=[], max_length=50)
    severity: int | None = None
    critique: str = ""
    suggested_fix: str = ""
    knowledge: str = ""
    evidence: str = ""
    criteria: dict[str, Verdict] = Field(default={}, max_length=100)
    release: str | None = None
    dataset: str | None = None
    example: str | None = None
    trace: UUID | None = None
    feature: str | None = None
    adjudicate: bool = False
    project: str = "default"


class WantedImport(_Asked):
    """The content of a file of judgements."""

    content: str
    format: Literal["jsonl", "pandalm"] = "jsonl"
    file: str = Field(default="judgements", max_length=500)
    project: str = "default"


class WantedSample(_Asked):
    """How many reviews of a feature's answers are expected, and of which hours."""

    feature: Word
    metric: Word
    budget: float
    hours: int = 24
    seed: int | None = Field(default=None, ge=0, lt=1 << 62)
    project: str = "default"


def _review(request: Request) -> Review:
    found: Review = request.app.state.review
    return found


@router.get("", openapi_extra=declare("judgement:read", None))
async def list_judgements(  # noqa: PLR0917 -- each is a parameter of the query
    request: Request,
    caller: Reader,
    project: Word = "default",
    metric: Word | None = None,
    subject: Word | None = None,
    release: Word | None = None,
    most: Annotated[int, Field(ge=1, le=100_000)] = 1000,
) -> JsonObject:
    """The newest judgements that the caller may read; `hidden` counts those that he can't read before he has judged."""
    wanted = Filter(metric, subject, release)
    found, hidden = await _review(request).judgements.list(caller, project, wanted, most)
    return {"rows": [line_of(each) for each in found], "hidden": hidden}


@router.post("", openapi_extra=declare("judgement:write|judgement:adjudicate", "judgement.give"), status_code=201)
async def give(request: Request, body: WantedJudgement, caller: Judging) -> JsonObject:
    """Keep one's opinion in the place of an earlier one, or decide where others disagree.

    Not `is_counted`: a gate asks for it, of what the caller himself made or proposed; it is kept, and the gate waits
    for somebody else's.
    """
    said = body.model_dump(exclude={"feature", "adjudicate", "project"})
    given = Judgement(**{**said, "failure_modes": tuple(body.failure_modes)})
    made = await _review(request).judgements.give(
        caller, body.project, given, feature=body.feature, is_adjudication=body.adjudicate
    )
    return {"judgement": str(made.id), "is_counted": made.is_counted}


@router.post("/import", openapi_extra=declare("judgement:write", "judgement.import"))
async def take_in(request: Request, body: WantedImport, caller: Writer) -> JsonObject:
    """Import judgements with the names of their raters; the same again changes nothing."""
    rows = await asyncio.to_thread(READERS[body.format], body.file, body.content.encode(errors="surrogatepass"))
    return {"read": len(rows), "new": await _review(request).judgements.take_in(caller, body.project, rows)}


@router.get("/agreement", openapi_extra=declare("judgement:read", None))
async def agreement(request: Request, caller: Reader, metric: Word, project: Word = "default") -> JsonObject:
    """Kappas of each two raters and Krippendorff's alpha of all, with intervals."""
    return asdict(await _review(request).judgements.agreement(caller, project, metric))


@router.get("/wanted", openapi_extra=declare("judgement:read|judgement:write", None))
async def wanted(  # noqa: PLR0917 -- each is a parameter of the query
    request: Request,
    caller: Asking,
    project: Word = "default",
    queue: Word | None = None,
    metric: Word | None = None,
    opinions: Annotated[int, Field(ge=1, le=100)] = 1,
    done: bool = False,  # noqa: FBT001, FBT002 -- a parameter of the query
    most: Annotated[int, Field(ge=1, le=100_000)] = 1000,
) -> JsonObject:
    """What gates and samples ask for, and the caller can help with; `own` counts what is for a gate of his own work."""
    rows, own = await _review(request).judgements.wanted(
        caller, project, queue=queue, metric=metric, opinions=opinions, done=done, most=most
    )
    return {"rows": [asdict(each) for each in rows], "own": own}


@router.get("/material", openapi_extra=declare("judgement:write|judgement:adjudicate", None))
async def material(
    request: Request, caller: Judging, subject: Word, metric: Word, project: Word = "default"
) -> JsonObject:
    """What is to be judged: question, answer, the passages that were read for it, the rubric and the failure modes.

    An answer that rests on documents is withheld from who may not read them all at this moment; `withheld` says so.
    """
    return asdict(await _review(request).materials.show(caller, project, subject, metric))


@router.post("/samples", openapi_extra=declare("judgement:write", "judgement.sample"), status_code=201)
async def draw(request: Request, body: WantedSample, caller: Writer) -> JsonObject:
    """Draw answers from traffic that the caller may see, each with a chance that is stored."""
    order = Draw(body.feature, body.metric, body.budget, body.hours, body.seed)
    return asdict(await _review(request).sampling.draw(caller, body.project, order))


@router.get("/samples/{sample}", openapi_extra=declare("judgement:read", None))
async def read_sample(request: Request, sample: UUID, caller: Reader) -> JsonObject:
    """The share that passes, of all that the sample was drawn from."""
    found = await _review(request).sampling.read(caller, sample)
    interval = found.estimate.interval()
    return {
        "feature": found.feature,
        "metric": found.metric,
        "population": found.population,
        "drawn": found.drawn,
        "reviewed": found.reviewed,
        "unsure": found.unsure,
        "share": found.estimate.value,
        "low": interval.low,
        "high": interval.high,
    }
