"""Samples of OpenAI's evals: read, refused with their line, and written back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.evaluation.exchange.openai_evals import export_openai_evals, import_openai_evals
from headworks.types.evaluation import Example
from headworks.types.models import Message

LINE = {"input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}], "ideal": "4"}


def test_samples_become_examples_with_their_turns_and_reference() -> None:
    found = import_openai_evals(f"{json.dumps(LINE)}\n\n" + json.dumps({"input": "3?", "ideal": ["3", "three"]}))
    first, second = found.examples
    assert (first.id, first.question, first.history) == ("1", "2 + 2?", (Message("system", "Be brief."),))
    assert (second.id, second.question, second.reference) == ("3", "3?", ["3", "three"])
    assert found.losses == ()


def test_what_has_no_place_is_named_both_ways() -> None:
    assert import_openai_evals(json.dumps({**LINE, "choices": [1]})).losses == ("`choices` is not read",)
    _, losses = export_openai_evals([Example("a", "q", cluster="c", inputs={"x": 1})])
    assert len(losses) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no sample"),
        ("{", "Line 1: not JSON"),
        ('{"ideal": "x"}', "Line 1: there is no `input`"),
        ('{"input": "a"}\n{"input": 3}', "Line 2: `input` is neither"),
        ('{"input": [{"role": "tool", "content": "x"}]}', "Line 1: a message"),
        ('{"id": "a", "input": "x"}\n{"id": "a", "input": "y"}', "Line 2: the id `a` stands twice"),
    ],
)
def test_a_wrong_line_is_refused_by_its_number(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        import_openai_evals(text)


TEXT = st.text(min_size=1, max_size=20)


@given(TEXT, st.lists(TEXT, max_size=3), TEXT | st.lists(TEXT, max_size=3) | st.none(), st.dictionaries(TEXT, TEXT))
def test_what_is_written_is_read_back(
    question: str, before: list[str], reference: str | list[str] | None, tags: dict[str, str]
) -> None:
    example = Example("one", question, history=tuple(Message("user", each) for each in before), reference=reference,
                      tags=tags)  # fmt: skip
    text, losses = export_openai_evals([example])
    (back,) = import_openai_evals(text).examples
    assert losses == ()
    assert (back.question, back.history, back.reference, back.tags) == (question, example.history, reference, tags)
