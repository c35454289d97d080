"""The asynchronous `openai` client: many streams at once, and streams that are left in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI
from running_server import FEATURE, PROMPT, READERS, Server

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion

AT_ONCE = 20
MOMENT_S = 5.0
WORDS = [f"word{number} " for number in range(40)]


@dataclass
class Scene:
    server: Server
    provider: SimulatedProvider


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[Scene]:
    with SimulatedProvider() as provider:
        tenant = server.as_tenant("async-client")
        tenant.apply(
            {
                "providers.yaml": f"providers:\n  outside: {{kind: openai, base_url: '{provider.url}'}}\n",
                "routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n"
                "  echo: {targets: [{target: builtin/simulated, parameters: {script: [{token_delay_s: 0.01}]}}]}\n"
                "  outside: {targets: [outside/m1]}\n",
                "collections/docs.yaml": READERS,
                "features/assistant/feature.yaml": FEATURE,
                "features/assistant/prompts/answer.prompty": PROMPT,
                "features/slow/feature.yaml": FEATURE.replace("route: default", "route: outside"),
                "features/slow/prompts/answer.prompty": PROMPT,
            }
        )
        for number in range(AT_ONCE):
            tenant.hand_in(
                "docs", f"{number}.md", f"# Ward {number}\n\nWard w{number:02}x closes after {number + 3} days.\n"
            )
        tenant.worked_on("docs")
        yield Scene(tenant, provider)


@pytest.fixture
def scene(world: Scene) -> Scene:
    world.provider.forget()
    return world


@pytest.fixture
async def client(scene: Scene) -> AsyncIterator[openai.AsyncOpenAI]:
    url, key = f"{scene.server.url}/v1", scene.server.admin_key
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=60) as made:
        yield made


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def streamed(client: openai.AsyncOpenAI, model: str, text: str) -> tuple[str, list[Any], str | None, int]:
    """Text, annotations, finish reason and counted tokens of one stream."""
    said, cited, reason, tokens = "", [], None, 0
    stream = await client.chat.completions.create(
        model=model, messages=user(text), stream=True, stream_options={"include_usage": True}
    )
    async for event in stream:
        if event.usage:
            tokens = event.usage.total_tokens
        for choice in event.choices:
            said += choice.delta.content or ""
            cited += (choice.delta.model_extra or {}).get("annotations") or []
            reason = choice.finish_reason or reason
    return said, cited, reason, tokens


async def test_streams_at_once_each_have_their_own_words(client: openai.AsyncOpenAI) -> None:
    texts = [f"caller {number} says " + "".join(WORDS[: number + 1]).strip() for number in range(AT_ONCE)]
    answers = await asyncio.gather(*(streamed(client, "echo", text) for text in texts))
    assert [said for said, _, _, _ in answers] == texts
    assert {reason for _, _, reason, _ in answers} == {"stop"}
    assert all(tokens > 0 for _, _, _, tokens in answers)


async def test_cited_streams_at_once_each_cite_their_own_document(scene: Scene, client: openai.AsyncOpenAI) -> None:
    questions = [f"After how many days does ward w{number:02}x close?" for number in range(AT_ONCE)]
    answers = await asyncio.gather(*(streamed(client, "assistant", question) for question in questions))
    for number, (said, cited, reason, _) in enumerate(answers):
        assert f"Ward w{number:02}x closes after {number + 3} days." in said
        assert reason == "stop"
        quote = cited[0]["headworks"]
        assert quote["quote"] == f"Ward w{number:02}x closes after {number + 3} days."
        at = cited[0]["url_citation"]
        assert said[at["start_index"] : at["end_index"]] == "[1]"
        stored = scene.server.must("GET", f"/api/documents/{quote['document']}")["text"]
        assert stored[quote["start"] : quote["end"]] == quote["quote"]


async def test_whole_answers_streams_and_embeddings_share_the_server(client: openai.AsyncOpenAI) -> None:
    async def whole(number: int) -> str | None:
        made = await client.chat.completions.create(model="echo", messages=user(f"whole {number}"))
        return made.choices[0].message.content

    async def embedded(number: int) -> int:
        made = await client.embeddings.create(model="builtin/minilm", input=[f"text {number}", "other"])
        return len(made.data)

    wholes, streams, vectors = await asyncio.gather(
        asyncio.gather(*(whole(number) for number in range(7))),
        asyncio.gather(*(streamed(client, "echo", f"stream {number}") for number in range(7))),
        asyncio.gather(*(embedded(number) for number in range(6))),
    )
    assert wholes == [f"whole {number}" for number in range(7)]
    assert [said for said, _, _, _ in streams] == [f"stream {number}" for number in range(7)]
    assert vectors == [2] * 6


@pytest.mark.parametrize("model", ["outside", "slow"])
async def test_a_stream_that_is_closed_early_ends_at_the_provider_too(
    scene: Scene, client: openai.AsyncOpenAI, model: str
) -> None:
    scene.provider.will(Reply.events([chunk(word) for word in WORDS], gap_s=0.1, end="hang"))
    stream = await client.chat.completions.create(model=model, messages=user("Tell me."), stream=True)
    async for event in stream:
        if event.choices and event.choices[0].delta.content:
            break
    trace = stream.response.headers["x-headworks-trace"]
    await stream.close()
    assert await asyncio.to_thread(scene.provider.last.wait_until_ended, MOMENT_S) == "abandoned"
    found = await asyncio.to_thread(scene.server.trace, trace)
    assert (found["usage"]["status"], found["usage"]["error_code"]) == (499, "client_closed")
    assert found["usage"]["is_estimated"] is True, "what was said until then is counted, as well as it can be"
    assert found["usage"]["output_tokens"] > 0


async def test_many_that_leave_at_once_leave_nothing_behind(scene: Scene, client: openai.AsyncOpenAI) -> None:
    scene.provider.will(*(Reply.events([chunk(word) for word in WORDS], gap_s=0.1, end="hang") for _ in range(AT_ONCE)))

    async def leave() -> None:
        stream = await client.chat.completions.create(model="outside", messages=user("Tell me."), stream=True)
        async for _ in stream:
            break
        await stream.close()

    await asyncio.gather(*(leave() for _ in range(AT_ONCE)))
    outcomes = await asyncio.gather(
        *(asyncio.to_thread(seen.wait_until_ended, MOMENT_S) for seen in scene.provider.seen)
    )
    assert outcomes == ["abandoned"] * AT_ONCE
    assert (await streamed(client, "echo", "still there"))[0] == "still there"


async def test_a_call_that_is_cancelled_while_it_waits_ends_at_the_provider(
    scene: Scene, client: openai.AsyncOpenAI
) -> None:
    scene.provider.will(Reply.silence())
    call = asyncio.create_task(client.chat.completions.create(model="outside", messages=user("Tell me.")))
    await asyncio.to_thread(scene.provider.wait_for_request)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(scene.provider.last.wait_until_ended, MOMENT_S) == "abandoned"


async def test_a_callers_own_timeout_ends_it_too(scene: Scene, client: openai.AsyncOpenAI) -> None:
    scene.provider.will(Reply.silence())
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.5).chat.completions.create(model="outside", messages=user("Tell me."))
    assert await asyncio.to_thread(scene.provider.last.wait_until_ended, MOMENT_S) == "abandoned"


@pytest.mark.parametrize("model", ["outside", "slow"])
async def test_a_stream_that_breaks_off_is_an_error_and_no_end(
    scene: Scene, client: openai.AsyncOpenAI, model: str
) -> None:
    scene.provider.will(Reply.events([chunk("Half of "), chunk("an "), chunk("answer")], end="cut"))
    stream = await client.chat.completions.create(model=model, messages=user("Tell me."), stream=True)
    events: list[Any] = []

    async def read() -> None:
        async for event in stream:
            events.append(event.choices[0])  # noqa: PERF401 -- what comes before the error counts

    with pytest.raises(openai.APIError) as caught:
        await read()
    said = "".join(each.delta.content or "" for each in events)
    assert said.startswith("Half of an"), "a feature keeps its last words back, where citations go"
    assert "Half of an answer".startswith(said)
    assert {each.finish_reason for each in events} == {None}
    assert caught.value.code == "stream_truncated"
    assert str(caught.value).endswith("closed the connection in the middle of its answer. Try again.")
    assert scene.server.trace(stream.response.headers["x-headworks-trace"])["usage"]["error_code"] == "stream_truncated"


async def test_the_client_s_own_retries_get_over_a_provider_that_is_busy(
    scene: Scene, client: openai.AsyncOpenAI
) -> None:
    scene.provider.will(
        Reply.error(429, retry_after_ms="10"), Reply.error(503, retry_after_ms="10"), Reply.json(completion("At last."))
    )
    made = await client.with_options(max_retries=2).chat.completions.create(model="outside", messages=user("Tell me."))
    assert made.choices[0].message.content == "At last."
    assert len(scene.provider.seen) == 3


async def test_langchain_streams_a_feature(scene: Scene) -> None:
    async with httpx.AsyncClient() as web:
        model = ChatOpenAI(
            base_url=f"{scene.server.url}/v1",
            api_key=scene.server.admin_key,  # type: ignore[arg-type]  # a str will do
            model="assistant",
            http_async_client=web,
            max_retries=0,
        )
        texts = [str(part.content) async for part in model.astream("After how many days does ward w07x close?")]
        whole = await model.ainvoke("After how many days does ward w08x close?")
    assert "Ward w07x closes after 10 days." in "".join(texts)
    assert len(texts) > 1
    assert "Ward w08x closes after 11 days." in str(whole.content)
    assert whole.response_metadata["finish_reason"] == "stop"
