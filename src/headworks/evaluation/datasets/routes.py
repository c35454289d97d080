"""HTTP of datasets, under `/api/datasets`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from headworks.errors import HeadworksError, InvalidRequest, NotFound
from headworks.evaluation.contract import DatasetVersion
from headworks.evaluation.datasets.checking import DatasetCheck, check, told_by
from headworks.evaluation.datasets.coverage import coverage
from headworks.evaluation.datasets.files import dataset_digest, read_dataset, write_dataset
from headworks.evaluation.datasets.meanings import alike
from headworks.evaluation.datasets.promotion import Promotion
from headworks.evaluation.datasets.schemas import diff
from headworks.evaluation.datasets.versions import Datasets, Numbered, Pushed
from headworks.identity.routes import declare, require
from headworks.identity.service import allow
from headworks.releases.service import Releases
from headworks.strict_yaml import nearest
from headworks.types.identity import Principal
from headworks.types.models import Models

router = APIRouter(tags=["datasets"], prefix="/api/datasets")

_READ = "dataset:read|dataset:write"
Reader = Annotated[Principal, require("dataset:read", "dataset:write")]
Writer = Annotated[Principal, require("dataset:write")]
Json = dict[str, Any]


class WantedVersion(BaseModel):
    """The lines of a dataset's file; `unlock` says why examples may move between splits."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content: str
    file: str = Field(default="dataset.jsonl", max_length=500)
    unlock: str = ""
    project: str = "default"


class WantedPromotion(BaseModel):
    """`with_reference`: what was answered then is what is wanted."""

    model_config = ConfigDict(extra="forbid")

    trace: UUID
    split: Literal["train", "dev", "test"] = "test"
    with_reference: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """A dataset's version; or, of a feature (`golden`), the golden file of that name as it is applied."""

    name: str
    project: str = "default"
    version: str | None = None
    golden: str | None = None


def _datasets(request: Request) -> Datasets:
    found: Datasets = request.app.state.datasets
    return found


@router.get("", openapi_extra=declare(_READ, None))
async def list_datasets(request: Request, caller: Reader, project: str = "default") -> dict[str, list[Json]]:
    """The project's datasets, each with its newest version."""
    return {"rows": [asdict(each) for each in await _datasets(request).list(caller, project)]}


@router.post("/{name}/versions", openapi_extra=declare("dataset:write", "dataset.push"), status_code=201)
async def push(request: Request, name: str, body: WantedVersion, caller: Writer) -> Json:
    """Make the lines of a file the newest version; the same ones again change nothing."""
    examples = await asyncio.to_thread(read_dataset, body.file, body.content.encode(errors="surrogatepass"))
    return _pushed(await _datasets(request).push(caller, body.project, name, examples, body.unlock))


@router.get("/{name}/versions", openapi_extra=declare(_READ, None))
async def history(request: Request, name: str, caller: Reader, project: str = "default") -> dict[str, list[Json]]:
    """The versions of a dataset, newest first."""
    return {"rows": [asdict(each) for each in await _datasets(request).history(caller, project, name)]}


@router.get("/{name}", openapi_extra=declare(_READ, None))
async def show(
    request: Request, name: str, caller: Reader, project: str = "default", version: str | None = None
) -> Json:
    """A version, whole: the newest, or that of a number or digest. `content` are the lines of its file."""
    found = await _datasets(request).find(caller, project, name, version)
    content = await asyncio.to_thread(write_dataset, found.version.examples)
    return {**_head(found), "content": content.decode()}


@router.get("/{name}/diff", openapi_extra=declare(_READ, None))
async def compare(
    request: Request, name: str, caller: Reader, before: str, after: str | None = None, project: str = "default"
) -> Json:
    """How two versions differ, by examples and by what examples have."""
    datasets = _datasets(request)
    one = await datasets.find(caller, project, name, before)
    two = await datasets.find(caller, project, name, after)
    return {"before": _head(one), "after": _head(two), **asdict(diff(one.version.examples, two.version.examples))}


@router.get("/{name}/check", openapi_extra=declare(_READ, None, "search"))
async def check_version(
    request: Request,
    caller: Reader,
    what: Annotated[Examined, Depends(Examined)],
    feature: str | None = None,
    embedder: str = "builtin/minilm",
) -> Json:
    """Near-duplicates, leaks between splits, and references that a feature's prompts or knowledge tell.

    `alike` are questions that are near in meaning, by the embedder; empty: it is not asked.
    """
    found = await _examined(request, caller, what)
    told: dict[str, bytes] = {}
    if answers := feature or what.golden:
        told = told_by(await _applied(request, caller, what.project), answers)
    result = await asyncio.to_thread(check, found.version.examples, told)
    duplicates = [{**asdict(each), "is_leak": each.is_leak} for each in result.duplicates]
    near, notice = await _alike(request, caller, found, result, embedder)
    told_too = {"duplicates": duplicates, "alike": near, "notices": [*result.notices, *notice]}
    return {**_head(found), **asdict(result), **told_too, "is_clean": result.is_clean}


async def _examined(request: Request, caller: Principal, what: Examined) -> Numbered:
    if what.golden is None:
        return await _datasets(request).find(caller, what.project, what.name, what.version)
    if what.version is not None:
        raise InvalidRequest("A golden file has no versions: it is looked at as it is applied.", param="version")
    files, folder = await _applied(request, caller, what.project), f"features/{what.golden}/golden/"
    path = f"{folder}{what.name}.jsonl"
    if path not in files:
        known = [each.removeprefix(folder).removesuffix(".jsonl") for each in files if each.startswith(folder)]
        raise NotFound(f"There is no `{path[:300]}`.", next_step=nearest(what.name, known))
    examples = await asyncio.to_thread(read_dataset, path, files[path])
    return Numbered(0, DatasetVersion(f"{what.golden}/{what.name}", dataset_digest(examples), tuple(examples)))


async def _applied(request: Request, caller: Principal, project: str) -> dict[str, bytes]:
    allow(caller, "workspace:read", "workspace:apply")
    releases: Releases = request.app.state.releases
    return await releases.pull(caller, project)


async def _alike(
    request: Request, caller: Principal, found: Numbered, result: DatasetCheck, embedder: str
) -> tuple[list[Json], list[str]]:
    """Pairs that are near in meaning, and a notice where they could not be looked for."""
    if not embedder:
        return [], []
    models: Models = request.app.state.models
    known = [(each.first, each.second) for each in result.duplicates]
    try:
        near = await alike(models, caller, found.version.examples, embedder, known)
    except HeadworksError as error:
        return [], [f"Questions in other words were not looked for: {error}"]
    return [{**asdict(each), "is_across": each.is_across} for each in near], []


@router.get("/{name}/coverage", openapi_extra=declare(_READ, None))
async def cover(
    request: Request,
    caller: Reader,
    what: Annotated[Examined, Depends(Examined)],
    tag: str = "intent",
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05,
    discordance: Annotated[float, Field(gt=0, le=1)] = 0.1,
) -> Json:
    """Examples for each value of a tag, and how many a gate needs."""
    found = await _examined(request, caller, what)
    result = await asyncio.to_thread(coverage, found.version.examples, tag, margin=margin, discordance=discordance)
    rows = [{**asdict(each), "missing": each.missing} for each in result.rows]
    return {**_head(found), **asdict(result), "rows": rows}


@router.post("/promotions", openapi_extra=declare("dataset:write", "dataset.promote"))
async def promote(request: Request, body: WantedPromotion, caller: Writer) -> Json:
    """The line that a trace gives, redacted; nothing is stored but that it was asked for."""
    promotion: Promotion = request.app.state.promotion
    found = await promotion.propose(caller, body.trace, body.split, with_reference=body.with_reference)
    await _datasets(request).note_promotion(caller, str(body.trace), found.redacted)
    return {
        "line": write_dataset([found.example]).decode(),
        "answer": found.answer,
        "redacted": found.redacted,
        "notices": found.notices,
    }


def _head(found: Numbered) -> Json:
    version = found.version
    return {
        "name": version.name,
        "number": found.number,
        "digest": version.digest,
        "examples": len(version.examples),
        "erased": version.erased,
    }


def _pushed(pushed: Pushed) -> Json:
    head = _head(Numbered(pushed.number, pushed.version))
    return {**head, "is_new": pushed.is_new, **asdict(pushed.diff), "moved": [asdict(each) for each in pushed.moved]}
