"""What is shown to who judges, and what is withheld from whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from release_world import World, guest, shared_urls, workspace

from headworks.errors import Forbidden, InvalidRequest, NotFound
from headworks.evaluation.contract import JudgedAnswer, subject_of
from headworks.review.material import NOT_KEPT, WITHHELD, Material, Materials
from headworks.types.evaluation import Example, Output
from headworks.types.identity import Principal
from headworks.types.ids import Digest, DocumentId, ProjectId, new_id
from headworks.types.retrieval import Passage, Place, PlaceRead

__all__ = ["guest", "shared_urls"]

RELEASE, EXAMPLE = Digest("sha256:" + "a" * 64), Digest("sha256:" + "b" * 64)
SUBJECT = subject_of(RELEASE, EXAMPLE)
TAXONOMY = b"failure_modes:\n  - {id: rude, definition: It is rude.}\n"


@dataclass
class Span:
    name: str
    payload: Any
    is_withheld: bool = False


@dataclass
class Above:
    """Stands in for evaluation, observability and retrieval, with one answer, one trace and one document."""

    output: Output
    is_readable: bool = True
    spans: tuple[Span, ...] = ()
    usage: Mapping[str, Any] = field(default_factory=dict)
    stands: PlaceRead | None = None

    async def answer(
        self, principal: Principal, project: ProjectId, release: Digest, example: Digest, repeat: int, metric: str
    ) -> JudgedAnswer | None:
        del principal, project
        if (release, example, repeat, metric) != (RELEASE, EXAMPLE, 0, "polite"):
            return None
        return JudgedAnswer(
            "claims", Example("a", "Hello?", reference="Hello."), self.output, {"polite": "Is it?"}, self.is_readable
        )

    async def criteria(self, principal: Principal, project: str, feature: str, metric: str) -> Mapping[str, str]:
        del principal, project, metric
        return {"polite": f"Is {feature} polite?"}

    async def show(self, principal: Principal, trace: UUID) -> Above:
        del principal, trace
        return replace(self, usage={"feature": "claims"})

    async def read_places(self, principal: Principal, places: Collection[Place]) -> Mapping[Place, PlaceRead]:
        del principal
        return {} if self.stands is None else dict.fromkeys(places, self.stands)


async def shown(guest: World, above: Above, subject: str = SUBJECT, **more: Any) -> Material:
    await guest.apply(workspace() | {"features/claims/taxonomy.yaml": TAXONOMY})
    materials = Materials(guest.identity, guest.releases, above, above, above)
    return await materials.show(more.get("by", guest.admin), "default", subject, "polite")


async def test_an_answer_is_shown_with_what_it_is_judged_by(guest: World) -> None:
    found = await shown(guest, Above(Output("Good day.")))
    assert (found.question, found.reference, found.answer, found.withheld) == ("Hello?", "Hello.", "Good day.", "")
    assert found.criteria == {"polite": "Is it?"}
    assert [each.id for each in found.modes] == ["rude"]


async def test_an_answer_on_a_document_that_one_may_not_read_is_withheld(guest: World) -> None:
    passage = Passage(1, DocumentId(new_id()), 1, "a.md", "A", (), 0, 0, 6, "secret", 1.0)
    found = await shown(guest, Above(Output("It is secret.", passages=(passage,)), is_readable=False))
    assert (found.answer, found.error, found.passages, found.withheld) == ("", "", (), WITHHELD)
    assert found.question == "Hello?"


async def test_a_trace_is_shown_as_far_as_its_viewer_may_see_it(guest: World) -> None:
    asked = Span("render", {"question": "Who?", "inputs": {"tone": "kind"}})
    place = {"number": 1, "document": str(new_id()), "version": 1, "start": 0, "end": 4, "score": 1.0}
    whole = (asked, Span("retrieve", {"passages": [place]}), Span("request", {"answer": "Me."}))
    subject = f"trace:{new_id()}"
    spans = (*whole, Span("cite", {"citations": [place]}))
    stands = PlaceRead("a.pdf", "A", ("One",), 3, "It is me.")
    found = await shown(guest, Above(Output(), spans=spans, stands=stands), subject)
    assert (found.question, found.answer, found.inputs) == ("Who?", "Me.", {"tone": "kind"})
    (read,) = found.passages
    assert (read.number, read.is_cited, read.text) == (1, True, "It is me.")
    assert (read.path, read.title, read.section, read.page) == ("a.pdf", "A", ("One",), 3)
    (unread,) = (await shown(guest, Above(Output(), spans=spans), subject)).passages
    assert (unread.title, unread.text, unread.page) == ("", "", None), "the document is not to be read any more"
    assert found.criteria == {"polite": "Is claims polite?"}
    hidden = (asked, Span("request", None, is_withheld=True))
    assert (await shown(guest, Above(Output(), spans=hidden), subject)).withheld == WITHHELD
    assert (await shown(guest, Above(Output(), spans=(asked,)), subject)).withheld == NOT_KEPT


async def test_who_may_not_judge_is_shown_nothing_and_what_is_nowhere_is_not_found(guest: World) -> None:
    above = Above(Output("Good day."))
    with pytest.raises(Forbidden):
        await shown(guest, above, by=await guest.person("audrey", "auditor"))
    with pytest.raises(NotFound):
        await shown(guest, above, subject_of(RELEASE, EXAMPLE, 1))
    for subject in ("pandalm:7", "trace:7", "answer:a:b:0"):
        with pytest.raises(InvalidRequest, match="neither"):
            await shown(guest, above, subject)
