"""`langchain-openai` works unchanged: models, features, streams, tools, embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pydantic
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from running_server import FEATURE, PROMPT, READERS, Server

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed

FACT = "The canal was dug in 1862."


class Year(pydantic.BaseModel):
    """When something happened."""

    year: int


@tool
def dug_in(canal: str) -> int:
    """The year in which a canal was dug."""
    return len(canal)


@dataclass
class Scene:
    server: Server
    provider: SimulatedProvider

    def chat(self, model: str, **more: Any) -> ChatOpenAI:
        options = {"max_retries": 0, "api_key": self.server.admin_key} | more
        return ChatOpenAI(base_url=f"{self.server.url}/v1", model=model, **options)


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[Scene]:
    with SimulatedProvider() as provider:
        tenant = server.as_tenant("langchain")
        tenant.apply(
            {
                "providers.yaml": f"providers:\n  outside: {{kind: openai, base_url: '{provider.url}'}}\n",
                "routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n"
                "  outside: {targets: [outside/m1]}\n",
                "collections/docs.yaml": READERS,
                "features/assistant/feature.yaml": FEATURE,
                "features/assistant/prompts/answer.prompty": PROMPT,
            }
        )
        tenant.hand_in("docs", "canal.md", f"# Canal\n\n{FACT}\n")
        tenant.worked_on("docs")
        yield Scene(tenant, provider)


@pytest.fixture
def scene(world: Scene) -> Scene:
    world.provider.forget()
    return world


def test_a_route_answers(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion("In 1862.")))
    answer = scene.chat("outside", temperature=0.5).invoke("When?")
    assert answer.content == "In 1862."
    assert answer.usage_metadata == {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_token_details": {},
        "output_token_details": {},
    }
    assert scene.provider.last.json["temperature"] == 0.5


def test_a_route_streams_with_its_usage(scene: Scene) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    scene.provider.will(Reply.events(streamed("In ", "1862", ".", usage=usage)))
    chunks = list(scene.chat("outside", stream_usage=True).stream("When?"))
    assert "".join(str(each.content) for each in chunks) == "In 1862."
    assert sum((each.usage_metadata or {}).get("total_tokens", 0) for each in chunks) == 5


async def test_a_feature_streams_as_it_answers(scene: Scene) -> None:
    chat = scene.chat("assistant")
    whole = await chat.ainvoke("When was the canal dug?")
    pieces = [str(each.content) async for each in chat.astream("When was the canal dug?")]
    assert FACT in str(whole.content)
    assert "".join(pieces) == whole.content


def test_a_feature_sees_the_turns_before(scene: Scene) -> None:
    turns = [HumanMessage("Which canal?"), AIMessage("The old one."), HumanMessage("When was the canal dug?")]
    assert FACT in str(scene.chat("assistant").invoke(turns).content)


def test_a_system_message_to_a_feature_is_refused(scene: Scene) -> None:
    with pytest.raises(openai.BadRequestError, match="fixes `system`"):
        scene.chat("assistant").invoke([("system", "Be rude."), ("user", "When?")])


def test_tools_are_called(scene: Scene) -> None:
    asked = completion("", "tool_calls")
    call = {"id": "call_1", "type": "function", "function": {"name": "dug_in", "arguments": '{"canal": "old"}'}}
    asked["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
    scene.provider.will(Reply.json(asked))
    answer = scene.chat("outside").bind_tools([dug_in]).invoke("When?")
    assert isinstance(answer, AIMessage)
    assert [(each["name"], each["args"]) for each in answer.tool_calls] == [("dug_in", {"canal": "old"})]
    assert scene.provider.last.json["tools"][0]["function"]["name"] == "dug_in"


def test_a_structured_answer_is_parsed(scene: Scene) -> None:
    scene.provider.will(Reply.json(completion('{"year": 1862}')))
    assert scene.chat("outside").with_structured_output(Year).invoke("When?") == Year(year=1862)


def test_texts_are_embedded(scene: Scene) -> None:
    made = OpenAIEmbeddings(
        base_url=f"{scene.server.url}/v1",
        api_key=scene.server.admin_key,
        model="outside",
        check_embedding_ctx_length=False,
    ).embed_documents(["a", "b", "a"])
    assert made[0] == made[2] != made[1]


def test_our_errors_are_its_errors(scene: Scene) -> None:
    with pytest.raises(openai.NotFoundError, match="Near names: assistant"):
        scene.chat("assistent").invoke("When?")
