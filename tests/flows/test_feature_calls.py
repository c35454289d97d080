"""A feature over real documents, with a model that says what its script says: citations that verify, and others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from running_server import PROMPT, READERS, Server

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed

PLAN = """# Silver plan

## Deductible

The deductible of the Silver plan is 500 francs a year. It counts for each insured person.

## Waiting time

Glasses are paid after a waiting time of 90 days.
"""
CLINIC = "# Clinic\n\nThe clinic in Basel opens at 8:00. It is closed on Sundays.\n"
QUESTION = "What is the deductible of the Silver plan?"
DEDUCTIBLE = "The deductible of the Silver plan is 500 francs a year."
TYPED = """---
inputs:
  question: {kind: string, from: question}
  passages: {kind: array, from: passages}
  plan: {kind: string, required: true}
---
system:
You speak about the {{ plan }} plan.
user:
{% for p in passages %}[{{ p.number }}] {{ p.text }}
{% endfor %}{{ question }}
"""
SETTINGS = "owner: tests\nroute: outside\nprompt: prompts/answer.prompty\nretrieval: {collection: docs, k: 4}\n"


@dataclass
class Answer:
    """What came back, whichever way."""

    text: str
    citations: list[dict[str, Any]]
    headers: httpx.Headers

    def quotes(self) -> list[str]:
        return [each["headworks"]["quote"] for each in self.citations]

    def markers(self) -> list[str]:
        """The text that each citation's indices cover."""
        places = [each["url_citation"] for each in self.citations]
        return [self.text[place["start_index"] : place["end_index"]] for place in places]


@dataclass
class Scene:
    server: Server
    provider: SimulatedProvider

    def post(self, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {key or self.server.admin_key}"}
        return httpx.post(f"{self.server.url}/v1/chat/completions", json=body, headers=headers, timeout=30)

    def say(self, *pieces: str, model: str = "plans", question: str = QUESTION, stream: bool = True) -> Answer:
        """Ask, and have the model say this in these pieces."""
        self.provider.will(Reply.events(streamed(*pieces)) if stream else Reply.json(completion("".join(pieces))))
        messages = [{"role": "user", "content": question}]
        answer = self.post({"model": model, "messages": messages, "stream": stream})
        assert answer.status_code == 200, answer.text
        if not stream:
            message = answer.json()["choices"][0]["message"]
            return Answer(message["content"], message["annotations"], answer.headers)
        chunks = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]
        deltas = [each["choices"][0]["delta"] for each in chunks if each["choices"]]
        text = "".join(delta.get("content") or "" for delta in deltas)
        return Answer(text, [each for delta in deltas for each in delta.get("annotations", [])], answer.headers)

    def number_of(self, text: str) -> int:
        """The number under which a passage with that text stood in the last prompt."""
        prompt = self.provider.last.json["messages"][-1]["content"]
        before = prompt[: prompt.index(text)]
        return int(before[before.rindex("[") + 1 :].partition("]")[0])


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[Scene]:
    with SimulatedProvider() as provider:
        tenant = server.as_tenant("feature-calls")
        files = {
            "providers.yaml": f"providers:\n  outside: {{kind: openai, base_url: '{provider.url}'}}\n",
            "routes.yaml": "routes:\n  outside: {targets: [outside/m1]}\n  default: {targets: [builtin/extractive]}\n",
            "collections/docs.yaml": READERS,
        }
        features = {
            "plans": (SETTINGS, PROMPT),
            "typed": (SETTINGS, TYPED),
            "staged": (SETTINGS + "risk: medium\n", PROMPT),
            "extracts": (SETTINGS.replace("route: outside", "route: default"), PROMPT),
        }
        for name, (settings, prompt) in features.items():
            files[f"features/{name}/feature.yaml"] = settings
            files[f"features/{name}/prompts/answer.prompty"] = prompt
        tenant.apply(files)
        tenant.hand_in("docs", "plan.md", PLAN)
        tenant.hand_in("docs", "clinic.md", CLINIC)
        tenant.worked_on("docs")
        yield Scene(tenant, provider)


@pytest.fixture
def scene(world: Scene) -> Scene:
    world.provider.forget()
    return world


@pytest.fixture
def number(scene: Scene) -> int:
    """Under which number the deductible stands in the prompt: the same question always finds the same."""
    scene.say("ok")
    return scene.number_of(DEDUCTIBLE)


# ── Citations ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [True, False])
def test_a_right_marker_becomes_a_quote_that_verifies(scene: Scene, number: int, *, stream: bool) -> None:
    answer = scene.say(f"The deductible is 500 francs a year [{number}].", stream=stream)
    (citation,) = answer.citations
    assert answer.quotes() == [DEDUCTIBLE]
    assert answer.markers() == [f"[{number}]"]
    ours = citation["headworks"]
    assert ours["sha256"] == hashlib.sha256(DEDUCTIBLE.encode()).hexdigest()
    stored = scene.server.must("GET", f"/api/documents/{ours['document']}")
    assert stored["text"][ours["start"] : ours["end"]] == DEDUCTIBLE
    assert ours["version"] == stored["version"]
    url = citation["url_citation"]["url"]
    assert url == f"{scene.server.url}/documents/{ours['document']}#char={ours['start']},{ours['end']}"
    assert citation["url_citation"]["title"] == "Silver plan"


def test_a_marker_may_come_in_pieces(scene: Scene, number: int) -> None:
    whole = scene.say(f"It is 500 francs a year [{number}]. So it is.")
    split = scene.say("It is 500 fra", "ncs a year ", "[", str(number), "]", ". So", " it is.")
    assert (split.text, split.citations) == (whole.text, whole.citations)
    assert len(split.citations) == 1


def test_a_marker_of_no_passage_is_taken_out(scene: Scene) -> None:
    answer = scene.say("The deductible is 500 francs a year [77].")
    assert answer.citations == []
    assert "77" not in answer.text
    trace = scene.server.trace(answer.headers["x-headworks-trace"])
    (cite,) = [span for span in trace["spans"] if span["name"] == "cite"]
    assert cite["attributes"]["unknown"] == 1


def test_a_marker_on_a_passage_that_says_something_else_is_taken_out(scene: Scene, number: int) -> None:
    answer = scene.say(f"The clinic serves breakfast to all its guests [{number}].")
    assert answer.citations == []
    assert f"[{number}]" not in answer.text
    trace = scene.server.trace(answer.headers["x-headworks-trace"])
    (cite,) = [span for span in trace["spans"] if span["name"] == "cite"]
    assert (cite["attributes"]["dropped"], cite["attributes"]["citations"]) == (1, 0)


def test_a_wrong_number_in_the_claim_is_no_support(scene: Scene, number: int) -> None:
    assert scene.say(f"The deductible of the Silver plan is 900 francs a year [{number}].").citations == []


def test_an_answer_without_markers_has_no_citations(scene: Scene) -> None:
    answer = scene.say("The deductible is 500 francs a year.")
    assert (answer.text, answer.citations) == ("The deductible is 500 francs a year.", [])


def test_code_and_links_are_left_alone(scene: Scene) -> None:
    text = "Use `list[1]` and [1](https://example.org), see\n```\na[2]\n```\n."
    answer = scene.say(text)
    assert (answer.text, answer.citations) == (text, [])


def test_the_built_in_model_is_cited_like_any_other(scene: Scene) -> None:
    answer = scene.post({"model": "extracts", "messages": [{"role": "user", "content": QUESTION}]}).json()
    message = answer["choices"][0]["message"]
    assert message["content"].startswith("Closest passages:")
    assert DEDUCTIBLE in [each["headworks"]["quote"] for each in message["annotations"]]


# ── The contract ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_inputs_come_beside_the_messages(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    body = {"model": "typed", "messages": [{"role": "user", "content": QUESTION}]}
    assert scene.post({**body, "inputs": {"plan": "Silver"}}).status_code == 200
    assert scene.provider.last.json["messages"][0]["content"] == "You speak about the Silver plan."
    missing = scene.post(body).json()["error"]
    assert (missing["param"], missing["code"]) == ("inputs.plan", "invalid_request")


def test_a_staged_release_is_called_by_its_channel(scene: Scene) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}]}
    assert scene.post({**body, "model": "staged"}).status_code == 404
    scene.provider.will(Reply.json(completion("ok")), Reply.json(completion("ok")))
    staged = scene.post({**body, "model": "staged@staging"})
    assert staged.status_code == 200
    digest = staged.headers["x-headworks-release"]
    assert scene.post({**body, "model": f"staged@{digest}"}).headers["x-headworks-release"] == digest
    key = scene.server.key_of("caller", permissions=["feature:call"])
    refused = scene.post({**body, "model": "staged@staging"}, key)
    assert refused.status_code == 403
    assert "release:pin" in refused.json()["error"]["message"]


def test_what_is_ignored_and_what_is_cut_is_said(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("ok")))
    messages = [{"role": "user", "content": QUESTION}]
    answer = scene.post(
        {"model": "plans", "messages": messages, "temperature": 1.5, "top_logprobs": 3, "max_tokens": 90_000}
    )
    assert answer.headers["x-headworks-ignored"] == "temperature, top_logprobs"
    assert answer.headers["x-headworks-clamped"] == "max_tokens"
    assert set(scene.provider.last.json) == {"messages", "model", "max_completion_tokens"}


def test_the_stages_of_a_call_are_its_trace(scene: Scene, number: int) -> None:
    answer = scene.say(f"The deductible is 500 francs a year [{number}].")
    trace = scene.server.trace(answer.headers["x-headworks-trace"])
    names = [span["name"] for span in trace["spans"]]
    assert {"request", "retrieve", "render", "attempt", "cite"} <= set(names)
    assert trace["usage"]["release"] == answer.headers["x-headworks-release"]
