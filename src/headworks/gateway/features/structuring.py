"""Answers by a schema: checked as a whole, asked for once more where they don't fit, and never passed on if not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from headworks.errors import OutputInvalid
from headworks.guardrails.contract import CheckedJson, Fault
from headworks.guardrails.service import check_json
from headworks.types.features import OutputSettings
from headworks.types.models import Message

HEADER = b"x-headworks-output"

ASK_AGAIN = """Your answer can't be used: it must be JSON by the schema below, and nothing else. What is wrong with it:

{faults}

The schema:

{schema}

Write the whole answer again, corrected. Write only the JSON: no fence around it and nothing before or after it."""
"""The turn of the user's that follows an answer which does not fit."""

_LONGEST_REPEATED = 200_000
"""Characters of an answer that a model gets back."""

AskAgain = Callable[[tuple[Message, ...]], Awaitable[str]]
"""The text of a model's whole answer to these messages; raises what a call of a model raises."""


@dataclass(frozen=True, slots=True)
class Structured:
    """An answer that fits: `text` is the JSON without any wrapper."""

    text: str
    was_repaired: bool = False
    asked_again: bool = False

    @property
    def header(self) -> str:
        """The value of `x-headworks-output`; empty: the answer is as the model wrote it at first, and none is sent."""
        return ", ".join(["repaired"] * self.was_repaired + ["asked-again"] * self.asked_again)


class Structuring:
    """The output schema of features. Stateless; each answer is seen whole."""

    async def structured(
        self, feature: str, output: OutputSettings, messages: Sequence[Message], answer: str, ask_again: AskAgain
    ) -> Structured:
        """The answer as it may go on. `messages` are what was asked. Raises OutputInvalid, and what `ask_again` raises.

        Nothing that is not closed is ever good; who knows that a model was cut off does not come here (see outputs).
        """
        first = check_json(output.schema, answer)
        if first.is_good:
            return Structured(first.text, first.was_repaired)
        second = check_json(output.schema, await ask_again((*messages, *_second_turns(output, answer, first.errors))))
        if not second.is_good:
            raise _invalid(feature, second, "also when asked again")
        return Structured(second.text, second.was_repaired, asked_again=True)

    def check_again(self, feature: str, output: OutputSettings, text: str) -> None:
        """Whether an answer still fits after something was done to its text. Raises OutputInvalid."""
        checked = check_json(output.schema, text)
        if checked.was_repaired or not checked.is_good:
            raise _invalid(feature, checked, "once its citations were verified")


def _second_turns(output: OutputSettings, answer: str, faults: Sequence[Fault]) -> tuple[Message, ...]:
    """What was answered, and what is wrong with it. An empty answer is not repeated (providers refuse empty turns).

    Nor is one that is too long to be worth reading twice.
    """
    told = ASK_AGAIN.format(faults="\n".join(f"- {each}" for each in faults), schema=output.schema.decode())
    question = Message("user", told)
    if not answer.strip() or len(answer) > _LONGEST_REPEATED:
        return (question,)
    return (Message("assistant", answer), question)


def _invalid(feature: str, checked: CheckedJson, when: str) -> OutputInvalid:
    """Paths only: what the schema asks for is the feature's own."""
    places = ", ".join(f"`{path}`" for path in dict.fromkeys(each.path for each in checked.errors)) or "`$`"
    return OutputInvalid(
        f"The answer of the feature `{feature}` does not fit its output schema, {when}; it is wrong at {places}.",
        next_step="Try again; if it stays so, the feature's owner should look at the prompt, the schema and the model.",
    )
