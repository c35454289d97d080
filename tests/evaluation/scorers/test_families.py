"""What each family of scorers says of answers, good, bad and strange."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_judge import ScriptedModels

from headworks.evaluation.scorers.catalogue import make_scorer
from headworks.evaluation.scorers.contract import Surroundings
from headworks.testing.scorers import SOMEBODY
from headworks.types.evaluation import Example, Output, Score, ToolUse
from headworks.types.ids import DocumentId
from headworks.types.retrieval import Citation, Groundedness, Passage

_DOCUMENT = DocumentId(UUID(int=1))


def score(kind: str, settings: dict[str, Any], output: Output | str, example: Example | None = None) -> Score:
    scorer = make_scorer("m", kind, settings)
    answer = output if isinstance(output, Output) else Output(output)
    return asyncio.run(scorer.score(SOMEBODY, example or Example("a", "?"), answer))


def passage(path: str, text: str = "", section: tuple[str, ...] = ()) -> Passage:
    return Passage(1, _DOCUMENT, 1, path, path, section, 0, 0, len(text), text, 1.0)


def citation(path: str, section: tuple[str, ...] = (), support: float = 1.0) -> Citation:
    return Citation(1, _DOCUMENT, 1, path, path, section, 0, 1, "q", "0", support, 0, 3)


_WORDS: list[tuple[str, dict[str, Any], str, float]] = [
    ("exact", {"value": "Yes"}, " Yes\n", 1),
    ("exact", {"value": "Yes", "ignore": []}, "Yes\n", 0),
    ("exact", {"value": "Yes"}, "yes", 0),
    ("exact", {"value": "YES please", "ignore": ["case", "whitespace", "punctuation"]}, "yes,   please!", 1),
    ("exact", {"value": "café", "ignore": ["accents"]}, "cafe\u0301", 1),
    ("exact", {"value": "café"}, "cafe\u0301", 1),
    ("exact", {"value": "12", "ignore": ["width"]}, "\uff11\uff12", 1),
    ("exact", {"value": {"a": 1, "b": [True]}}, '{"b": [true], "a": 1.0}', 1),
    ("exact", {"value": {"a": 1}}, '{"a": true}', 0),
    ("exact", {"value": {"a": 1}}, '{"a": 1, "b": 2}', 0),
    ("exact", {"value": ["a", "b"], "needs": "any"}, "b", 1),
    ("exact", {"value": "no", "not": True}, "yes", 1),
    ("exact", {"value": True, "path": "/ok"}, '{"ok": true}', 1),
    ("exact", {"value": 1, "path": "/ok"}, '{"ok": true}', 0),
    ("contains", {"value": ["a", "z"]}, "abc", 0),
    ("contains", {"value": ["a", "z"], "needs": "any"}, "abc", 1),
    ("contains", {"value": "4.2", "path": "/clauses"}, '{"clauses": ["4.2", "5"]}', 1),
    ("starts_with", {"value": "No"}, "Not yet", 1),
    ("ends_with", {"value": "."}, "Done.", 1),
    ("regex", {"pattern": r"^\d+ weeks$"}, "12 weeks", 1),
    ("regex", {"pattern": "weeks", "whole": True}, "12 weeks", 0),
    ("regex", {"pattern": "(a+)+$", "not": True}, "a" * 5000 + "!", 1),
    ("json_schema", {}, '{"a": 1}', 1),
    ("json_schema", {}, "```json\n{}\n```", 0),
    ("json_schema", {}, '{"a": NaN}', 0),
    ("json_schema", {"schema": {"required": ["a"]}}, '{"b": 1}', 0),
    ("number", {"value": 12, "absolute": 0.5}, "It is 12.4 weeks.", 1),
    ("number", {"value": 1000, "relative": 0.01}, "about 1,009", 1),
    ("number", {"value": 1000, "relative": 0.01}, "about 1,011", 0),
    ("number", {"value": "2 g", "units": {"mg": 1, "g": 1000}}, "Give 2000 mg on day 3.", 1),
    ("number", {"value": "2 g", "units": {"mg": 1, "g": 1000}}, "Give 2000 ml.", 0),
    ("number", {"value": 5}, "from 5 to 7", 0),
    ("number", {"value": 5, "any": True}, "from 5 to 7", 1),
    ("number", {"value": -3}, "it is −3", 1),
    ("number", {"value": 7, "path": "/n"}, '{"n": 7}', 1),
    ("number", {"value": 7}, "seven", 0),
    ("refusal", {"expected": "yes"}, "I'm sorry, but I can't help with that.", 1),
    ("refusal", {"expected": "no"}, "Yes: 12 weeks, as the passages say.", 1),
    ("refusal", {"expected": "no"}, "You cannot appeal after 60 days.", 1),
    ("refusal", {"expected": "yes", "phrases": ["Frag das Büro"]}, "Bitte frag das Büro.", 1),
    ("length", {"most": 3}, "four", 0),
]


@pytest.mark.parametrize(("kind", "settings", "answer", "value"), _WORDS)
def test_an_answer_passes_or_fails(kind: str, settings: dict[str, Any], answer: str, value: float) -> None:
    found = score(kind, settings, answer)
    assert (found.value, found.error_code) == (value, None)
    assert found.reason or value


@pytest.mark.parametrize(
    ("kind", "settings", "answer", "code"),
    [
        ("exact", {}, "yes", "no_reference"),
        ("exact", {"path": "/a", "value": 1}, "no JSON", "not_json"),
        ("exact", {"path": "/a/9", "value": 1}, '{"a": []}', "not_json"),
        ("number", {"value": "none"}, "5", "no_reference"),
        ("groundedness", {}, "yes", "not_measured"),
        ("cost", {}, "yes", "not_measured"),
        ("tokens", {}, "yes", "not_measured"),
        ("retrieval_recall", {}, "yes", "no_reference"),
        ("similarity", {"value": "yes"}, "yes", "unavailable"),
    ],
)
def test_what_can_not_be_scored_is_an_error_with_a_reason(
    kind: str, settings: dict[str, Any], answer: str, code: str
) -> None:
    found = score(kind, settings, answer)
    assert found.is_error
    assert found.error_code == code
    assert found.reason


def test_a_place_in_the_reference_is_what_is_wanted() -> None:
    example = Example("a", "?", reference={"decision": "approve", "a/b": {"c": [1, 2]}})
    settings = {"path": "/decision", "reference": "/decision"}
    assert score("exact", settings, '{"decision": "approve"}', example).value == 1
    assert score("exact", {"path": "/x", "reference": "/a~1b/c/1"}, '{"x": 2}', example).value == 1
    assert score("exact", {"reference": "/none"}, "x", example).error_code == "no_reference"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
        lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=3), each, max_size=3),
        max_leaves=8,
    )
)
def test_json_equals_itself_however_it_is_written(value: Any) -> None:
    if isinstance(value, str):
        return
    example = Example("a", "?", reference=value)
    for written in (json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)):
        found = score("exact", {}, written, example)
        assert found.value == 1 or (value is None and found.error_code == "no_reference")


_FIND = ToolUse("find", {"name": "leave", "page": {"most": 3, "from": 0}})
_SEND = ToolUse("send", {"to": ["a", "b"]})


@pytest.mark.parametrize(
    ("called", "wanted", "settings", "value"),
    [
        ((_FIND, _SEND), (_SEND, _FIND), {}, 1),
        ((_FIND, _SEND), (_SEND, _FIND), {"order": True}, 0),
        ((_FIND, _SEND), (_FIND, _SEND), {"order": True}, 1),
        ((_FIND,), (ToolUse("find", {"page": {"most": 3}}),), {}, 1),
        ((_FIND,), (ToolUse("find", {"page": {"most": 3}}),), {"arguments": "exact"}, 0),
        ((_FIND,), (ToolUse("find", {"name": "x"}),), {"arguments": "any"}, 1),
        ((_SEND,), (ToolUse("send", {"to": ["a"]}),), {}, 0),
        ((_FIND, _FIND), (_FIND,), {"others": False}, 0),
        ((_FIND,), (_FIND, _FIND), {}, 0),
        ((), (), {"others": False}, 1),
        ((_FIND,), (), {"others": False}, 0),
        (
            (ToolUse("f", {"a": 1}), ToolUse("f", {"a": 1, "b": 2})),
            (ToolUse("f", {"a": 1}), ToolUse("f", {"b": 2})),
            {},
            1,
        ),
        (
            (ToolUse("f", {"a": 1, "b": 2}), ToolUse("f", {"a": 1})),
            (ToolUse("f", {"a": 1}), ToolUse("f", {"b": 2})),
            {},
            1,
        ),
        ((ToolUse("f", {"a": True}),), (ToolUse("f", {"a": 1}),), {}, 0),
    ],
)
def test_tools_are_matched(called: Any, wanted: Any, settings: dict[str, Any], value: float) -> None:
    example = Example("a", "?", expected_tools=wanted)
    assert score("tool_calls", settings, Output(tool_uses=called), example).value == value


def test_what_a_release_marks_or_a_guardrail_blocks_is_a_refusal() -> None:
    marked, blocked = Output("…", is_refusal=True), Output(error_code="blocked")
    for output in (marked, blocked, Output(finish_reason="content_filter")):
        assert score("refusal", {"expected": "yes"}, output).value == 1
    assert score("refusal", {"expected": "yes"}, Output(error_code="upstream_timeout")).error_code == "no_answer"
    tagged = Example("a", "?", tags={"refuse": "yes"})
    assert [score("refusal", {"expected": "by_tag"}, "Sure!", each).value for each in (tagged, Example("b", "?"))] == [
        0,
        1,
    ]


def test_effort_is_a_number_or_a_limit_and_failures_cost() -> None:
    output = Output("yes", input_tokens=10, output_tokens=5, cost_micro_usd=30, latency_ms=800.0)
    assert [score(kind, {}, output).value for kind in ("latency", "cost", "tokens", "length")] == [800, 30, 15, 3]
    assert score("latency", {"most_ms": 700}, output).reason == "800 milliseconds are more than 700."
    broken = replace(output, error_code="upstream_timeout")
    assert score("cost", {}, broken).value == 30
    assert score("latency", {}, broken).error_code == "no_answer"
    assert score("latency", {}, replace(output, latency_ms=math.inf)).error_code == "not_measured"


def test_citations_and_groundedness_are_read_from_what_was_measured() -> None:
    seen = Groundedness(claims=4, cited=3, supported=2, support=0.7, weakest=0.1)
    output = Output("…", citations=(citation("a.md", support=0.9), citation("b.md", support=0.5)), groundedness=seen)
    found = [score(kind, {}, output).value for kind in ("citation_presence", "citation_support", "groundedness")]
    assert found == [0.75, 0.7, 0.7]
    assert score("citation_presence", {"least": 0.8}, output).value == 0
    nothing = Output("I do not know.", groundedness=Groundedness())
    assert [score("groundedness", {"empty": each}, nothing).value for each in (1, 0)] == [1, 0]


def test_what_is_cited_is_compared_by_document_and_section() -> None:
    output = Output("…", citations=(citation("leave.md", ("Leave", "Parental  Leave")), citation("other.md")))
    assert score("cites", {"value": ["leave.md#parental leave", "pay.md"]}, output).value == 0.5
    assert score("cites", {"value": ["leave.md"], "least": 1, "most_others": 0}, output).value == 0
    assert score("cites", {"value": ["leave.md", "other.md"], "least": 1, "most_others": 0}, output).value == 1
    part = Output("…", citations=(citation("leave.md#Leave › Audits", ("Audits",)),))
    assert score("cites", {"value": ["leave.md#Leave › Audits"]}, part).value == 1, "a section with readers of its own"


def test_retrieval_is_scored_by_rank() -> None:
    found = (passage("x.md"), passage("a.md"), passage("y.md"), passage("b.md", section=("Rules",)))
    output = Output("…", passages=found)
    wanted = {"value": ["a.md", "b.md#rules", "c.md"]}
    kinds = ("retrieval_hit", "retrieval_recall", "retrieval_mrr", "context_precision")
    assert [round(score(kind, wanted, output).value, 4) for kind in kinds] == [1, 0.6667, 0.5, 0.5]
    assert [score(kind, {**wanted, "k": 1}, output).value for kind in kinds] == [0, 0, 0, 0]
    assert [score(kind, wanted, Output("…")).value for kind in kinds] == [0, 0, 0, 0]
    assert "c.md" in score("retrieval_recall", wanted, output).reason


def test_without_documents_the_words_of_the_context_decide() -> None:
    example = Example("a", "?", context=("Adults have twelve weeks of leave.", "Files are kept ten years."))
    output = Output("…", passages=(passage("a.md", "As a rule adults have twelve weeks of leave each year."),))
    assert score("context_recall", {}, output, example).value == 0.5
    assert score("context_precision", {}, output, example).value == 1


async def test_similarity_takes_the_nearest_reference() -> None:
    around = Surroundings(ScriptedModels(lambda *_: ""))
    scorer = make_scorer("m", "similarity", {"value": ["beta", "alpha"], "least": 0.9}, around)
    found = [await scorer.score(SOMEBODY, Example("a", "?"), Output(text)) for text in ("another", "charlie", "")]
    assert [each.value for each in found] == [1, 0, 0]


async def test_scorers_together_tell_which_part_failed_and_keep_errors() -> None:
    parts = {
        "yes": make_scorer("yes", "contains", {"value": "yes"}),
        "short": make_scorer("short", "length", {"most": 10}),
        "cheap": make_scorer("cheap", "cost", {"most_micro_usd": 5}),
    }
    around = Surroundings(scorers=parts)
    example = Example("a", "?")

    async def together(kind: str, of: object, text: str, **more: object) -> Score:
        return await make_scorer("m", kind, {"of": of, **more}, around).score(SOMEBODY, example, Output(text))

    assert (await together("all", ["yes", "short"], "yes")).value == 1
    long = await together("all", ["yes", "short"], "yes, it is so")
    assert (long.value, long.reason) == (0, "`short`: 13 characters are more than 10.")
    assert (await together("all", ["yes", "cheap"], "yes")).error_code == "not_measured"
    assert (await together("all", ["yes", "cheap"], "no")).value == 0
    assert (await together("any", ["yes", "cheap"], "yes")).value == 1
    assert (await together("any", ["yes", "cheap"], "no")).error_code == "not_measured"
    assert (await together("weighted", {"yes": 3, "short": 1}, "no")).value == 0.25
    assert (await together("weighted", {"yes": 3, "short": 1}, "no", least=0.5)).value == 0
    assert (await together("weighted", {"yes": 3, "cheap": 1}, "yes")).error_code == "not_measured"
