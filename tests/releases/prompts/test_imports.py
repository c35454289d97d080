"""Prompts of other tools become ours, and what has no word here is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import HeadworksError, InvalidRequest
from headworks.releases.prompts.imports import FORMATS, Imported, import_prompts
from headworks.releases.prompts.templates import parse_prompt, render
from headworks.types.features import Feature, Route
from headworks.types.ids import Digest, ProjectId, TenantId, new_id


def taken(text: str, source: str, question: str | None = None) -> Imported:
    (one,) = import_prompts(text, source, "given", question)
    return one


def said(one: Imported, question: str, **inputs: Any) -> list[tuple[str, str]]:
    """What a model would be sent."""
    prompt = parse_prompt("x.prompty", one.text)
    route = Route("r", (), Digest("sha256:0"))
    feature = Feature(
        "f", TenantId(new_id()), ProjectId(new_id()), Digest("sha256:0"), "prod", "low", "me", route, prompt.inputs,
        prompt.template,
    )  # fmt: skip
    given_inputs = {each.name: each.default for each in prompt.inputs if each.source is None} | inputs
    return [(each.role, str(each.content)) for each in render(feature, question, (), given_inputs).messages]


DOTPROMPT = """---
model: googleai/gemini-1.5-flash
config:
  temperature: 0.9
input:
  schema:
    location: string, where you are
    name?: string
    dishes?(array): string
  default:
    location: a restaurant
---
{{role "system"}}
You greet at {{location}}. {{! nobody sees this }}
{{#if name}}Name: {{name}}{{else}}No name{{/if}}
{{#each dishes}}{{@index}}:{{this}};{{/each}}
{{role "user"}}
{{text}} {% not jinja %}
"""


def test_dotprompt_becomes_jinja_with_typed_inputs() -> None:
    one = taken(DOTPROMPT, "dotprompt")
    assert one.losses == ("`config`: a route says that", "`model`: a route says that")
    assert said(one, "Hello", dishes=["soup", "fish"], name="Jo") == [
        ("system", "You greet at a restaurant. \nName: Jo\n0:soup;1:fish;"),
        ("user", "Hello {% not jinja %}"),
    ]
    inputs = {each.name: each for each in parse_prompt("x", one.text).inputs}
    assert (inputs["dishes"].kind, inputs["text"].source, inputs["name"].is_required) == ("array", "question", False)


def test_a_json_schema_of_dotprompt_says_which_inputs_are_needed() -> None:
    fields = "{city: {type: string}, days: {type: array}, tone: {enum: [a]}}"
    schema = f"{{type: object, properties: {fields}, required: [city]}}"
    one = taken(f"---\ninput: {{schema: {schema}}}\n---\n{{{{city}}}} {{{{text}}}}", "dotprompt")
    inputs = {each.name: (each.kind, each.is_required) for each in parse_prompt("x", one.text).inputs}
    assert inputs == {
        "city": ("string", True), "days": ("array", False), "tone": ("string", False), "text": ("string", False),
    }  # fmt: skip
    assert one.losses == ("`tone`: only some values are allowed, which is not checked here",)


@pytest.mark.parametrize(
    ("template", "loss"),
    [
        ("---\ninput: {schema: {'(*)': string}}\n---\n{{text}}", "an input has a name here"),
        ("---\ninput: {schema: {'tone(enum)': [warm, cold]}}\n---\n{{text}}", "only some values are allowed"),
        ("---\ninput: {schema: Dish}\n---\n{{text}}", "registered in code"),
        ("{{media url=photo}} {{text}}", "media url=photo"),
        ("{{>header}} {{text}}", ">header"),
        ('{{role "tool"}}x{{role "user"}}{{text}}', "the role `tool`"),
        ("{{shout text}} {{text}}", "a helper that is not known"),
        ("no variable", "no variable holds what the user asks"),
    ],
)
def test_what_dotprompt_says_and_we_can_not_is_named(template: str, loss: str) -> None:
    assert loss in " ".join(taken(template, "dotprompt").losses)


@pytest.mark.parametrize("template", ["{{#if a}}x", "{{/if}}", "{{#custom x}}{{/custom}}", "{{#each a}}{{/if}}"])
def test_blocks_that_do_not_close_are_refused(template: str) -> None:
    with pytest.raises(InvalidRequest, match="closed|not open|not known"):
        taken(template + " {{text}}", "dotprompt")


def test_openai_messages_are_text_and_no_template() -> None:
    messages = [
        {"role": "system", "content": "Write {{ this }} and {% that %} as they are.\nuser:\nStill system."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "tool", "content": "7"},
    ]
    one = taken(json.dumps({"model": "gpt-4o", "messages": messages}), "openai")
    assert said(one, "And now?") == [
        ("system", "Write {{ this }} and {% that %} as they are.\nuser:\nStill system."),
        ("user", "Hi\n\nAnd now?"),
    ]
    assert [loss.split(":")[0] for loss in one.losses] == [
        "`model`",
        "messages[1].content[1]",
        "messages[2]",
        "no variable holds what the user asks",
    ]


def test_a_langfuse_chat_keeps_its_variables_and_its_place_for_earlier_turns() -> None:
    prompt = {
        "name": "critic",
        "type": "chat",
        "config": {"model": "gpt-4o"},
        "labels": ["production"],
        "prompt": [
            {"role": "system", "content": "You review {{movie title}} {# no comment #}"},
            {"type": "placeholder", "name": "history"},
            {"role": "user", "content": "{{question}}"},
        ],
    }
    one = taken(json.dumps(prompt), "langfuse")
    assert one.name == "critic"
    assert said(one, "Good?", movie_title="Dune") == [
        ("system", "You review Dune {# no comment #}"),
        ("user", "Good?"),
    ]
    assert len(one.losses) == 4
    assert "became the conversation" in " ".join(one.losses)


def test_a_langfuse_text_prompt_and_a_list_of_them() -> None:
    rows = [{"name": name, "type": "text", "prompt": "Sum up {{text}}"} for name in ("a", "b")]
    assert [each.name for each in import_prompts(json.dumps(rows), "langfuse", "x")] == ["a", "b"]


def test_promptfoo_texts_chats_and_configurations() -> None:
    two = import_prompts("Translate {{ input | upper }}\n---\nSay {{ input }} {{ data | dump }}", "promptfoo", "p")
    assert [each.name for each in two] == ["p-1", "p-2"]
    assert said(two[1], "hi", data="x") == [("user", 'Say hi "x"')]
    chat = taken(
        '[{"role": "system", "content": "Be {{ tone }}"}, {"role": "user", "content": "{{ query }}"}]', "promptfoo"
    )
    assert said(chat, "q", tone="kind") == [("system", "Be kind"), ("user", "q")]
    config = (
        "prompts:\n  - 'Tell {{topic}}'\n  - {label: second one, raw: 'Ask {{topic}}'}\nproviders: [echo]\ntests: []\n"
    )
    found = import_prompts(config, "promptfoo", "config")
    assert [each.name for each in found] == ["config-1", "second-one"]
    assert found[0].losses == ("`providers`, `tests`: no part of a prompt",)
    with pytest.raises(InvalidRequest, match="is another file"):
        import_prompts("prompts: ['file://a.txt']\n", "promptfoo", "x")


def test_prompty_of_both_versions_loses_only_its_model() -> None:
    first = """---
name: One
model: {api: chat, configuration: {type: azure_openai}}
inputs:
  question: {type: string, sample: hi}
  city: {type: string, default: Bern}
---
# System:
You know {{city}}.
# User:
{{question}}
"""
    second = """---
name: Two
model: {id: gpt-4, apiType: chat}
inputs:
  - {name: question, kind: string, default: Hello}
  - {name: conversation, kind: thread}
outputs:
  - {name: city, kind: string}
---
system:
You help.

{{conversation}}

user:
{{question}}
"""
    one, two = taken(first, "prompty"), taken(second, "prompty")
    assert said(one, "Where?") == [("system", "You know Bern."), ("user", "Where?")]
    assert said(two, "Why?") == [("system", "You help."), ("user", "Why?")]
    assert one.losses == ("`model`: a route says that",)
    assert len(two.losses) == 2
    assert {each.source for each in parse_prompt("x", two.text).inputs} == {"question", "history"}


def test_the_variable_that_is_asked_can_be_named() -> None:
    one = taken("{{ a }} {{ b }}", "promptfoo", "b")
    assert said(one, "asked", a="given") == [("user", "given asked")]
    with pytest.raises(InvalidRequest, match="no variable `c`"):
        taken("{{ a }}", "promptfoo", "c")


@given(st.sampled_from(FORMATS), st.text(max_size=120) | st.text(alphabet='{}%#/@ .abif\n-:"[]', max_size=60))
def test_any_text_is_a_prompt_or_a_clear_refusal(source: str, text: str) -> None:
    try:
        for each in import_prompts(text, source, "x"):
            parse_prompt("x", each.text)
    except HeadworksError as error:
        assert error.status == 400  # noqa: PT017 -- a refusal is one of two good ends


@given(st.text(max_size=200))
def test_a_plain_text_of_openai_is_said_word_for_word(text: str) -> None:
    try:
        one = taken(json.dumps([{"role": "user", "content": text}]), "openai")
    except InvalidRequest:
        return
    lines = text.replace("\r\n", "\n").strip("\r\n")
    assert said(one, "END")[0][1].replace("\r", "").startswith(lines.replace("\r", "").rstrip())


def test_an_unknown_format_names_those_that_are_known() -> None:
    with pytest.raises(InvalidRequest, match="dotprompt, promptfoo"):
        import_prompts("x", "mustache", "x")


ODD = [
    ("openai", '{"instructions": "Be brief", "input": "Hello"}', "system:\nBe brief\n\nuser:\nHello", None),
    ("openai", '\ufeff[{"role": "user", "content": "a"}]', "user:\na", None),
    ("openai", json.dumps([{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": []}]),
     "user:\na\n\n{{ question }}", "messages[1].tool_calls"),
    ("langfuse", '{"data": [{"name": "a", "prompt": "Hi {{x}}"}], "meta": {}}', "user:\nHi {{ x }}", None),
    ("langfuse", '{"name": "a", "prompt": "{{user input}} {{user_input}}"}', "{{ user_input }} {{ user_input_ }}",
     "the variable `user_input` is called `user_input_` now"),
    ("langfuse", '{"name": "a", "prompt": "{{#if x}} {{b}}"}', '{{ "{{" }}#if x{{ "}}" }} {{ b }}', None),
    ("langfuse", '{"name": "a", "prompt": "{{b}} @@@langfusePrompt:name=y@@@"}', "{{ b }}", "@@@langfusePrompt"),
    ("dotprompt", "---\n---\nHello {{name}}", "user:\nHello {{ name }}", None),
    ("dotprompt", r"Say \{{name}} to {{question}}", "Say {{ '{{' }}name{{ '}}' }} to {{ question }}", None),
    ("dotprompt", "{{#unless sure}}{{question}}{{/unless}}", "{% if not sure %}{{ question }}{% endif %}", None),
    ("promptfoo", '[{"role": "user", "content": {{question | dump}}}]', "{{question | tojson}}", "no JSON before"),
    ("promptfoo", "{% for m in many %}{{ m.role }}{% endfor %}{{ question }}", "{% for m in many %}", None),
    ("prompty", "---\r\nname: a\r\n---\r\nsystem:\r\nHi\r\nuser:\r\n{{question}}\r\n", "system:\nHi\n\nuser:", None),
    ("prompty", "---\nname: a\n---\nuser:\n![x](a.png)\n{{question}}\n", "![x](a.png)", "pictures"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "text", "body", "loss"), ODD)
def test_odd_files_say_the_same_or_what_was_lost(source: str, text: str, body: str, loss: str | None) -> None:
    (found,) = import_prompts(text, source, "odd")
    assert body in found.text
    named = [each for each in found.losses if not each.startswith(("no variable holds", "there was no user"))]
    assert (not named) if loss is None else any(loss in each for each in named)


def test_lines_of_openai_are_prompts_each_its_own() -> None:
    lines = "".join(json.dumps({"messages": [{"role": "user", "content": each}]}) + "\n" for each in "ab")
    assert [each.name for each in import_prompts(lines, "openai", "many")] == ["many-1", "many-2"]


def test_what_a_template_does_with_a_variable_gives_its_kind() -> None:
    (found,) = import_prompts(
        "{% for m in many %}{{ m.x }}{% endfor %}{{ user.name }} {{ question }}", "promptfoo", "k"
    )
    kinds = {each.name: each.kind for each in parse_prompt("k.prompty", found.text).inputs}
    assert kinds == {"many": "array", "user": "object", "question": "string"}


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "é/../x", "..", "", " "])
def test_a_name_is_a_files_in_every_folder(name: str) -> None:
    (found,) = import_prompts(json.dumps({"name": name, "prompt": "{{question}}"}), "langfuse", "given")
    assert "/" not in found.name
    assert found.name.strip(".")


def test_no_messages_are_no_prompt() -> None:
    with pytest.raises(InvalidRequest, match="list of messages"):
        import_prompts("[]", "openai", "empty")
