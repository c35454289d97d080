"""Personal data stays here: what a provider outside was sent is in its own log, and that is what is looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from running_server import PROMPT, READERS, Server

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion

MAIL, OTHER_MAIL = "jane.doe@example.org", "bob@example.net"
CARD, IBAN, PHONE = "4111111111111111", "DE89370400440532013000", "+41 44 668 18 00"
TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
VALUES = (MAIL, OTHER_MAIL, CARD, IBAN, PHONE, TOKEN)
CLAUSE = f"Claims go to {MAIL} or by phone to {PHONE} within 30 days."
DOCUMENT = f"# Contact of {OTHER_MAIL}\n\n## Where claims go\n\n{CLAUSE}\n\nNobody answers on Sundays.\n"
TYPED = """---
inputs:
  question: {kind: string, from: question}
  history: {kind: array, from: history}
  card: {kind: integer}
  amount: {kind: number}
  note: {kind: string}
  contact: {kind: object}
  others: {kind: array}
---
system:
Be brief.
user:
{{ card }} {{ amount }} {{ note }} {{ contact }} {{ others }} {{ question }}
"""


@dataclass
class Scene:
    server: Server
    provider: SimulatedProvider
    document: str

    @property
    def sent(self) -> str:
        """All that the provider was sent: heads and bodies."""
        return "\n".join(f"{seen.headers} {seen.body.decode()}" for seen in self.provider.seen)


def features() -> dict[str, tuple[str, str]]:
    docs = "retrieval: {collection: docs, k: 3}\n"
    pii = "guardrails: {{pii: {{action: {}}}}}\n".format
    return {
        "redacting": ("route: outside\n" + docs + pii("redact"), PROMPT),
        "blocking": ("route: outside\n" + docs + pii("block"), PROMPT),
        "recording": ("route: outside\n" + docs + pii("record"), PROMPT),
        "neighbour": ("route: inside\n" + docs + pii("redact"), PROMPT),
        "mixed": ("route: either\n" + docs + pii("redact"), PROMPT),
        "unguarded": ("route: outside\n" + docs, PROMPT),
        "typed": ("route: outside\naccepts: [system, response_format]\n" + pii("redact"), TYPED),
        "typed-blocking": ("route: outside\n" + pii("block"), TYPED),
        "mail-only": ("route: outside\nguardrails: {pii: {action: redact, kinds: [email]}}\n", TYPED),
    }


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[Scene]:
    with SimulatedProvider() as provider:
        tenant = server.as_tenant("guardrail")
        files = {
            "providers.yaml": "providers:\n"
            f"  outside: {{kind: openai, base_url: '{provider.url}'}}\n"
            f"  inside: {{kind: vllm, base_url: '{provider.url}'}}\n",
            "routes.yaml": "routes:\n  outside: {targets: [outside/m1]}\n  inside: {targets: [inside/m1]}\n"
            "  either: {targets: [inside/m1, outside/m1]}\n",
            "collections/docs.yaml": READERS,
        }
        for name, (settings, prompt) in features().items():
            files[f"features/{name}/feature.yaml"] = f"owner: tests\nprompt: prompts/answer.prompty\n{settings}"
            files[f"features/{name}/prompts/answer.prompty"] = prompt
        tenant.apply(files)
        tenant.hand_in("docs", "contact.md", DOCUMENT)
        tenant.worked_on("docs")
        (row,) = tenant.must("POST", "/api/search", {"collection": "docs", "query": "claims"})["rows"]
        yield Scene(tenant, provider, row["document"])


@pytest.fixture
def scene(world: Scene) -> Scene:
    world.provider.forget()
    return world


def held(text: object) -> list[str]:
    """Which of the values stand in a text, however their digits are parted."""
    flat = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    digits = flat.replace(" ", "").replace("-", "")
    return [each for each in VALUES if each in flat or each.replace(" ", "") in digits]


def turns(question: Any = f"I am {MAIL}; charge {CARD}. Where do claims go?") -> list[Any]:
    return [
        {"role": "user", "content": f"Call {PHONE} or write to {OTHER_MAIL}."},
        {"role": "assistant", "content": f"Shall I use {IBAN}?"},
        {"role": "user", "content": question},
    ]


@pytest.mark.parametrize("is_stream", [False, True])
def test_nothing_that_the_caller_wrote_leaves_as_it_is(scene: Scene, *, is_stream: bool) -> None:
    answer = [chunk("Under"), chunk("stood."), chunk(finish_reason="stop"), "[DONE]"]
    scene.provider.will(Reply.events(answer) if is_stream else Reply.json(completion("Understood.")))
    with openai.OpenAI(base_url=f"{scene.server.url}/v1", api_key=scene.server.admin_key, max_retries=0) as client:
        made: Any = client.chat.completions.create(
            model="redacting",
            messages=turns(
                [{"type": "text", "text": "I am jane.doe@"}, {"type": "text", "text": f"example.org, {TOKEN}"}]
            ),
            user=MAIL,
            metadata={"mail": MAIL},
            stream=is_stream,
        )
        text = "".join(e.choices[0].delta.content or "" for e in made) if is_stream else made.choices[0].message.content
    assert text == "Understood."
    assert len(scene.provider.seen) == 1
    assert held(scene.sent) == []
    assert "I am [EMAIL_1], [SECRET_1]" in scene.sent
    assert "Call [PHONE_1] or write to [EMAIL_" in scene.sent
    assert "Shall I use [IBAN_1]?" in scene.sent


INPUTS: dict[str, Any] = {
    "card": int(CARD),
    "amount": float(CARD),
    "note": f"for {MAIL}",
    "contact": {"phone": PHONE, "deep": [{OTHER_MAIL: [IBAN, {"more": TOKEN}]}], "number": int(CARD)},
    "others": [int(CARD), CARD, [MAIL]],
}


def test_inputs_of_every_kind_are_redacted_numbers_too(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    status, answer, headers = scene.server.ask("typed", "Pay it.", inputs=INPUTS)
    assert status == 200, answer
    assert held(scene.sent) == []
    assert "[CARD_1] [CARD_1] for [EMAIL_2] " in scene.provider.last.json["messages"][-1]["content"]
    found = scene.server.trace(headers["x-headworks-trace"])
    assert held(found) == []
    assert "[CARD_1]" in json.dumps(found), "what was asked is in the trace, redacted"


@pytest.mark.parametrize("name", list(INPUTS))
def test_each_of_them_blocks(scene: Scene, name: str) -> None:
    status, answer, headers = scene.server.ask("typed-blocking", "Pay it.", inputs={name: INPUTS[name]})
    error = answer["error"]
    assert (status, error["code"], error["param"]) == (422, "guardrail_blocked", f"inputs.{name}")
    assert f"inputs.{name} holds data of the kind `" in error["message"]
    assert "ask the feature's owner" in error["message"]
    assert held(answer) == []
    assert scene.provider.seen == []
    assert held(scene.server.trace(headers["x-headworks-trace"])) == []


def test_what_a_feature_accepts_beside_is_redacted_too(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("{}")))
    schema = {"type": "object", "properties": {"to": {"type": "string", "description": f"{MAIL} or {PHONE}"}}}
    form = {"type": "json_schema", "json_schema": {"name": "letter", "schema": schema}}
    messages = [{"role": "system", "content": f"You serve {MAIL}."}, {"role": "user", "content": "Write."}]
    status, answer, _ = scene.server.ask("typed", messages, response_format=form)
    assert status == 200, answer
    assert held(scene.sent) == []
    sent = scene.provider.last.json
    assert sent["response_format"]["json_schema"]["schema"]["properties"]["to"] == {
        "type": "string", "description": "[EMAIL_1] or [PHONE_1]"
    }  # fmt: skip
    assert "You serve [EMAIL_1]." in json.dumps(sent["messages"])


def test_only_the_kinds_that_a_feature_names_are_looked_for(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    assert scene.server.ask("mail-only", "Pay it.", inputs=INPUTS)[0] == 200
    assert set(held(scene.sent)) == {CARD, IBAN, PHONE, TOKEN}


# ── block and record ──


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_blocked_text_goes_nowhere_wherever_it_stands(scene: Scene, at: int, *, is_stream: bool) -> None:
    messages = [
        {"role": role, "content": turns()[at]["content"] if number == at else "Good day."}
        for number, role in enumerate(("user", "assistant", "user"))
    ]
    status, answer, headers = scene.server.ask("blocking", messages, stream=is_stream)
    assert (status, answer["error"]["code"]) == (422, "guardrail_blocked")
    assert "The guardrail `pii` refused: messages holds data of the kind `" in answer["error"]["message"]
    assert held(answer) == []
    assert scene.provider.seen == []
    found = scene.server.trace(headers["x-headworks-trace"])
    assert (found["usage"]["error_code"], found["usage"]["attempts"]) == ("guardrail_blocked", 0)
    assert [span["name"] for span in found["spans"]] == ["request", "guard_input"], "nothing was even looked up"
    assert held(found) == []


def test_a_passage_with_personal_data_is_blocked_for_a_provider_outside(scene: Scene) -> None:
    status, answer, _ = scene.server.ask("blocking", "Where do claims go?")
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (422, "guardrail_blocked", "passage 1")
    assert held(answer) == []
    assert scene.provider.seen == []


def test_recording_lets_everything_pass_counts_it_and_keeps_none_of_it(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    status, _, headers = scene.server.ask("recording", turns())
    assert status == 200
    assert set(held(scene.sent)) == {MAIL, OTHER_MAIL, CARD, IBAN, PHONE}
    found = scene.server.trace(headers["x-headworks-trace"])
    spans = {span["name"]: span for span in found["spans"]}
    counts = {"rule": "pii", "action": "record", "findings": {"email": 2, "phone": 1, "iban": 1, "card": 1}}
    assert spans["guard_input"]["attributes"] == counts
    assert held(found) == []


# ── Passages ──


def test_passages_are_redacted_for_a_provider_outside_and_cited_from_the_stored_text(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("Claims go to [EMAIL_2] or by phone to [PHONE_1] within 30 days [1].")))
    status, answer, headers = scene.server.ask("redacting", "Where do claims go, and within how many days?")
    assert status == 200
    assert held(scene.sent) == []
    assert "Contact of [EMAIL_1]" in scene.sent
    assert "Claims go to [EMAIL_2] or by phone to [PHONE_1] within 30 days." in scene.sent
    (annotation,) = answer["choices"][0]["message"]["annotations"]
    cited = annotation["headworks"]
    assert cited["quote"] == CLAUSE
    stored = scene.server.must("GET", f"/api/documents/{cited['document']}")["text"]
    assert stored[cited["start"] : cited["end"]] == cited["quote"]
    found = scene.server.trace(headers["x-headworks-trace"])
    guarded = next(span for span in found["spans"] if span["name"] == "guard_passages")
    assert guarded["attributes"]["findings"] == {"email": 4, "phone": 1}, "in title, section and text"
    assert held(found) == [], "also where the viewer may read the document"


def test_an_answer_that_repeats_personal_data_reaches_the_caller_and_no_span(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion(f"Write to {MAIL} [1].")))
    status, answer, headers = scene.server.ask("redacting", "Where do claims go?")
    assert status == 200
    assert answer["choices"][0]["message"]["content"].startswith(f"Write to {MAIL}")
    found = scene.server.trace(headers["x-headworks-trace"])
    assert "Write to [EMAIL_" in json.dumps(found)
    assert held(found) == []


def test_a_provider_on_this_host_sees_passages_but_not_what_the_caller_wrote(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    assert scene.server.ask("neighbour", f"Where do claims go? I am at {IBAN}.")[0] == 200
    assert set(held(scene.sent)) == {MAIL, OTHER_MAIL, PHONE}
    assert "I am at [IBAN_1]." in scene.sent


def test_one_target_outside_is_enough_for_passages_to_be_redacted(scene: Scene) -> None:
    scene.provider.will(Reply.error(503), Reply.json(completion("ok")))
    assert scene.server.ask("mixed", "Where do claims go?")[0] == 200
    assert len(scene.provider.seen) == 2
    assert held(scene.sent) == []


def test_a_feature_without_a_guardrail_is_left_alone(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    assert scene.server.ask("unguarded", turns())[0] == 200
    assert set(held(scene.sent)) == {MAIL, OTHER_MAIL, CARD, IBAN, PHONE}


def test_the_servers_log_holds_none_of_it(scene: Scene) -> None:
    for feature in ("redacting", "blocking", "recording"):
        scene.provider.will(Reply.error(500, f"What about {MAIL}?"))
        scene.server.ask(feature, turns())
        scene.provider.forget()
    assert held(scene.server.log.read_text()) == []
