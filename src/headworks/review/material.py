"""What somebody who judges looks at: what was asked, what was answered, what that rests on, and what is to be decided.

An answer that rests on documents is shown to who may, in this very moment, read all of them, and to nobody else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

from headworks.errors import InvalidRequest
from headworks.evaluation.contract import JudgedAnswer
from headworks.identity.service import Identity, allow
from headworks.review.judgements import Files
from headworks.review.subjects import OfTrace, named, no_answer
from headworks.review.taxonomy import FailureMode, read_taxonomy, taxonomy_path
from headworks.types.identity import Principal
from headworks.types.ids import Digest, DocumentId, ProjectId
from headworks.types.models import Message
from headworks.types.retrieval import Passage, Place, PlaceRead
from headworks.types.traces import TraceReader, is_answer_withheld, kept_of

WITHHELD = "The answer rests on documents that you may not read: somebody who may has to judge it."
NOT_KEPT = "No text of this call was kept."


class Evaluated(Protocol):
    """Implemented by evaluation.service.Evaluation, injected by app.py."""

    async def answer(
        self, principal: Principal, project: ProjectId, release: Digest, example: Digest, repeat: int, metric: str
    ) -> JudgedAnswer | None:
        """One answer of an experiment, and whether the caller may read it; None where there is none."""
        ...

    async def criteria(self, principal: Principal, project: str, feature: str, metric: str) -> Mapping[str, str]:
        """What the judge of a metric is asked, by name."""
        ...


class Library(Protocol):
    """Implemented by retrieval.service.Retrieval, injected by app.py."""

    async def read_places(self, principal: Principal, places: Collection[Place]) -> Mapping[Place, PlaceRead]:
        """What stands at these places, of what the caller may read now; the others are not among them."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage that the model was shown. `is_cited`: the answer quotes it.

    `page` is the one that it begins on, None where there are none. `text` is empty where the document is another
    version by now, or not to be read any more.
    """

    number: int
    document: DocumentId
    version: int
    start: int
    end: int
    is_cited: bool
    path: str = ""
    title: str = ""
    section: tuple[str, ...] = ()
    text: str = ""
    page: int | None = None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.document, self.version, self.start, self.end)

    def read(self, found: PlaceRead | None) -> Shown:
        """With what stands there, as far as it is not known."""
        if found is None:
            return self
        return replace(
            self,
            path=self.path or found.path,
            title=self.title or found.title,
            section=self.section or found.section,
            text=self.text or found.text,
            page=found.page,
        )


@dataclass(frozen=True, slots=True)
class Material:
    """One answer to be judged. `withheld` says why the answer is not shown, else it is empty.

    `criteria` are the rubric of the metric by name, `modes` the failure modes that the feature's taxonomy knows.
    """

    subject: str
    metric: str
    feature: str
    question: str = ""
    history: tuple[Message, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    reference: Any = None
    context: tuple[str, ...] = ()
    answer: str = ""
    error: str = ""
    passages: tuple[Shown, ...] = ()
    criteria: Mapping[str, str] = field(default_factory=dict)
    modes: tuple[FailureMode, ...] = ()
    withheld: str = ""


class Materials:
    """See the module."""

    def __init__(
        self,
        identity: Identity,
        files: Files,
        traces: TraceReader,
        evaluated: Evaluated,
        library: Library,
    ) -> None:
        self._identity = identity
        self._files = files
        self._traces = traces
        self._evaluated = evaluated
        self._library = library

    async def show(self, principal: Principal, project: str, subject: str, metric: str) -> Material:
        """What somebody looks at who judges `subject`. Raises NotFound, also for a trace that he may not see."""
        allow(principal, "judgement:write", "judgement:adjudicate")
        meant = named(subject)
        if meant is None:
            raise InvalidRequest(
                f"`{subject[:100]}` is neither a trace nor an answer of an experiment.",
                next_step="What was imported is shown where it comes from.",
                param="subject",
            )
        if isinstance(meant, OfTrace):
            return await self._of_trace(principal, project, meant.trace, metric)
        place = (await self._identity.find_project(principal, project)).id
        cell = (meant.release, meant.example, meant.repeat)
        found = await self._evaluated.answer(principal, place, *cell, metric)
        if found is None:
            raise no_answer(subject)
        return await self._of_experiment(principal, project, found, Material(subject, metric, found.feature))

    async def _of_experiment(
        self, principal: Principal, project: str, found: JudgedAnswer, named: Material
    ) -> Material:
        example, output = found.example, found.output
        cited = {each.number for each in output.citations}
        asked = replace(
            named,
            question=example.question,
            history=example.history,
            inputs=example.inputs,
            reference=example.reference,
            context=example.context,
            criteria=found.criteria,
            modes=await self._modes(principal, project, found.feature),
        )
        if not found.is_readable:
            return replace(asked, withheld=WITHHELD)
        passages = await self._read(principal, (_shown(each, cited) for each in output.passages))
        return replace(asked, answer=output.text, error=output.error_message, passages=passages)

    async def _of_trace(self, principal: Principal, project: str, trace: UUID, metric: str) -> Material:
        seen = await self._traces.show(principal, trace)
        kept, is_withheld = kept_of(seen), is_answer_withheld(seen)
        feature = str(seen.usage.get("feature") or "")
        cited = {each["number"] for each in kept.get("citations", ())}
        places = () if is_withheld else kept.get("passages", ())
        return Material(
            subject=f"trace:{trace}",
            metric=metric,
            feature=feature,
            question=str(kept.get("question", "")),
            inputs=kept.get("inputs") or {},
            answer="" if is_withheld else str(kept.get("answer", "")),
            passages=await self._read(principal, (_referred(each, cited) for each in places)),
            criteria=await self._evaluated.criteria(principal, project, feature, metric),
            modes=await self._modes(principal, project, feature),
            withheld=WITHHELD if is_withheld else "" if "answer" in kept else NOT_KEPT,
        )

    async def _read(self, principal: Principal, passages: Iterable[Shown]) -> tuple[Shown, ...]:
        """With what the caller may read of them at this moment: a trace keeps places only, an answer no pages."""
        shown = tuple(passages)
        found = await self._library.read_places(principal, [each.place for each in shown])
        return tuple(each.read(found.get(each.place)) for each in shown)

    async def _modes(self, principal: Principal, project: str, feature: str) -> tuple[FailureMode, ...]:
        """The taxonomy as a judgement is checked by it; none where the project has none, or it is another's feature."""
        path = taxonomy_path(feature)
        content = (await self._files.pull(principal, project)).get(path)
        return () if content is None else tuple(read_taxonomy(path, content).modes.values())


def _shown(passage: Passage, cited: set[int]) -> Shown:
    return Shown(
        passage.number,
        passage.document,
        passage.version,
        passage.start,
        passage.end,
        passage.number in cited,
        passage.path,
        passage.title,
        passage.section,
        passage.text,
    )


def _referred(reference: Mapping[str, Any], cited: set[int]) -> Shown:
    return Shown(
        reference["number"],
        DocumentId(UUID(reference["document"])),
        reference["version"],
        reference["start"],
        reference["end"],
        reference["number"] in cited,
    )
