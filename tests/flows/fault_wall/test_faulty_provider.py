"""The provider that fails on purpose does so as it says, and its good answers are the vendors' own formats."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import anthropic.types
import openai.types
import openai.types.chat
import openai.types.responses
import pytest
from expectations import Complaint, Evidence, judge
from fault_cases import Case, suits
from fault_kinds import KINDS
from fault_surfaces import SURFACES, Surface
from hearing import STREAMED, Heard, events_of, hear_stream, hear_whole
from pydantic import TypeAdapter
from raw_client import Received, parse, request_of, send
from upstream_log import Seen, UpstreamLog
from wall import faulty_provider

Sources = tuple[dict[str, int], UpstreamLog]
NATIVE = [each for each in SURFACES if each.is_native and not each.asks_usage and not each.client]
ENDS = [name for name, kind in KINDS.items() if kind.group != "stall" and kind.is_seen and kind.door == "main"]
# The vendors' own types: what they refuse is no answer of theirs.
EVENTS: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(openai.types.chat.ChatCompletionChunk),
    "completions": TypeAdapter(Any),  # its type has no word for the null that stands in all chunks but the last
    "messages": TypeAdapter(anthropic.types.RawMessageStreamEvent),
    "responses": TypeAdapter(openai.types.responses.ResponseStreamEvent),
}
WHOLES: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(openai.types.chat.ChatCompletion),
    "completions": TypeAdapter(openai.types.Completion),
    "embeddings": TypeAdapter(openai.types.CreateEmbeddingResponse),
    "messages": TypeAdapter(anthropic.types.Message),
    "responses": TypeAdapter(openai.types.responses.Response),
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    with faulty_provider(tmp_path_factory.mktemp("provider")) as found:
        yield found


async def sent(provider: Sources, case: Case, leave: Callable[[], Any] | None = None) -> Received:
    """One request, straight to the provider; some wait for ever after they have said what they say."""
    port = provider[0][KINDS[case.kind].door]
    request = request_of(f"/{case.kind}{case.surface.path}", "none", case.surface.ask(case.id, "m"), "provider")
    return await send("127.0.0.1", port, request, limit_s=2.0, leave=leave)


def ask(provider: Sources, case: Case, leave: Callable[[], Any] | None = None) -> tuple[Received, Seen]:
    """What came back, and what the provider says that it sent."""
    received = asyncio.run(sent(provider, case, leave))
    return received, over(provider, case)


def over(provider: Sources, case: Case) -> Seen:
    """What the provider says that it did, once it has done it."""
    log = provider[1]
    assert log.wait_for(lambda: log.of(case.id)[-1].is_over, 5.0), case.name
    return log.of(case.id)[-1]


def named(name: str) -> Surface:
    return next(each for each in SURFACES if each.name == name)


def hear(surface: Surface, received: Received) -> Heard:
    if surface.streams:
        return hear_stream(received.body, STREAMED[surface.inbound])
    return hear_whole(surface.inbound, received.body)


@pytest.mark.parametrize("surface", NATIVE, ids=lambda each: each.name)
def test_a_good_answer_is_heard_as_it_was_logged(provider: Sources, surface: Surface) -> None:
    received, seen = ask(provider, Case("good", "alone", surface, " heard"))
    heard = hear(surface, received)
    assert (received.status, received.fault, received.is_whole) == (200, "", True)
    assert (heard.text, heard.reason, heard.error) == (seen.text, seen.reason, None)
    assert not heard.wrong
    assert not heard.unread
    assert received.body == seen.sent
    assert len(seen.tokens) == (0 if surface.inbound == "embeddings" else 8)
    if surface.streams:
        assert heard.is_done is seen.is_terminal is True
    if surface.inbound not in {"embeddings", "chat", "completions"} or not surface.streams:
        assert seen.counts is not None
        assert heard.counts == seen.counts or surface.inbound == "embeddings"


@pytest.mark.parametrize("surface", NATIVE, ids=lambda each: each.name)
def test_a_good_answer_is_what_the_vendor_says_it_is(provider: Sources, surface: Surface) -> None:
    received, _ = ask(provider, Case("good", "alone", surface, " typed"))
    if not surface.streams:
        WHOLES[surface.inbound].validate_json(received.body)
        return
    events, rest = events_of(received.body)
    assert not rest
    kinds = [name for name, _ in events]
    for name, data in events:
        if data != "[DONE]" and name != "ping":  # Anthropic's client passes over pings before it reads their type
            EVENTS[surface.inbound].validate_json(data)
    if surface.inbound == "messages":
        assert kinds[0] == "message_start"
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    if surface.inbound == "responses":
        numbers = [json.loads(data)["sequence_number"] for _, data in events]
        assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("surface", NATIVE, ids=lambda each: each.name)
def test_every_fault_that_ends_by_itself_ends_on_every_surface(provider: Sources, surface: Surface) -> None:
    """No fault crashes the provider: what it says is what is heard, as far as it was an answer."""
    names = [name for name in ENDS if suits(KINDS[name], surface) and name != "null-in-200"]
    cases = [Case(name, "alone", surface, " direct") for name in names]

    async def all_at_once() -> list[Received]:
        return await asyncio.gather(*(sent(provider, case) for case in cases))

    for case, received in zip(cases, asyncio.run(all_at_once()), strict=True):
        kind, seen = KINDS[case.kind], over(provider, case)
        assert received.raw, case.name
        if kind.group == "head":
            continue  # odd on purpose, where the client is strict
        assert received.status == seen.status, case.name
        expected = kind.stream if surface.streams else kind.whole
        if expected and expected.how == "answer" and kind.group != "carrier":
            assert hear(surface, received).text == seen.text, case.name


def untouched(provider: Sources, surface: Surface, *hows: str) -> Iterator[tuple[Case, Seen, list[Complaint]]]:
    """What the oracle says where a gateway adds nothing to what it gets but its trace and its record."""
    for name in ENDS:
        kind = KINDS[name]
        if not suits(kind, surface) or kind.group in {"head", "carrier"} or "usage" in name:
            continue
        case = Case(name, "alone", surface, " untouched")
        if case.walk()[1].how not in hows:
            continue
        received, seen = ask(provider, case)
        received.headers.append(("x-headworks-trace", "t"))
        if received.ended == "closed" and received.is_whole:
            yield case, seen, judge(Evidence(case, received, [seen], recorded(case, received, seen), 1))


@pytest.mark.parametrize("surface", NATIVE, ids=lambda each: each.name)
def test_the_oracle_has_nothing_against_good_answers_that_come_untouched(provider: Sources, surface: Surface) -> None:
    found = [(case.name, complaints) for case, _, complaints in untouched(provider, surface, "answer", "refused")]
    assert len(found) >= 5
    assert [each for each in found if each[1]] == []


@pytest.mark.parametrize("surface", [each for each in NATIVE if each.streams], ids=lambda each: each.name)
def test_the_oracle_hears_where_a_stream_just_stops(provider: Sources, surface: Surface) -> None:
    """An error of the provider's own is heard; where there was none, a gateway has to say it."""
    found = list(untouched(provider, surface, "broken"))
    assert len(found) >= 5
    for case, seen, complaints in found:
        names = {each.name for each in complaints}
        assert ("silent-truncation" in names) is (not seen.error), (case.name, complaints)


def recorded(case: Case, received: Received, seen: Seen) -> dict[str, Any]:
    """The usage row of a gateway that has understood everything."""
    is_refused = case.walk()[1].how == "refused"
    read, written = (None, None) if is_refused else seen.counts or (25, len(seen.tokens))
    return {
        "attempts": 1,
        "provider": f"{case.surface.account}-{case.kind}",
        "model": case.surface.model,
        "streamed": case.surface.streams,
        "status": received.status,
        "error_code": "upstream_rejected" if seen.error else None,
        "input_tokens": read,
        "output_tokens": written,
        "is_estimated": seen.counts is None and not is_refused,
        "cost_micro_usd": None if is_refused else 17,
        "price_version": "none",
    }


@pytest.mark.parametrize("name", ["status-429", "context-length-exceeded", "insufficient-quota"])
@pytest.mark.parametrize("surface", ["chat", "embeddings", "messages", "responses"])
def test_an_error_is_told_in_the_words_of_its_format(provider: Sources, name: str, surface: str) -> None:
    received, seen = ask(provider, Case(name, "alone", named(surface), " error"))
    heard = hear_whole(surface, received.body)
    assert heard.error is not None
    assert received.body.decode() == seen.error
    assert received.status == seen.status
    if surface == "messages":
        assert json.loads(seen.error)["type"] == "error"
    elif name != "status-429":
        assert heard.error["code"] == name.replace("-", "_")


def test_who_leaves_is_noticed_at_once(provider: Sources) -> None:
    _, log = provider
    case = Case("stall-after-tokens", "alone", named("chat-stream"), " leaving")

    async def leave() -> str:
        while not (seen := log.of(case.id)) or len(seen[0].tokens) < 4:
            await asyncio.sleep(0.005)
        return "fin"

    received, seen = ask(provider, case, leave)
    assert received.ended == "left"
    assert 0 <= seen.left_at - received.left_at < 0.5
    assert not seen.closed


def test_a_reset_is_a_reset_and_a_close_is_a_close(provider: Sources) -> None:
    for name, how in (("reset-after-tokens", "reset"), ("cut-after-tokens", "closed")):
        received, seen = ask(provider, Case(name, "alone", named("chat-stream"), " ends"))
        assert (received.ended, received.is_whole, len(seen.tokens)) == (how, False, 4)
        assert seen.closed == ("reset" if how == "reset" else "fin")


def answer_at(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n\r\n")
        return connection.recv(100)


def test_the_doors_do_what_they_are_called(provider: Sources) -> None:
    ports, _ = provider
    with pytest.raises(ConnectionRefusedError):
        answer_at(ports["refused"])
    assert answer_at(ports["tls"]).startswith(b"\x15\x03")
    with pytest.raises(ConnectionResetError):
        answer_at(ports["reset"])


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", "nothing"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "no head"),
        (b"220 hello\r\n\r\n", "not a status line: '220 hello'"),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", "not a header: 'no header'"),
        (b"HTTP/1.1 200 OK\r\n\r\nbody", "framed by [] and []"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nb", "framed by ['1', '1'] and []"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: one\r\n\r\nb", "framed by ['one'] and []"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nbx", "bytes after the answer: b'x'"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb", ""),
    ],
)
def test_the_client_believes_no_http_that_is_none(raw: bytes, fault: str) -> None:
    received = Received(raw)
    parse(received)
    assert received.fault == fault


@pytest.mark.parametrize(
    ("body", "read", "is_whole"),
    [
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc", True),
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde", True),
        (b"3\r\nabc\r\n0\r\n", b"abc", False),
        (b"3\r\nabc\r\n", b"abc", False),
        (b"3\r\nab", b"ab", False),
        (b"zz\r\nabc", b"", False),
    ],
)
def test_the_client_knows_a_chunked_body_from_its_beginning(body: bytes, read: bytes, *, is_whole: bool) -> None:
    received = Received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body)
    parse(received)
    assert (received.body, received.is_whole) == (read, is_whole)
