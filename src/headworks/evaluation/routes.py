"""HTTP of experiments and gates, under `/api/experiments` and `/api/gates`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from headworks.evaluation.bodies import compared_body, experiment_body, results_body, run_body, verdict_body
from headworks.evaluation.calibration import card_as_json
from headworks.evaluation.contract import DatasetVersion
from headworks.evaluation.datasets.versions import Datasets
from headworks.evaluation.gates.gating import GateOrder
from headworks.evaluation.service import Evaluation, Wanted
from headworks.identity.routes import declare, require
from headworks.types.identity import Principal
from headworks.types.ids import Digest
from headworks.types.json_values import JsonObject

router = APIRouter(tags=["evaluation"])

_READ = "workspace:read|experiment:run"
Reader = Annotated[Principal, require("workspace:read", "experiment:run")]
Runner = Annotated[Principal, require("experiment:run")]


class Asked(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class WantedExperiment(Asked):
    """A release to be tried. Null: as the suite says. `most_cost_micro_usd` null: no ceiling of its own.

    `dataset`: a golden file of the workspace by its name, or what was pushed: `name@3`, `name@sha256:…`, `sha256:…`.
    """

    release: str
    project: str = "default"
    dataset: str | None = None
    repeats: int | None = None
    concurrency: int = 4
    most_cost_micro_usd: int | None = None
    retry_errors: bool = False


class WantedResume(Asked):
    """Another ceiling, or the one there was."""

    most_cost_micro_usd: int | None = Field(default=None, gt=0)


class WantedComparison(Asked):
    """Two experiments by id, or releases whose newest ones are meant; `attest` signs the comparison."""

    base: str
    candidate: str
    project: str = "default"
    slice_by: str | None = None
    attest: bool = False


class WantedVerdict(Asked):
    """A release to be judged by the gate attached to `prod`, or by the bundle `gate`, of which the first digits do."""

    release: str
    project: str = "default"
    gate: str | None = None
    concurrency: int = 4
    most_cost_micro_usd: int | None = None
    retry_errors: bool = False

    def order(self) -> GateOrder:
        """As the service takes it."""
        return GateOrder(
            self.project, self.release, self.gate, self.most_cost_micro_usd, self.concurrency, self.retry_errors
        )


class WantedCards(Asked):
    """Experiments whose judges are to be put beside people; `metric` null: all of them."""

    experiments: list[UUID] = Field(min_length=1, max_length=100)
    metric: str | None = None


def _evaluation(request: Request) -> Evaluation:
    found: Evaluation = request.app.state.evaluation
    return found


@router.post("/api/experiments", openapi_extra=declare("experiment:run", "experiment.run"), status_code=201)
async def run(request: Request, body: WantedExperiment, caller: Runner) -> JsonObject:
    """Start an experiment; the jobs process works on it."""
    dataset, pushed = await _pushed(request, caller, body)
    wanted = Wanted(
        body.project,
        body.release,
        dataset,
        body.repeats,
        body.concurrency,
        body.most_cost_micro_usd,
        body.retry_errors,
        pushed,
    )
    return experiment_body(await _evaluation(request).run(caller, wanted))


async def _pushed(
    request: Request, caller: Principal, body: WantedExperiment
) -> tuple[str | None, DatasetVersion | None]:
    """A dataset's name in what is told, and its version if it is one that was pushed."""
    name, at, version = (body.dataset or "").partition("@")
    datasets: Datasets = request.app.state.datasets
    if at:
        found = await datasets.find(caller, body.project, name, version)
        return f"{name}@{found.number}", found.version
    if name.startswith("sha256:"):
        whole = await datasets.by_digest(caller, Digest(name))
        return f"{whole.name}@{name.removeprefix('sha256:')[:12]}", whole
    return body.dataset, None


@router.get("/api/experiments", openapi_extra=declare(_READ, None))
async def list_experiments(request: Request, caller: Reader, feature: str | None = None, most: int = 50) -> JsonObject:
    """The newest experiments."""
    found = await _evaluation(request).experiments.list(caller, feature, None, min(max(most, 1), 500))
    return {"rows": [experiment_body(each) for each in found]}


@router.get("/api/experiments/{experiment}", openapi_extra=declare(_READ, None))
async def show(request: Request, experiment: UUID, caller: Reader) -> JsonObject:
    """An experiment, and how far it is."""
    experiments = _evaluation(request).experiments
    found = await experiments.find(caller, experiment)
    return experiment_body(found, await experiments.progress(caller, found))


@router.get("/api/experiments/{experiment}/results", openapi_extra=declare(_READ, None))
async def results(
    request: Request, experiment: UUID, caller: Reader, slice_by: Annotated[str | None, Query(max_length=200)] = None
) -> JsonObject:
    """Metrics with intervals, also by the values of a tag, and each answer's scores with its trace."""
    experiments = _evaluation(request).experiments
    found = await experiments.find(caller, experiment)
    return results_body(found, await experiments.results(caller, found), slice_by)


@router.get("/api/experiments/{experiment}/inspect", openapi_extra=declare(_READ, None))
async def inspect_log(request: Request, experiment: UUID, caller: Reader) -> Response:
    """The experiment as a log of Inspect (`.eval`); an answer that the caller may not read is an error, `withheld`."""
    content = await _evaluation(request).inspect_log(caller, experiment)
    return Response(content, media_type="application/octet-stream")


@router.post("/api/experiments/{experiment}/cancel", openapi_extra=declare("experiment:run", "experiment.cancel"))
async def cancel(request: Request, experiment: UUID, caller: Runner) -> JsonObject:
    """Ask nothing more; what is answered stays."""
    return experiment_body(await _evaluation(request).experiments.cancel(caller, experiment))


@router.post("/api/experiments/{experiment}/resume", openapi_extra=declare("experiment:run", "experiment.resume"))
async def resume(request: Request, experiment: UUID, body: WantedResume, caller: Runner) -> JsonObject:
    """Go on with what is missing."""
    experiments = _evaluation(request).experiments
    return experiment_body(await experiments.resume(caller, experiment, body.most_cost_micro_usd))


@router.post("/api/experiments/compare", openapi_extra=declare("experiment:run", "release.attest"))
async def compare(request: Request, body: WantedComparison, caller: Runner) -> JsonObject:
    """Two releases on the same examples: differences with intervals, slices, flips by failure mode, cost, latency."""
    evaluation = _evaluation(request)
    found = await evaluation.compare(caller, body.project, (body.base, body.candidate), body.slice_by)
    attestation = await evaluation.attest_comparison(caller, found) if body.attest else None
    return compared_body(found) | {"attestation": attestation}


@router.post("/api/gates/start", openapi_extra=declare("experiment:run", "experiment.run"))
async def start(request: Request, body: WantedVerdict, caller: Runner) -> JsonObject:
    """Have both sides run, as far as they have not."""
    return run_body(await _evaluation(request).gates.start(caller, body.order()))


@router.post("/api/gates/verdict", openapi_extra=declare("experiment:run", "gate.verdict"))
async def verdict(request: Request, body: WantedVerdict, caller: Runner) -> JsonObject:
    """Judge what has been run, sign the verdict, and ask for the judgements that are missing."""
    return verdict_body(await _evaluation(request).gates.verdict(caller, body.order()))


@router.post("/api/judges/calibrate", openapi_extra=declare("experiment:run", "judge.calibrate"))
async def calibrate(request: Request, body: WantedCards, caller: Runner) -> JsonObject:
    """Put judges beside what people said of the same answers, and keep the cards that come of it."""
    found = await _evaluation(request).calibration.calibrate(caller, body.experiments, body.metric)
    return {"rows": [card_as_json(each) for each in found]}


@router.get("/api/judges", openapi_extra=declare(_READ, None))
async def judge_cards(request: Request, caller: Reader) -> JsonObject:
    """The newest card of each judge: whether a gate may rest on it, and why not."""
    return {"rows": [card_as_json(each) for each in await _evaluation(request).calibration.cards.list(caller)]}
