"""The contract of calling a feature is the same in every format; errors name the caller's own field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import anthropic
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running_gateway import World, passage

from headworks.gateway.calls import Call, Question
from headworks.gateway.dialects import DIALECTS
from headworks.gateway.features.binding import bind
from headworks.gateway.features.terms import TERMS
from headworks.gateway.plans import plan_of
from headworks.gateway.wire.bodies import Body
from headworks.releases.prompts.templates import check_inputs
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed
from headworks.types.features import Feature, InputSpec, Route
from headworks.types.identity import NO_KEY
from headworks.types.ids import Digest, ProjectId, TenantId

PATHS: dict[str, str] = {each.surface: each.path for each in DIALECTS if each.name is not None}
CAPS = {"chat": "max_tokens", "completions": "max_tokens", "responses": "max_output_tokens", "messages": "max_tokens"}
PLACES = {"chat": "messages", "completions": "prompt", "responses": "input", "messages": "messages"}
CONVERSING = ["chat", "responses", "messages"]
TOOL = {"name": "t", "parameters": {"type": "object"}}
TOOLS: dict[str, Any] = {
    "chat": {"type": "function", "function": TOOL},
    "responses": {"type": "function", "strict": False, **TOOL},
    "messages": {"name": "t", "input_schema": {"type": "object"}},
}
SCHEMA = {"type": "object", "properties": {"z": {"type": "integer"}, "a": {}}}


def body(surface: str, model: str, question: str, turns: list[tuple[str, str]] | None = None, **more: Any) -> Any:
    """The same question in a format, after these turns."""
    said = [{"role": role, "content": text} for role, text in [*(turns or []), ("user", question)]]
    match surface:
        case "completions":
            return {"model": model, "prompt": question, **more}
        case "responses":
            items = [{"type": "message", **each} for each in said]
            return {"model": model, "input": items if turns else question, **more}
        case "messages":
            return {"model": model, "messages": said, "max_tokens": 4096, **more}
        case _:
            return {"model": model, "messages": said, **more}


def refused(world: World, surface: str, sent: Any, status: int = 400) -> dict[str, Any]:
    answer = world.post(sent, PATHS[surface])
    assert answer.status_code == status, answer.text
    assert not world.providers[0].seen
    error: dict[str, Any] = answer.json()["error"]
    if surface == "messages":
        assert answer.json()["type"] == "error"
        assert error["type"] == "invalid_request_error"
    return error


# ── The same question ───────────────────────────────────────────────────────────────────────────────────────────────

FEATURE = Feature(
    name="f",
    tenant=TenantId(UUID(int=1)),
    project=ProjectId(UUID(int=2)),
    digest=Digest("sha256:f"),
    channel="prod",
    risk="low",
    owner="tests",
    route=Route("r", (), Digest("sha256:r"), 1000),
    inputs=(
        InputSpec("question", "string", "question"),
        InputSpec("history", "array", "history"),
        InputSpec("plan", "string", default="none"),
    ),
    template="",
    accepts=frozenset(("system", "developer", "response_format")),
)
PLAN = plan_of("f", FEATURE.route, (), "", FEATURE)


def bound(surface: str, sent: Any) -> tuple[Question, dict[str, str]]:
    """What a request binds to, its place aside, and the headers that say what became of it."""
    dialect = next(each for each in DIALECTS if each.surface == surface)
    call = Call(
        dialect=dialect,
        format=dialect.name,
        surface=dialect.surface,
        key=NO_KEY,
        model="f",
        body=Body.read(json.dumps(sent).encode()),
        trace=UUID(int=3),
        arrived_at=0.0,
        started_ns=0,
        reply=[],
    )
    question = bind(PLAN, call, check_inputs)
    assert question.conversation == PLACES[surface]
    told = {name.decode(): value.decode() for name, value in call.reply}
    return msgspec.structs.replace(question, conversation=""), told


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
conversations = st.lists(st.tuples(texts, texts), max_size=3).map(
    lambda pairs: [turn for asked, said in pairs for turn in (("user", asked), ("assistant", said))]
)


@settings(max_examples=60)
@given(question=texts, turns=conversations, plan=texts, cap=st.integers(1, 2000), system=st.none() | texts)
def test_the_same_question_binds_to_the_same_in_every_format(
    question: str, turns: list[tuple[str, str]], plan: str, cap: int, system: str | None
) -> None:
    asked = {}
    for surface in CONVERSING if turns or system else PATHS:
        sent = body(surface, "f", question, turns, inputs={"plan": plan})
        sent[CAPS[surface]] = cap
        if system is not None and surface == "chat":
            sent["messages"].insert(0, {"role": "system", "content": system})
        elif system is not None:
            sent[{"responses": "instructions", "messages": "system"}[surface]] = system
        asked[surface], told = bound(surface, sent)
        assert told == ({"x-headworks-clamped": CAPS[surface]} if cap > 1000 else {})
    assert all(each == asked["chat"] for each in asked.values()), asked
    assert asked["chat"].text == question
    assert [each.content for each in asked["chat"].history] == [text for _, text in turns]
    assert (asked["chat"].inputs, asked["chat"].max_output) == ({"plan": plan}, min(cap, 1000))


def test_the_same_schema_is_passed_on_from_every_format() -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    named = {"type": "json_schema", "name": "answer", "schema": SCHEMA}
    asked = [
        bound("chat", body("chat", "f", "?", response_format=shape)),
        bound("responses", body("responses", "f", "?", text={"format": named})),
        bound(
            "messages", body("messages", "f", "?", output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
        ),
        bound("messages", body("messages", "f", "?", output_format={"type": "json_schema", "schema": SCHEMA})),
    ]
    assert [json.loads(bytes(each.extra["response_format"])) for each, _ in asked] == [shape] * 4


# ── What the feature fixes ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("surface", "more", "param", "named"),
    [
        ("responses", {"instructions": "Rhyme."}, "instructions", "system"),
        ("responses", {"tools": [TOOLS["responses"]]}, "tools", "tools"),
        ("responses", {"tool_choice": "auto"}, "tool_choice", "tools"),
        ("responses", {"max_tool_calls": 1}, "max_tool_calls", "tools"),
        ("responses", {"text": {"format": {"type": "json_object"}}}, "text.format", "response_format"),
        ("responses", {"input": [{"role": "developer", "content": "x"}]}, "input", "developer"),
        (
            "responses",
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "1"}]},
            "input",
            "tools",
        ),
        ("messages", {"system": "Rhyme."}, "system", "system"),
        ("messages", {"system": [{"type": "text", "text": "Rhyme."}]}, "system", "system"),
        ("messages", {"tools": [TOOLS["messages"]]}, "tools", "tools"),
        ("messages", {"tool_choice": {"type": "auto"}}, "tool_choice", "tools"),
        (
            "messages",
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            "output_config.format",
            "response_format",
        ),
        ("messages", {"output_format": {"type": "json_schema", "schema": SCHEMA}}, "output_format", "response_format"),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
            "messages[0]",
            "tools",
        ),
        ("completions", {"n": 2}, "n", "n"),
    ],
)
def test_what_the_feature_fixes_is_named_by_the_caller_s_own_field(
    world: World, surface: str, more: dict[str, Any], param: str, named: str
) -> None:
    error = refused(world, surface, body(surface, "bare", "Hello?") | more)
    assert error["message"].startswith(f"`{param}`: the feature `bare` fixes `{named}`")
    assert (error["code"], error["param"]) == ("fixed_by_feature", param)


@pytest.mark.parametrize(
    ("surface", "more", "said"),
    [
        ("responses", {"prompt": {"id": "pmpt_1"}}, "prompt"),
        ("responses", {"input": 1}, "input"),
        ("responses", {"input": [{"role": "assistant", "content": "x"}]}, "must be the user's"),
        (
            "responses",
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}
                ]
            },
            "`input`: the feature `bare` takes text, not `image`",
        ),
        ("responses", {"max_output_tokens": 0}, "max_output_tokens"),
        ("responses", {"inputs": []}, "`inputs` must be an object"),
        (
            "messages",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://a/b"}}]}
                ]
            },
            "`messages[0]`: the feature `bare` takes text, not `image`",
        ),
        ("messages", {"messages": [{"role": "assistant", "content": "x"}]}, "must be the user's"),
        ("messages", {"max_tokens": None}, "max_tokens"),
        ("messages", {"temperature": "hot"}, "temperature"),
        ("completions", {"prompt": ["a", "b"]}, "prompt"),
        ("completions", {"prompt": [1, 2]}, "prompt"),
        ("chat", {"temperature": "hot"}, "temperature"),
    ],
)
def test_what_can_t_be_read_is_refused_before_a_model_is_asked(
    world: World, surface: str, more: dict[str, Any], said: str
) -> None:
    assert said in refused(world, surface, body(surface, "bare", "Hello?") | more)["message"]


# ── Ignored and clamped, aloud ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("surface", "more", "ignored"),
    [
        (
            "responses",
            {
                "temperature": 1,
                "text": {"verbosity": "low", "format": {"type": "text"}},
                "truncation": "auto",
                "zzz": 1,
            },
            "temperature, text.verbosity, truncation, zzz",
        ),
        (
            "messages",
            {"top_k": 3, "stop_sequences": ["x"], "output_config": {"effort": "low"}, "metadata": {"user_id": "u"}},
            "output_config.effort, stop_sequences, top_k",
        ),
        ("completions", {"suffix": "x", "echo": True, "user": "u", "n": 1}, "echo, suffix"),
        ("chat", {"seed": 1, "user": "u"}, "seed"),
    ],
)
def test_other_fields_are_ignored_and_named(
    world: World, provider: SimulatedProvider, surface: str, more: dict[str, Any], ignored: str
) -> None:
    provider.will(Reply.json(completion("ok")))
    answer = world.post(body(surface, "bare", "Hello?") | more, PATHS[surface])
    assert (answer.status_code, answer.headers.get("x-headworks-ignored")) == (200, ignored), answer.text
    assert set(provider.last.json) == {"messages", "model", "max_completion_tokens"}


@pytest.mark.parametrize("surface", [name for name in PATHS if name != "chat"])
def test_a_lower_cap_is_the_caller_s_and_a_higher_one_is_cut_and_named(
    world: World, provider: SimulatedProvider, surface: str
) -> None:
    told = []
    for given_cap in (10, 99):
        provider.will(Reply.json(completion("ok")))
        answer = world.post(body(surface, "tight", "Hello?") | {CAPS[surface]: given_cap}, PATHS[surface])
        assert answer.status_code == 200, answer.text
        told.append((provider.last.json["max_completion_tokens"], answer.headers.get("x-headworks-clamped")))
    assert told == [(10, None), (50, CAPS[surface])]


@pytest.mark.parametrize("surface", CONVERSING)
def test_history_that_a_feature_has_no_use_for_is_named(
    world: World, provider: SimulatedProvider, surface: str
) -> None:
    provider.will(Reply.json(completion("ok")))
    turns = [("user", "First?"), ("assistant", "First.")]
    answer = world.post(body(surface, "bare", "Hello?", turns), PATHS[surface])
    assert answer.headers["x-headworks-ignored"] == f"{PLACES[surface]}[:-1]"
    assert [each["content"] for each in provider.last.json["messages"]] == ["Be brief.", "Hello?"]


@pytest.mark.parametrize("surface", PATHS)
def test_the_guardrail_names_the_caller_s_field(world: World, surface: str) -> None:
    error = refused(world, surface, body(surface, "blocking", "Mail me: anna.meier@example.org"), 422)
    assert error["param"] == PLACES[surface]
    assert f"refused: {PLACES[surface]} holds data of the kind" in error["message"]


# ── Answers in each format's own shape, read by the vendors' own clients ─────────────────────────────────────────────


def test_a_cited_answer_in_messages_is_what_anthropic_s_client_reads(world: World, provider: SimulatedProvider) -> None:
    world.shelf.passages_of = [passage(1, "Dental is covered.")]
    ask: Any = {"model": "claims", "max_tokens": 100, "messages": [{"role": "user", "content": "Dental?"}]}
    with anthropic.Anthropic(base_url=world.url, api_key=world.admin_key, max_retries=0) as client:
        provider.will(Reply.json(completion("Yes [1].")))
        answer = client.messages.create(**ask)
        assert (answer.type, answer.stop_reason, answer.model) == ("message", "end_turn", "claims")
        quotes = [each for block in answer.content if block.type == "text" for each in block.citations or ()]
        assert [(each.type, each.cited_text) for each in quotes] == [("char_location", "Dental is covered.")]
        assert answer.usage.input_tokens == 10
        provider.will(Reply.events(streamed("Yes ", "[1]", ".", usage={"prompt_tokens": 4, "completion_tokens": 2})))
        with client.messages.stream(**ask) as stream:
            last = stream.get_final_message()
        assert "".join(block.text for block in last.content if block.type == "text") == "Yes [1]."
        assert any(block.type == "text" and block.citations for block in last.content)


def test_a_cited_answer_in_responses_is_what_openai_s_client_reads(world: World, provider: SimulatedProvider) -> None:
    world.shelf.passages_of = [passage(1, "Dental is covered.")]
    with world.client() as client:
        provider.will(Reply.json(completion("Yes [1].")))
        answer = client.responses.create(model="claims", input="Dental?")
        assert (answer.status, answer.output_text) == ("completed", "Yes [1].")
        message = answer.output[0]
        assert message.type == "message"
        part = message.content[0]
        assert part.type == "output_text"
        assert [each.type for each in part.annotations] == ["url_citation"]
        provider.will(Reply.events(streamed("Yes ", "[1]", ".", usage={"prompt_tokens": 4, "completion_tokens": 2})))
        with client.responses.stream(model="claims", input="Dental?") as stream:
            kinds = [event.type for event in stream]
            last = stream.get_final_response()
        assert last.output_text == "Yes [1]."
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
        assert "response.output_text.annotation.added" in kinds


def test_what_follows_a_feature_s_stored_response_has_it_as_history(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Yes.")), Reply.json(completion("Teeth.")))
    with world.client() as client:
        first = client.responses.create(model="claims", input="Dental?")
        client.responses.create(model="claims", input="What is that?", previous_response_id=first.id)
    asked = [each["content"] for each in provider.last.json["messages"]]
    assert asked[1:] == ["Dental?", "Yes.", "What is that?"]


@pytest.mark.parametrize("streams", [False, True])
def test_completions_are_answered_with_text(world: World, provider: SimulatedProvider, *, streams: bool) -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    provider.will(Reply.events(streamed("Y", "es.", usage=usage)) if streams else Reply.json(completion("Yes.")))
    with world.client() as client:
        answer: Any = client.completions.create(model="bare", prompt="Dental?", stream=streams)
        pieces = list(answer) if streams else [answer]
    assert "".join(each.choices[0].text for each in pieces if each.choices) == "Yes."
    assert [each.choices[0].finish_reason for each in pieces if each.choices][-1] == "stop"


def test_the_reference_page_has_all_that_a_feature_fixes() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/reference/calling-features.md").read_text(encoding="utf-8")
    for terms in TERMS.values():
        for name in (*terms.fixed, terms.conversation, terms.system, terms.output_format, *terms.unanswerable):
            assert not name or f"`{name}`" in page, name
