"""Passages into the prompt, citations into the answer."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from unittest.mock import ANY

import anthropic
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running_gateway import DOCUMENT, World, passage

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed

ASK: list[Any] = [{"role": "user", "content": "What is the deductible?"}]
FIRST, SECOND = "The deductible is 500 francs.", "It is due each year."


def shelve(world: World) -> None:
    world.shelf.passages_of = [passage(1, FIRST), passage(2, SECOND)]


def ask(world: World, model: str = "claims", *, stream: bool = False) -> httpx.Response:
    return world.post({"model": model, "messages": ASK, "stream": stream})


def of_stream(answer: httpx.Response) -> tuple[str, list[Any], list[dict[str, Any]]]:
    """Text, annotations and the deltas of a streamed answer."""
    assert answer.text.endswith("data: [DONE]\n\n"), answer.text
    chunks = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]
    deltas = [each["choices"][0]["delta"] for each in chunks if each["choices"]]
    annotations = [each for delta in deltas for each in delta.get("annotations", [])]
    return "".join(delta.get("content") or "" for delta in deltas), annotations, deltas


def test_passages_are_numbered_in_the_prompt(world: World, provider: SimulatedProvider) -> None:
    shelve(world)
    provider.will(Reply.json(completion("ok")))
    assert ask(world).status_code == 200
    prompt = provider.last.json["messages"][-1]["content"]
    assert f"[1] {FIRST}\n[2] {SECOND}" in prompt
    caller, question = world.shelf.asked[-1]
    assert (caller.id, question) == (world.admin.id, "What is the deductible?")


def test_an_answer_carries_its_citations(world: World, provider: SimulatedProvider) -> None:
    shelve(world)
    provider.will(Reply.json(completion("It is 500 [1], and yearly [2].")))
    answer = ask(world).json()["choices"][0]["message"]
    assert answer["content"] == "It is 500 [1], and yearly [2]."
    first, second = answer["annotations"]
    assert first == {
        "type": "url_citation",
        "url_citation": {
            "start_index": 10,
            "end_index": 13,
            "title": "Title 1",
            "url": f"{world.url}/documents/{DOCUMENT}#char=0,29",
        },
        "headworks": {
            "document": str(DOCUMENT),
            "version": 1,
            "section": [],
            "start": 0,
            "end": 29,
            "quote": FIRST,
            "sha256": "sha",
            "support": 1.0,
        },
    }
    place = second["url_citation"]
    assert answer["content"][place["start_index"] : place["end_index"]] == "[2]"


def test_the_client_library_reads_the_annotations(world: World, provider: SimulatedProvider) -> None:
    shelve(world)
    provider.will(Reply.json(completion("It is 500 [1].")))
    message = world.client().chat.completions.create(model="claims", messages=ASK).choices[0].message
    assert message.annotations
    assert message.annotations[0].url_citation.title == "Title 1"
    assert message.annotations[0].model_extra["headworks"]["quote"] == FIRST  # type: ignore[index]


def test_in_a_stream_they_come_with_the_last_content(world: World, provider: SimulatedProvider) -> None:
    shelve(world)
    provider.will(Reply.events(streamed("It is 500 [", "1", "].", " Yearly [2]", ".")))
    text, annotations, deltas = of_stream(ask(world, stream=True))
    assert text == "It is 500 [1]. Yearly [2]."
    assert [text[slice(*indices(each))] for each in annotations] == ["[1]", "[2]"]
    with_content = [index for index, delta in enumerate(deltas) if "content" in delta]
    assert [index for index, delta in enumerate(deltas) if "annotations" in delta] == [with_content[-1]]
    assert with_content[-1] == len(deltas) - 2  # then only the finish


def indices(annotation: dict[str, Any]) -> tuple[int, int]:
    place = annotation["url_citation"]
    return place["start_index"], place["end_index"]


def test_a_marker_that_no_passage_has_is_dropped_and_counted(world: World, provider: SimulatedProvider) -> None:
    shelve(world)
    provider.will(Reply.json(completion("It is 500 [9].")))
    message = ask(world).json()["choices"][0]["message"]
    assert (message["content"], message["annotations"]) == ("It is 500 .", [])
    (cite,) = [span for span in world.records.spans if span.name == "cite"]
    noted = {name: cite.attributes[name] for name in ("citations", "dropped", "unknown")}
    assert noted == {"citations": 0, "dropped": 0, "unknown": 1}


def test_how_well_an_answer_is_grounded_stands_beside_it_and_in_its_trace(
    world: World, provider: SimulatedProvider
) -> None:
    shelve(world)
    said = "The deductible is 500 francs [1]. It is due every 3 months [2]. Dogs are welcome."
    provider.will(Reply.json(completion(said)), Reply.events(streamed(said[:40], said[40:])))
    grounding = ask(world).json()["headworks"]["grounding"]
    doubts = grounding.pop("doubts")
    assert (grounding["claims"], grounding["cited"], grounding["supported"]) == (3, 2, 1)
    assert (grounding["presence"], grounding["weakest"], grounding["wrong_numbers"]) == (0.6667, 0.0, 1)
    assert 0.3 < grounding["support"] < 0.8
    assert [said[each["start"] : each["end"]] for each in doubts] == [
        "It is due every 3 months [2].",
        "Dogs are welcome.",
    ]
    assert [(each["cited"], each.get("missing")) for each in doubts] == [(True, ["3 months"]), (False, None)]
    cite = next(span for span in world.records.spans if span.name == "cite")
    assert {name: cite.attributes[name] for name in grounding} == grounding
    assert "months" not in json.dumps(cite.attributes)
    events = ask(world, stream=True).text.split("\n")
    (last,) = [json.loads(line[6:]) for line in events if '"headworks":{"grounding"' in line]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["headworks"]["grounding"] == {**grounding, "doubts": doubts}


@pytest.mark.parametrize("is_stream", [True, False])
def test_every_format_tells_it(world: World, provider: SimulatedProvider, *, is_stream: bool) -> None:
    shelve(world)
    said = "The deductible is 500 francs [1]."
    asked: dict[str, dict[str, Any]] = {
        "/v1/responses": {"input": "What?"},
        "/v1/messages": {"messages": ASK, "max_tokens": 100},
        "/v1/completions": {"prompt": "What?"},
    }
    for path, more in asked.items():
        provider.will(Reply.events(streamed(said)) if is_stream else Reply.json(completion(said)))
        answer = world.post({"model": "claims", "stream": is_stream, **more}, path)
        lines = answer.text.split("\n") if is_stream else [f"data: {answer.text}"]
        told = [json.loads(line[6:]) for line in lines if '"grounding"' in line]
        assert told, (path, answer.text)
        found = told[-1].get("response", told[-1])["headworks"]["grounding"]
        assert (found["claims"], found["cited"], found["support"]) == (1, 1, 1.0)


def test_a_citation_in_messages_can_be_checked_and_read_by_the_vendor_s_client(
    world: World, provider: SimulatedProvider
) -> None:
    shelve(world)
    provider.will(Reply.events(streamed("The deductible is 500 francs [1].")))
    with (
        anthropic.Anthropic(base_url=world.url, api_key=world.admin_key, max_retries=0) as client,
        client.messages.stream(model="claims", max_tokens=100, messages=ASK) as stream,
    ):
        (block,) = stream.get_final_message().content
    assert block.type == "text"
    assert block.citations is not None
    assert block.citations[0].model_extra == {"headworks": ANY}
    assert block.citations[0].model_extra["headworks"]["sha256"] == "sha"


def test_the_built_in_model_quotes_and_is_cited(world: World) -> None:
    shelve(world)
    whole = ask(world, "quoting").json()["choices"][0]["message"]
    text, annotations, _ = of_stream(ask(world, "quoting", stream=True))
    assert whole["content"].startswith("Closest passages:")
    assert FIRST in whole["content"]
    assert (text, annotations) == (whole["content"], whole["annotations"])
    assert [each["headworks"]["quote"] for each in annotations] == [FIRST, SECOND]


def test_in_every_format_the_built_in_model_says_that_it_quotes(world: World) -> None:
    shelve(world)
    asked: dict[str, dict[str, Any]] = {
        "/v1/responses": {"input": "What?"},
        "/v1/messages": {"messages": ASK, "max_tokens": 100},
        "/v1/completions": {"prompt": "What?"},
    }
    for path, more in asked.items():
        answer = world.post({"model": "quoting", **more}, path)
        assert f'"Closest passages:\\n\\n“{FIRST}” [1]' in answer.text, answer.text


def test_without_a_readable_passage_the_built_in_model_says_so(world: World) -> None:
    message = ask(world, "quoting").json()["choices"][0]["message"]
    assert "Nothing that you may read" in message["content"]
    assert message["annotations"] == []


@given(
    answer=st.lists(st.sampled_from(["It is 500", " [1]", "[2]", " [7]", ".", " and ", "[", "]", "1", "é🙂", " [x]"]))
    .map("".join)
    .filter(bool),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_streamed_answer_is_the_whole_answer(
    world: World, provider: SimulatedProvider, answer: str, cuts: list[int]
) -> None:
    shelve(world)
    places = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    pieces = [answer[start:end] for start, end in pairwise(places)]
    provider.forget()
    provider.will(Reply.json(completion(answer)), Reply.events(streamed(*pieces)))
    whole = ask(world).json()["choices"][0]["message"]
    text, annotations, _ = of_stream(ask(world, stream=True))
    assert (text, annotations) == (whole["content"], whole["annotations"])


def test_spans_keep_references_and_never_the_text(world: World, provider: SimulatedProvider) -> None:
    shelve(world)
    provider.will(Reply.json(completion("It is 500 [1].")))
    trace = ask(world).headers["x-headworks-trace"]
    spans = {span.name: span for span in world.records.spans}
    assert set(spans) == {"request", "retrieve", "render", "attempt", "cite"}
    root = spans.pop("request")
    assert {span.parent_id for span in spans.values()} == {root.span_id}
    assert {str(span.trace_id) for span in spans.values()} == {trace}
    assert all(span.release == root.release for span in spans.values())
    for span in (root, *spans.values()):
        assert FIRST not in json.dumps(span.attributes)
    assert spans["retrieve"].documents == [DOCUMENT] * len(set(spans["retrieve"].documents))
    assert root.documents == [DOCUMENT]  # the answer may quote it
    opened = world.open_payload(spans["retrieve"])
    assert FIRST.encode() not in opened
    assert [each["start"] for each in json.loads(opened)["passages"]] == [0, 0]
    assert json.loads(world.open_payload(root)) == {"answer": "It is 500 [1]."}


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_feature_s_stages_are_on_its_usage_row(world: World, provider: SimulatedProvider, *, is_stream: bool) -> None:
    shelve(world)
    provider.will(Reply.events(streamed("ok")) if is_stream else Reply.json(completion("ok")))
    assert ask(world, stream=is_stream).status_code == 200
    row = world.records.row()
    assert (row.feature, row.channel, row.surface, row.purpose, row.streamed) == (
        "claims",
        "prod",
        "chat",
        "answer",
        is_stream,
    )
    stages = (row.admit_us, row.retrieval_us, row.render_us, row.first_byte_us, row.upstream_us, row.total_us)
    assert all(each is not None and each >= 0 for each in stages)
    assert row.total_us >= (row.upstream_us or 0)


def test_what_kept_something_out_of_the_search_is_told_beside_the_answer(
    world: World, provider: SimulatedProvider
) -> None:
    shelve(world)
    world.shelf.notice = "By keywords only:\nthe model é is away."
    for stream in (False, True):
        provider.will(Reply.events(streamed("500 [1].")) if stream else Reply.json(completion("500 [1].")))
        answer = ask(world, stream=stream)
        assert answer.headers["x-headworks-search-notice"] == "By keywords only: the model ? is away."
    span = next(each for each in world.records.spans if each.name == "retrieve")
    assert span.attributes["notice"] == "By keywords only: the model é is away."
    world.shelf.notice = ""
    provider.will(Reply.json(completion("500 [1].")))
    assert "x-headworks-search-notice" not in ask(world).headers
