"""Texts that are cut off and gone on with: what the caller gets is held against what the providers wrote down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from fault_cases import Case
from fault_surfaces import SURFACES, Surface
from hearing import STREAMED, Heard, events_of, hear_stream
from raw_client import Received, request_of, send
from running_server import eventually, start_server
from upstream_log import Seen, UpstreamLog
from wall import TOTAL_S, faulty_provider

CUT = (
    "cut-after-tokens",
    "cut-in-a-character",
    "cut-in-an-event",
    "end-in-an-event",
    "end-without-finish",
    "error-after-tokens",
    "error-then-cut",
    "error-then-terminal",
    "html-after-tokens",
    "bad-chunk-after-tokens",
    "stall-after-tokens",
    "reset-after-tokens",
    "all-at-once-then-error",
)
"""After which another target goes on."""
LEFT = ("call-cut", "garbage-after-tokens")
"""After which there is nothing that could be gone on with: a call, and what can't be read."""
WHOLE = ("good", "finish-length", "cut-after-finish", "usage-missing", "split-utf8", "stall-after-finish")
"""These have an end of their own."""
CHAINS = {"two": "* good", "three": "* * good", "down": "* status-503 good", "nobody": "* status-503"}
NAMES = ("chat-stream", "chat-stream-usage", "messages-stream", "chat-over-anthropic-stream")
SERVED = tuple(next(each for each in SURFACES if each.name == name) for name in NAMES)
LABEL = b": x-headworks-continued: "
SETTINGS = {
    "HEADWORKS_GATEWAY_DEADLINES_IDLE_S": "2",
    "HEADWORKS_GATEWAY_DEADLINES_TOTAL_S": str(TOTAL_S),
    "HEADWORKS_RECORDS_BATCH_MS": "50",
}


@dataclass
class Told:
    """All that is known of one request."""

    received: Received
    seen: list[Seen]
    row: dict[str, Any]
    surface: Surface

    @property
    def heard(self) -> Heard:
        return hear_stream(self.received.body, STREAMED[self.surface.inbound])

    @property
    def values(self) -> list[Any]:
        """The events' JSON."""
        return [json.loads(data) for _, data in events_of(self.received.body)[0] if data.startswith("{")]


Played = dict[tuple[str, str, str], Told]


def route(surface: Surface, kind: str, chain: str) -> str:
    return f"{surface.family}-{kind}-{chain}"


def workspace(ports: dict[str, int]) -> dict[str, str]:
    kinds = [*CUT, *LEFT, *WHOLE, "status-503"]
    accounts = "".join(
        f"  {account}-{kind}: {{kind: {account}, base_url: 'http://127.0.0.1:{ports['main']}/{kind}/v1'}}\n"
        for account in ("openai", "anthropic")
        for kind in kinds
    )
    routes = ""
    for surface in SERVED:
        for kind, chain in ((kind, chain) for kind in kinds for chain in CHAINS):
            said = CHAINS[chain].replace("*", kind).split()
            targets = ", ".join(
                f"{{target: {surface.account}-{each}/{surface.model}, parameters: {{top_p: 0.{at + 1}}}}}"
                for at, each in enumerate(said)
            )
            routes += f"  {route(surface, kind, chain)}: {{targets: [{targets}], continue_after_output: true}}\n"
    unique = "".join(dict.fromkeys(routes.splitlines(keepends=True)))
    return {"providers.yaml": "providers:\n" + accounts, "routes.yaml": "routes:\n" + unique}


def wanted() -> Iterator[tuple[Surface, str, str]]:
    for surface in SERVED:
        for kind in (*CUT, *LEFT, *WHOLE):
            yield surface, kind, "two"
        for chain in ("three", "down", "nobody"):
            for kind in ("cut-in-an-event", "error-then-terminal"):
                yield surface, kind, chain


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("continuation")
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    with faulty_provider(folder) as (ports, log):
        server = start_server(folder / "server", None, **SETTINGS)
        server.apply(workspace(ports))
        eventually(lambda: server.ask(route(SERVED[0], "good", "two"), "ready?")[0] != 404)
        asked = list(wanted())
        answers = asyncio.run(_ask_all(server.url, server.admin_key, asked))
        yield {
            (surface.name, kind, chain): _told(surface, kind, chain, received, log, server)
            for (surface, kind, chain), received in zip(asked, answers, strict=True)
        }
        assert server.stop() == 0, server.log.read_text()


def _told(surface: Surface, kind: str, chain: str, received: Received, log: UpstreamLog, server: Any) -> Told:
    case = Case(kind, chain, surface)
    log.wait_for(lambda: all(each.is_over for each in log.of(case.id)), 10.0)
    row = server.trace(received.one("x-headworks-trace"))["usage"]
    return Told(received, log.of(case.id), row, surface)


async def _ask_all(url: str, key: str, asked: list[tuple[Surface, str, str]]) -> list[Received]:
    turns = asyncio.Semaphore(24)
    place = urlsplit(url)
    assert place.hostname
    assert place.port

    async def one(surface: Surface, kind: str, chain: str) -> Received:
        body = surface.ask(Case(kind, chain, surface).id, route(surface, kind, chain))
        request = request_of(surface.path, key, body, place.netloc)
        async with turns:
            return await send(str(place.hostname), int(place.port or 0), request, limit_s=60)

    return list(await asyncio.gather(*(one(*each) for each in asked)))


def check_told_on(told: Told, kinds: list[str]) -> None:
    """Every token once and in order, one answer, and both halves in the record."""
    heard, seen, row = told.heard, told.seen, told.row
    spoke = [each for each in seen if each.tokens]
    assert [each.kind for each in seen] == kinds
    assert heard.text == "".join(each.text for each in spoke)
    assert not heard.wrong
    assert not heard.unread
    assert (heard.error, heard.reason, heard.is_done) == (None, seen[-1].reason, True)
    assert told.received.body.count(LABEL) == len(spoke) - 1
    assert (row["status"], row["error_code"], row["attempts"]) == (200, None, len(seen))
    assert row["continuations"] == len(spoke) - 1
    assert row["is_estimated"]
    assert row["cost_micro_usd"]
    assert row["output_tokens"] >= sum(len(each.tokens) for each in seen)
    assert seen[-1].counts is not None
    assert row["input_tokens"] > seen[-1].counts[0]
    check_is_one_answer(told)
    for at, after in enumerate(spoke[1:], 1):
        so_far = "".join(each.text for each in spoke[:at])
        said = json.loads(after.body)["messages"][-2]
        text = said["content"] if isinstance(said["content"], str) else said["content"][0]["text"]
        assert (said["role"], text) == ("assistant", so_far)


def check_is_one_answer(told: Told) -> None:
    """One start, one id, one model, whoever tells it."""
    values = told.values
    if told.surface.inbound == "messages":
        assert [each["type"] for each in values].count("message_start") == 1
        assert [each["type"] for each in values].count("content_block_start") == 1
        assert [each["type"] for each in values].count("content_block_stop") == 1
        return
    assert len({(each["id"], each["model"], each["created"]) for each in values}) == 1
    roles = [choice["delta"].get("role") for each in values for choice in each["choices"]]
    assert [role for role in roles if role] == ["assistant"]


def check_bytes_before(told: Told) -> None:
    """Up to the label the caller has what the first provider sent, byte for byte."""
    if not told.surface.is_native or told.surface.name == "chat-stream":  # whose traces of usage are taken out
        return
    before = told.received.body.partition(LABEL)[0]
    assert before
    assert told.seen[0].sent.startswith(before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", CUT)
def test_no_token_is_lost_or_doubled_where_another_target_goes_on(played: Played, name: str, kind: str) -> None:
    told = played[name, kind, "two"]
    if kind == "reset-after-tokens" and told.heard.text != "".join(each.text for each in told.seen):
        # What lay in the socket when it was reset is lost with it: nobody has seen it.
        assert told.seen[0].text.startswith(told.heard.text[: -len(told.seen[1].text)])
        return
    check_told_on(told, [kind, "good"])
    check_bytes_before(told)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["cut-in-an-event", "error-then-terminal"])
def test_it_may_happen_twice(played: Played, name: str, kind: str) -> None:
    check_told_on(played[name, kind, "three"], [kind, kind, "good"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["cut-in-an-event", "error-then-terminal"])
def test_who_fails_before_it_goes_on_is_passed_over(played: Played, name: str, kind: str) -> None:
    check_told_on(played[name, kind, "down"], [kind, "status-503", "good"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["cut-in-an-event", "error-then-terminal"])
def test_where_nobody_goes_on_the_caller_is_told_what_cut_it_off(played: Played, name: str, kind: str) -> None:
    told = played[name, kind, "nobody"]
    heard, row = told.heard, told.row
    assert heard.text == told.seen[0].text
    assert heard.error is not None
    assert (heard.reason, heard.wrong) == (None, [])
    assert LABEL not in told.received.body
    assert (row["attempts"], row["continuations"]) == (2, 0)
    assert row["error_code"]
    assert row["output_tokens"] >= len(told.seen[0].tokens)
    assert row["cost_micro_usd"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", LEFT)
def test_what_can_not_be_gone_on_with_ends_with_its_error(played: Played, name: str, kind: str) -> None:
    told = played[name, kind, "two"]
    if kind == "garbage-after-tokens" and not told.surface.is_native:
        check_told_on(told, [kind, "good"])  # the caller has not got what can't be read
        return
    assert [each.kind for each in told.seen] == [kind]
    assert told.heard.error is not None
    assert told.heard.text == told.seen[0].text
    assert told.row["continuations"] == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", WHOLE)
def test_an_answer_that_has_ended_is_nobody_else_s(played: Played, name: str, kind: str) -> None:
    told = played[name, kind, "two"]
    assert [each.kind for each in told.seen] == [kind]
    assert (told.heard.text, told.heard.reason) == (told.seen[0].text, told.seen[0].reason)
    assert told.heard.error is None
    assert LABEL not in told.received.body
    assert (told.row["status"], told.row["continuations"]) == (200, 0)
