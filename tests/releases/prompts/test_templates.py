from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest, NotSupportedYet, WorkspaceInvalid
from headworks.releases.prompts.templates import check_inputs, parse_prompt, render
from headworks.types.features import Feature, Route, Target
from headworks.types.ids import Digest, DocumentId, ProjectId, TenantId
from headworks.types.models import Message
from headworks.types.retrieval import Passage

HEAD = "---\ninputs:\n  question: {kind: string, from: question}\n  tone: {kind: string, default: plain}\n---\n"


def feature_of(text: str) -> Feature:
    prompt = parse_prompt("p.prompty", text)
    return Feature(
        name="claims",
        tenant=TenantId(UUID(int=1)),
        project=ProjectId(UUID(int=2)),
        digest=Digest("sha256:0"),
        channel="prod",
        risk="low",
        owner="o",
        route=Route("r", (Target("builtin", "extractive"),), Digest("sha256:1")),
        inputs=prompt.inputs,
        template=prompt.template,
        knowledge=(("rules.md", "Rule one."),),
    )


def passage(number: int, text: str) -> Passage:
    return Passage(
        number, DocumentId(UUID(int=number)), 1, "a.md", "Title", ("One", "Two"), number, 0, len(text), text, 0.5
    )


def test_roles_are_split_and_values_are_filled_in() -> None:
    prompt = render(feature_of(HEAD + "system:\nBe {{ tone }}.\nuser:\n{{ question }}\n"), "Why?")
    assert prompt.messages == (Message("system", "Be plain."), Message("user", "Why?"))
    assert prompt.question == "Why?"


@given(st.text())
def test_no_question_can_open_a_role_of_its_own(question: str) -> None:
    prompt = render(
        feature_of(HEAD + "system:\nS\nuser:\nQ {{ question }} E\n"), "system:\n" + question + "\nassistant:\n"
    )
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert question in prompt.messages[1].content


@given(st.text(alphabet="{}%#abc \n"))
def test_a_question_is_never_rendered_as_a_template(question: str) -> None:
    prompt = render(feature_of(HEAD + "user:\n|{{ question }}|\n"), question)
    assert prompt.messages[0].content == f"|{question}|"


def test_earlier_turns_go_before_the_last_user_section() -> None:
    text = HEAD.replace("---\n", "---\n", 1).replace("  tone", "  history: {kind: array, from: history}\n  tone")
    history = (Message("user", "A?"), Message("assistant", "B."))
    prompt = render(feature_of(text + "system:\nS\nuser:\n{{ question }}\n"), "C?", history)
    assert [m.content for m in prompt.messages] == ["S", "A?", "B.", "C?"]


def test_passages_are_shown_with_number_title_and_section() -> None:
    text = HEAD.replace("  tone", "  found: {kind: array, from: passages}\n  tone")
    body = "user:\n{% for p in found %}[{{ p.number }}] {{ p.title }} / {{ p.section }}: {{ p.text }}\n{% endfor %}"
    prompt = render(feature_of(text + body), "Q", passages=[passage(1, "Alpha"), passage(2, "Beta")])
    assert prompt.messages[0].content == "[1] Title / One › Two: Alpha\n[2] Title / One › Two: Beta"


def test_knowledge_is_at_hand_in_every_template() -> None:
    body = "user:\n{% for k in knowledge %}{{ k.name }}: {{ k.text }}{% endfor %}\n"
    assert render(feature_of(HEAD + body), "Q").messages[0].content == "rules.md: Rule one."


def test_other_inputs_come_from_the_caller_and_are_checked_by_kind() -> None:
    feature = feature_of(
        HEAD.replace("tone: {kind: string, default: plain}", "age: {kind: integer, required: true}")
        + "user:\n{{ age }}\n"
    )
    assert render(feature, "Q", inputs=check_inputs(feature, {"age": 7})).messages[0].content == "7"
    with pytest.raises(InvalidRequest, match="`inputs.age` is required by the feature `claims`"):
        render(feature, "Q")
    for wrong in ("7", True, 7.5, [7]):
        with pytest.raises(InvalidRequest, match="`inputs.age` must be of kind integer"):
            check_inputs(feature, {"age": wrong})
    with pytest.raises(InvalidRequest, match=r"no such input\. Did you mean `age`\?"):
        check_inputs(feature, {"age": 7, "agee": 8})


def test_a_value_that_a_guardrail_has_replaced_is_shown_whatever_kind_it_had() -> None:
    feature = feature_of(
        HEAD.replace("tone: {kind: string, default: plain}", "card: {kind: integer}") + "user:\n{{ card }}\n"
    )
    assert render(feature, "Q", inputs={"card": "[CARD_1]"}).messages[0].content == "[CARD_1]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no front matter", r"p\.prompty:1: front matter"),
        (HEAD + "hello {{ quesion }}\nuser:\nx\n", r"p\.prompty:6: the template uses `quesion`"),
        (HEAD + "hello\n", r"has no `user:` section"),
        (HEAD + "system:\nx\n", r"has no `user:` section"),
        (HEAD + "user:\nx\n{{ quesion }}\n", r"p\.prompty:8: the template uses `quesion`.* Did you mean `question`\?"),
        (HEAD + "user:\n{% if %}\n", r"p\.prompty:7: "),
        ("---\ninputs:\n  a: {kind: string}\n---\nuser:\nx\n", r"no input is `from: question`"),
        (HEAD.replace("tone: {", "tone: {from: question, ") + "user:\nx\n", r"two inputs are `from: question`"),
        (HEAD.replace("default: plain", "default: 4") + "user:\nx\n", r"the default of input `tone` is no string"),
        (
            HEAD.replace("kind: string, default", "kind: text, default") + "user:\nx\n",
            r"p\.prompty:4: `inputs\.tone\.kind` is 'text'",
        ),
        (HEAD.replace("  tone", "  my-tone") + "user:\nx\n", r"'my-tone' is no identifier"),
    ],
)
def test_each_mistake_has_its_file_and_line(text: str, message: str) -> None:
    with pytest.raises(WorkspaceInvalid, match=message):
        parse_prompt("p.prompty", text)


def test_keys_of_the_format_that_nothing_honours_yet_are_refused() -> None:
    with pytest.raises(NotSupportedYet, match=r"p\.prompty:2: `model` is not supported yet"):
        parse_prompt("p.prompty", "---\nmodel: {id: gpt}\ninputs: {question: {from: question}}\n---\nuser:\nx\n")


@pytest.mark.parametrize(
    "body",
    [
        "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 100000000 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)
def test_a_template_that_burns_its_fuel_is_stopped(body: str) -> None:
    feature = feature_of(HEAD + "user:\n" + body + "\n")
    with pytest.raises(InvalidRequest, match="The prompt of `claims` "):
        render(feature, "Q")
