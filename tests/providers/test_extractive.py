"""`builtin/extractive`: quotes and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from headworks.providers.contract import Ask
from headworks.providers.extractive import HEADING, Extractive, Quote, pieces_of
from headworks.types.ids import DocumentId, new_id
from headworks.types.models import Prompt
from headworks.types.retrieval import Passage, without_markers


def passage(number: int, text: str) -> Passage:
    return Passage(number, DocumentId(new_id()), 1, "a.md", "A", (), number, 0, len(text), text, 1.0)


def all_of(question: str, passages: Sequence[Passage]) -> list[Quote]:
    assert question
    return [Quote(each.number, each.text) for each in passages]


def ask(passages: Sequence[Passage] = (), body: bytes = b"{}") -> Ask:
    return Ask("chat", "extractive", body, prompt=Prompt((), tuple(passages), "What?"))


async def answer_to(asked: Ask) -> str:
    status, _, body = await Extractive(all_of).fetch(asked)
    assert status == 200
    return str(json.loads(body)["choices"][0]["message"]["content"])


async def test_it_quotes_word_for_word_with_markers() -> None:
    said = await answer_to(ask([passage(1, "It is  500."), passage(2, "Each “year”.")]))
    assert said == f"{HEADING}\n\n“It is  500.” [1]\n\n“Each “year”.” [2]"


async def test_without_passages_it_says_so_and_reveals_nothing() -> None:
    nothing = await answer_to(ask())
    assert nothing.startswith(HEADING)
    assert "[" not in nothing
    assert await answer_to(Ask("chat", "extractive", b"{}")) == nothing  # called without a feature


async def test_a_stream_says_what_the_whole_says() -> None:
    asked = ask([passage(1, "One."), passage(2, "Two.")], b'{"stream_options": {"include_usage": true}}')
    body = await (await Extractive(all_of).stream(asked)).read(100_000)
    events = [json.loads(line[6:]) for line in body.decode().split("\n") if line.startswith("data: {")]
    said = "".join(each["choices"][0]["delta"].get("content", "") for each in events if each["choices"])
    assert said == await answer_to(asked)
    assert events[-1]["usage"]["total_tokens"] > 0
    assert body.endswith(b"data: [DONE]\n\n")


@given(st.lists(st.tuples(st.integers(1, 9), st.text(min_size=1, max_size=30))))
def test_every_quote_is_in_the_answer_unchanged_but_for_its_own_markers(quotes: list[tuple[int, str]]) -> None:
    said = "".join(pieces_of([Quote(number, text) for number, text in quotes]))
    for number, text in quotes:
        assert f"“{without_markers(text)}” [{number}]" in said
        assert without_markers(text).replace("\\[", "[") == text.replace("\\[", "[")
