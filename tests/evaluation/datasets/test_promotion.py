"""From a trace to a proposed example, under the rights of who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from headworks.errors import Conflict, InvalidRequest
from headworks.evaluation.datasets.files import read_dataset, write_dataset
from headworks.evaluation.datasets.promotion import Promoted, Promotion
from headworks.guardrails.service import Guardrails
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId, new_id

TRACE = new_id()
ASKER = Principal(TenantId(new_id()), PrincipalId(new_id()), "eva", "user", frozenset())


@dataclass
class Stage:
    name: str
    payload: Any = None
    is_withheld: bool = False


@dataclass
class Trace:
    """Stands in for observability, which lies above."""

    spans: list[Stage]
    usage: dict[str, Any] = field(default_factory=lambda: {"feature": "claims", "release": "sha256:r"})

    async def show(self, principal: Principal, trace: UUID) -> Trace:
        assert (principal, trace) == (ASKER, TRACE)
        return self


async def promoted(*stages: Stage, **more: Any) -> Promoted:
    return await Promotion(Trace(list(stages)), Guardrails()).propose(ASKER, TRACE, **more)


ASKED = Stage("prompt", {"question": "Approve for jane.roe@example.com?", "inputs": {"plan": "gold"}, "history": 0})
ANSWERED = Stage("request", {"answer": "Yes, write to jane.roe@example.com."})


async def test_what_is_personal_is_taken_out_of_question_inputs_and_answer() -> None:
    found = await promoted(ASKED, ANSWERED, with_reference=True, split="dev")
    assert found.redacted == {"email": 2}
    line = write_dataset([found.example])
    assert b"jane.roe" not in line
    assert "jane.roe" not in found.answer
    (example,) = read_dataset("proposed.jsonl", line)
    assert example == found.example
    assert (example.split, example.inputs, example.reference) == ("dev", {"plan": "gold"}, found.answer)
    assert example.provenance["trace"] == str(TRACE)
    assert example.provenance["release"] == "sha256:r"
    assert example.provenance["promoted_by"] == str(ASKER.id)


async def test_without_being_asked_to_the_answer_is_no_reference() -> None:
    found = await promoted(ASKED, ANSWERED)
    assert found.example.reference is None
    assert found.notices == ("It has no reference yet: write what should have been answered.",)


async def test_earlier_turns_that_are_not_kept_are_said() -> None:
    asked = Stage("prompt", {"question": "And for children?", "inputs": {}, "history": 2})
    found = await promoted(asked, ANSWERED, with_reference=True)
    assert "2 earlier turns" in found.notices[0]


async def test_text_that_the_asker_may_not_read_is_not_taken() -> None:
    with pytest.raises(Conflict, match="documents that you may not read"):
        await promoted(ASKED, Stage("request", None, is_withheld=True))


@pytest.mark.parametrize(
    "stages",
    [[], [Stage("request", {"answer": "Yes."})], [Stage("prompt", {"question": "", "inputs": {}})]],
    ids=["no stage", "no question kept", "nothing asked in words"],
)
async def test_a_trace_without_a_question_gives_no_example(stages: list[Stage]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await promoted(*stages)
    assert refused.value.code == "no_payload"
