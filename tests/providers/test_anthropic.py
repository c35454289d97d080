"""Accounts with Anthropic: addresses, credentials, versions, and what goes over the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from anthropic_types import require_count, require_message, require_request

from headworks.errors import InvalidRequest, ModelMissing, UpstreamError, UpstreamRejected
from headworks.formats.answers import collect
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import Event, Request, TextBlock, Turn
from headworks.providers.anthropic import Anthropic
from headworks.providers.contract import Ask, Surface
from headworks.providers.upstream import Upstream
from headworks.testing import anthropic_replies as replies
from headworks.testing.anthropic import SimulatedAnthropic
from headworks.testing.replies import Reply
from headworks.types.workspace import AccountSpec

NULL = msgspec.Raw(b"null")
KEY = {"ANTHROPIC_API_KEY": " sk-ant-secret\n"}
BODY = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello?"}]}).encode()


@pytest.fixture
def simulated() -> Iterator[SimulatedAnthropic]:
    with SimulatedAnthropic(script=[{"when": "Hello?", "answer": "Hi there."}]) as running:
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    yield made
    await made.close()


@pytest.fixture
def provider(simulated: SimulatedAnthropic, upstream: Upstream) -> Anthropic:
    return Anthropic(upstream, KEY, base_url=simulated.origin)


def account(base_url: str | None, variable: str | None = None) -> AccountSpec:
    return AccountSpec("mine", "anthropic", base_url, variable, "providers.yaml:1")


def ask(surface: Surface = "messages", *forwarded: tuple[bytes, bytes], body: bytes = BODY) -> Ask:
    return Ask(surface, "m", body, forwarded)


async def test_messages_are_answered_whole_and_in_pieces(simulated: SimulatedAnthropic, provider: Anthropic) -> None:
    provider.check("messages", "m")
    status, headers, body = await provider.fetch(ask())
    assert status == 200
    assert dict(headers)[b"request-id"] == b"req_sim1"
    require_message(body)
    assert MESSAGES.read_answer(body).blocks == [TextBlock("Hi there.", ext={"citations": NULL})]
    answer = await provider.stream(ask(body=BODY[:-1] + b', "stream": true}'))
    reader, events = MESSAGES.reader(), list[Event]()
    async for piece in answer:
        events += reader.feed(piece)
    told = collect([*events, *reader.end()])
    assert told is not None
    assert isinstance(told.blocks[0], TextBlock)
    assert told.blocks[0].text == "Hi there."
    assert [seen.path for seen in simulated.seen] == ["/v1/messages"] * 2


async def test_what_we_write_is_what_anthropic_takes(simulated: SimulatedAnthropic, provider: Anthropic) -> None:
    request = Request("chat", "m", [Turn("system", [TextBlock("Be kind.")]), Turn("user", [TextBlock("Hello?")])])
    status, _, _ = await provider.fetch(ask(body=MESSAGES.write_request(request).body))
    assert status == 200
    require_request(simulated.last.body)
    status, _, body = await provider.fetch(ask("count_tokens", body=MESSAGES.write_count_request(request).body))
    assert status == 200
    require_request(simulated.last.body, counts=True)
    require_count(body)
    assert MESSAGES.read_count(body) == 3
    assert simulated.last.path == "/v1/messages/count_tokens"


async def test_the_key_and_the_version_travel_with_each_request(
    simulated: SimulatedAnthropic, provider: Anthropic
) -> None:
    await provider.fetch(ask())
    headers = simulated.last.headers
    assert headers["x-api-key"] == "sk-ant-secret"
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers


async def test_a_caller_may_choose_version_and_betas_but_no_credential(
    simulated: SimulatedAnthropic, provider: Anthropic
) -> None:
    await provider.fetch(
        ask(
            "messages",
            (b"anthropic-version", b"2027-01-01"),
            (b"anthropic-beta", b"context-1m-2025-08-07,files-api-2025-04-14"),
            (b"X-Api-Key", b"hw_key"),
            (b"authorization", b"Bearer hw_key"),
        )
    )
    headers = simulated.last.headers
    assert headers["anthropic-version"] == "2027-01-01"
    assert headers["anthropic-beta"] == "context-1m-2025-08-07,files-api-2025-04-14"
    assert headers["x-api-key"] == "sk-ant-secret"
    assert "authorization" not in headers
    await provider.fetch(ask("messages", (b"anthropic-beta", b"x")))
    assert simulated.last.headers["anthropic-version"] == "2023-06-01"


async def test_an_error_is_an_answer(simulated: SimulatedAnthropic, provider: Anthropic) -> None:
    simulated.will(replies.failure(529, "Overloaded", retry_after="3"))
    status, headers, body = await provider.fetch(ask())
    assert (status, dict(headers)[b"retry-after"]) == (529, b"3")
    failed = MESSAGES.read_error(status, body)
    assert failed is not None
    assert failed.kind == "overloaded_error"


async def test_a_count_does_not_come_in_pieces(provider: Anthropic) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await provider.stream(ask("count_tokens"))
    assert refused.value.param == "stream"


@pytest.mark.parametrize("path", ["", "/v1", "/v1/", "/gateway/v1"])
async def test_an_address_may_have_the_version_in_it(
    simulated: SimulatedAnthropic, upstream: Upstream, path: str
) -> None:
    made = Anthropic(upstream, {"K": "k"}, account=account(simulated.origin + path, "K"))
    await made.fetch(ask())
    assert simulated.last.path == f"{path.rstrip('/').removesuffix('/v1')}/v1/messages"
    assert made.name == "mine"


async def test_a_usual_key_never_travels_to_an_address_of_a_workspace(
    simulated: SimulatedAnthropic, upstream: Upstream
) -> None:
    made = Anthropic(upstream, KEY, account=account(simulated.origin))
    made.check("messages", "m")
    await made.fetch(ask())
    assert "x-api-key" not in simulated.last.headers


def test_a_missing_credential_names_its_variable_and_no_value(upstream: Upstream) -> None:
    with pytest.raises(ModelMissing, match="ANTHROPIC_API_KEY is not set"):
        Anthropic(upstream, {"ANTHROPIC_API_KEY": " "}).check("messages", "claude")
    named = Anthropic(upstream, KEY, account=account(None, "MY_KEY"))
    with pytest.raises(ModelMissing, match="`mine/claude` has no credential: MY_KEY"):
        named.check("count_tokens", "claude")


@pytest.mark.parametrize("surface", ["chat", "embeddings"])
def test_a_surface_that_anthropic_does_not_serve_is_named(upstream: Upstream, surface: Surface) -> None:
    with pytest.raises(InvalidRequest, match=f"does not serve {surface}"):
        Anthropic(upstream, KEY).check(surface, "claude")


async def test_the_models_are_listed_page_by_page(simulated: SimulatedAnthropic, provider: Anthropic) -> None:
    def page(*names: str, has_more: bool) -> Reply:
        rows = [{"id": name, "type": "model", "display_name": name.title(), "max_tokens": 64} for name in names]
        return Reply.json({"data": rows, "has_more": has_more, "last_id": names[-1]})

    simulated.will(page("a", "b b", has_more=True), page("c", has_more=False))
    rows = await provider.models()
    assert [(row.id, row.display_name, row.max_tokens) for row in rows] == [
        ("a", "A", 64), ("b b", "B B", 64), ("c", "C", 64),
    ]  # fmt: skip
    assert [seen.path for seen in simulated.seen] == ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=b%20b"]
    assert (await provider.models())[0].lifecycle == "active"


@pytest.mark.parametrize(
    ("reply", "error"),
    [(replies.failure(401), UpstreamRejected), (Reply.html(), UpstreamError), (Reply.json({"data": 5}), UpstreamError)],
)
async def test_a_list_that_can_not_be_had_is_an_error(
    simulated: SimulatedAnthropic, provider: Anthropic, reply: Reply, error: Any
) -> None:
    simulated.will(reply)
    with pytest.raises(error):
        await provider.models()
