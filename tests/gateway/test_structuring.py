"""Answers by a schema: as they are, repaired, asked for once more, refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import OutputInvalid, UpstreamError, UpstreamTimeout
from headworks.gateway.features.structuring import Structured, Structuring
from headworks.guardrails.schema import read_output_schema
from headworks.types.features import OutputSettings
from headworks.types.models import Message

SCHEMA = read_output_schema(
    json.dumps({
        "type": "object",
        "required": ["amount", "paid"],
        "additionalProperties": False,
        "properties": {"amount": {"type": "number"}, "paid": {"type": "boolean"}, "note": {"type": "string"}},
    }),
    is_strict=False,
)  # fmt: skip
OUTPUT = OutputSettings("claim", SCHEMA)
ASKED = (Message("system", "Answer."), Message("user", "How much?"))
GOOD = '{"amount": 5, "paid": true}'
WRONG = '{"amount": "s3cret", "paid": true}'
CUT = '{"amount": 5, "pa'


@dataclass
class Model:
    """Answers what it is told to, one after the other, and remembers what it was asked."""

    answers: list[str | BaseException] = field(default_factory=list)
    asked: list[tuple[Message, ...]] = field(default_factory=list)

    async def __call__(self, messages: tuple[Message, ...]) -> str:
        self.asked.append(messages)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def settle(first: str, *later: str | BaseException) -> tuple[Structured, Model]:
    model = Model(list(later))
    return await Structuring().structured("claims", OUTPUT, ASKED, first, model), model


async def refusal(first: str, *later: str | BaseException) -> tuple[OutputInvalid, Model]:
    model = Model(list(later))
    with pytest.raises(OutputInvalid) as caught:
        await Structuring().structured("claims", OUTPUT, ASKED, first, model)
    return caught.value, model


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def test_an_answer_that_fits_goes_on_as_it_is_and_nobody_is_asked_again() -> None:
    answer, model = await settle(f" {GOOD}\n")
    assert answer == Structured(f" {GOOD}\n")
    assert answer.header == ""
    assert model.asked == []


async def test_a_wrapped_answer_goes_on_without_the_wrapper_and_says_so() -> None:
    answer, model = await settle(f"```json\n{GOOD}\n```")
    assert (answer.text, answer.header) == (GOOD, "repaired")
    assert model.asked == []


async def test_an_answer_that_does_not_fit_is_asked_for_once_more() -> None:
    answer, model = await settle(WRONG, GOOD)
    assert (answer.text, answer.header) == (GOOD, "asked-again")
    (messages,) = model.asked
    assert messages[:2] == ASKED
    assert messages[2] == Message("assistant", WRONG)
    assert messages[3].role == "user"
    assert "- $.amount must be a number, not text\n" in messages[3].content
    assert SCHEMA.decode() in messages[3].content
    assert "s3cret" not in messages[3].content


async def test_both_flags_stand_where_both_happened() -> None:
    answer, _ = await settle(WRONG, f"```\n{GOOD}\n```")
    assert (answer.text, answer.header) == (GOOD, "repaired, asked-again")


@pytest.mark.parametrize("first", [CUT, "I am sorry, but", "", "[1, 2", "```json\n{}"])
async def test_what_was_cut_off_is_never_repaired_but_asked_for_again(first: str) -> None:
    answer, model = await settle(first, GOOD)
    assert answer == Structured(GOOD, was_repaired=False, asked_again=True)
    assert len(model.asked) == 1


@pytest.mark.parametrize("first", ["", " \n", "[" + " " * 200_000])
async def test_an_answer_that_is_empty_or_endless_is_not_repeated_to_the_model(first: str) -> None:
    _, model = await settle(first, GOOD)
    assert [each.role for each in model.asked[0]] == ["system", "user", "user"]


async def test_after_the_second_answer_it_is_over_and_the_error_names_the_places_only() -> None:
    error, model = await refusal(CUT, '{"amount": "s3cret", "s3cret": 1}', GOOD)
    assert len(model.asked) == 1
    assert isinstance(error, UpstreamError)
    assert (error.status, error.code) == (502, "output_invalid")
    assert error.message == (
        "The answer of the feature `claims` does not fit its output schema, also when asked again; "
        "it is wrong at `$`, `$.amount`."
    )
    assert "s3cret" not in str(error)
    assert "the feature's owner" in error.next_step


async def test_what_the_second_call_raises_goes_through() -> None:
    with pytest.raises(UpstreamTimeout):
        await settle(WRONG, UpstreamTimeout("The model took too long."))
    with pytest.raises(asyncio.CancelledError):
        await settle(WRONG, asyncio.CancelledError())


def test_an_answer_is_checked_again_after_its_text_was_changed() -> None:
    Structuring().check_again("claims", OUTPUT, GOOD)
    for changed in (WRONG, GOOD[:-1], f"```\n{GOOD}\n```"):
        with pytest.raises(OutputInvalid, match="once its citations were verified"):
            Structuring().check_again("claims", OUTPUT, changed)


answers = (
    st.sampled_from([GOOD, WRONG, CUT, "", "null", "{}", "[]", f"```\n{GOOD}\n```", f"Sure: {GOOD}", GOOD + ",", "NaN"])
    | st.text(max_size=30)
    | st.builds(lambda end: GOOD[:end], st.integers(0, len(GOOD)))
)


@given(answers, answers)
def test_whatever_comes_out_fits_and_at_most_two_answers_were_seen(first: str, second: str) -> None:
    model = Model([second])
    try:
        answer = run(Structuring().structured("claims", OUTPUT, ASKED, first, model))
    except OutputInvalid as error:
        assert len(model.asked) == 1
        assert "`$" in error.message  # noqa: PT017 -- either outcome is right
        return
    value = json.loads(answer.text)
    assert isinstance(value["amount"], int | float)
    assert isinstance(value["paid"], bool)
    assert answer.asked_again is (len(model.asked) == 1)
    assert answer.was_repaired is (answer.text != (second if answer.asked_again else first))
