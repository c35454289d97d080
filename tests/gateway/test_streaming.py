"""What a caller sees of a stream, byte by byte, against a provider that is told what to send."""

from __future__ import annotations

import json
from typing import Any

import httpx
from running_gateway import World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, streamed

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]


def post(world: World, body: dict[str, Any] | bytes, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"authorization": f"Bearer {world.admin_key}", "content-type": "application/json", **headers}
    return httpx.post(f"{world.url}/v1/chat/completions", content=content, headers=sent, timeout=20)


def stream(world: World, model: str = "outside", **more: Any) -> httpx.Response:
    return post(world, {"model": model, "messages": ASK, "stream": True, **more})


def test_a_stream_arrives_byte_for_byte(world: World, provider: SimulatedProvider) -> None:
    events = [b": keep-alive\n\n", *streamed("Hel", "lo é \u2028", finish_reason="stop")]
    reply = Reply.events(events, x_request_id="req_1", openai_processing_ms="12")
    provider.will(reply)
    answer = stream(world, stream_options={"include_usage": True})
    assert answer.status_code == 200
    assert answer.content == b"".join(reply.pieces)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (answer.headers["x-request-id"], answer.headers["openai-processing-ms"]) == ("req_1", "12")
    assert answer.headers["x-headworks-release"].startswith("sha256:")


def test_first(world: World) -> None:
    client = world.client()
    print(client.models.list())
    answer = client.chat.completions.create(model="builtin/simulated", messages=ASK)
    assert answer.choices[0].message.content == "Hello?"
