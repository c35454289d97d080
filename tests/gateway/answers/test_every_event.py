"""Each kind of event that the vendors' types describe goes by byte for byte, oddly written and cut anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import pytest
from anthropic.types import RawMessageStreamEvent
from anthropic.types.beta import BetaRawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from running_gateway import World
from typed_samples import samples_of

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply

Json = dict[str, Any]
PIECE = 991
"""Bytes sent at a time: no whole number of anything."""
NEW = {"x_new": [12345678901234567890, "né🙂", None]}
ENDS = {
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
    "message_stop",
}
ASKS: dict[str, Json] = {
    "/v1/chat/completions": {"model": "outside", "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"model": "outside", "prompt": "Hi"},
    "/v1/responses": {"model": "outside", "input": "Hi"},
    "/v1/messages": {"model": "claude/c", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
}


def untorn(value: Any) -> Any:
    """With blank arguments of tools: a sample's are no JSON, and such a call does not go by."""
    if isinstance(value, list):
        return [untorn(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: " " if name in {"arguments", "partial_json"} else untorn(each) for name, each in value.items()}


def written(events: Iterable[Json], *, named: bool) -> bytes:
    """Events as no vendor writes them and any may: blanks, comments, two kinds of line ends, fields of SSE."""
    said = []
    for at, event in enumerate(map(untorn, events)):
        data = json.dumps({**event, **NEW}, separators=(" ,", " : ") if at % 3 else None, ensure_ascii=at % 2 == 0)
        name = f"event: {event['type']}\n" if named else ""
        text = f": {at}\nid: {at}\n{name}data:{' ' * (at % 3)}{data}\n\n"
        said.append(text.replace("\n", "\r\n") if at % 5 == 4 else text)
    return "".join(said).encode()


def relayed(world: World, provider: SimulatedProvider, path: str, sent: bytes) -> httpx.Response:
    provider.will(Reply.events([sent[at : at + PIECE] for at in range(0, len(sent), PIECE)]))
    body = {**ASKS[path], "stream": True}
    if path.endswith("completions"):
        body["stream_options"] = {"include_usage": True}
    return world.post(body, path, anthropic_version="2023-06-01")


def kinds(events: Sequence[Json]) -> set[str]:
    return {each["type"] for each in events}


@pytest.mark.parametrize(
    ("path", "union", "end", "least"),
    [
        ("/v1/responses", ResponseStreamEvent, "response.completed", 59),
        ("/v1/messages", RawMessageStreamEvent, "message_stop", 6),
        ("/v1/messages", BetaRawMessageStreamEvent, "message_stop", 6),
    ],
    ids=["responses", "messages", "beta-messages"],
)
def test_every_named_event_goes_by_as_it_is(
    world: World, provider: SimulatedProvider, path: str, union: Any, end: str, least: int
) -> None:
    samples: list[Json] = samples_of(union)
    assert len(kinds(samples)) >= least
    inner = [each for each in samples if each["type"] not in ENDS]
    last = next(each for each in samples if each["type"] == end)
    sent = written([*inner, last], named=True)
    assert relayed(world, provider, path, sent).content == sent
    assert world.records.row().status == 200


@pytest.mark.parametrize("end", sorted(ENDS - {"message_stop"}))
def test_every_end_of_a_response_goes_by_as_it_is(world: World, provider: SimulatedProvider, end: str) -> None:
    samples: list[Json] = samples_of(ResponseStreamEvent)
    begun = [next(each for each in samples if each["type"] == kind) for kind in ("response.created", DELTA)]
    for each in [each for each in samples if each["type"] == end][::50]:
        sent = written([*begun, each], named=True)
        assert relayed(world, provider, "/v1/responses", sent).content == sent


DELTA = "response.output_text.delta"


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/chat/completions", ChatCompletionChunk), ("/v1/completions", Completion)]
)
def test_every_chunk_goes_by_as_it_is(world: World, provider: SimulatedProvider, path: str, kind: Any) -> None:
    chunks: list[Json] = samples_of(kind)
    sent = written(chunks, named=False) + b"data: [DONE]\n\n"
    assert relayed(world, provider, path, sent).content == sent
    assert world.records.row().status == 200


def test_every_chunk_of_google_s_goes_by_as_it_is(world: World, provider: SimulatedProvider) -> None:
    sent = written(samples_of(GenerateContentResponse), named=False)
    provider.will(Reply.events([sent[at : at + PIECE] for at in range(0, len(sent), PIECE)]))
    path = f"/v1beta/models/google/gemini-2.5-flash:streamGenerateContent?alt=sse&key={world.admin_key}"
    answer = httpx.post(world.url + path, content=b'{"contents":[]}', timeout=20)
    assert answer.content == sent
