"""What passes through walks the route's chain: classes of failures, retries within their budget, `retry-after`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from running_gateway import World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply

PICTURE = {"created": 1, "data": []}
SOUND = b"RIFF" + bytes(2000)


def draw(world: World, model: str) -> Any:
    return world.post({"model": model, "prompt": "A canal"}, "/v1/images/generations")


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 429, 500, 503, 504])
def test_another_target_is_asked_for_every_failure_that_is_not_the_caller_s(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, status: int
) -> None:
    provider.will(Reply.error(status, "No."))
    other.will(Reply.json(PICTURE))
    answer = draw(world, "pair")
    assert (answer.status_code, answer.json()) == (200, PICTURE)
    assert answer.headers["x-headworks-attempts"] == "2"
    row = world.records.row()
    assert (row.attempts, row.provider, row.model, row.status) == (2, "other", "m2", 200)


@pytest.mark.parametrize("status", [400, 422])
def test_what_the_caller_has_wrong_is_told_by_the_first_target(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, status: int
) -> None:
    wrong = {"message": "`size` is wrong.", "type": "invalid_request_error", "param": "size", "code": None}
    provider.will(Reply.json({"error": wrong}, status))
    answer = draw(world, "pair")
    assert (answer.status_code, answer.json()) == (status, {"error": wrong})
    assert "x-headworks-attempts" not in answer.headers
    assert not other.seen


def test_a_route_with_retries_asks_the_same_target_again(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.error(503), Reply.error(429, retry_after="0.01"), Reply.raw(SOUND))
    answer = world.post({"model": "trying", "input": "x", "voice": "alloy"}, "/v1/audio/speech")
    assert answer.content == SOUND
    assert [seen.json for seen in provider.seen] == [{"model": "m1", "input": "x", "voice": "alloy"}] * 3
    assert world.records.row().attempts == 3


def test_a_form_is_sent_again_as_it_was(world: World, provider: SimulatedProvider, other: SimulatedProvider) -> None:
    provider.will(*(Reply.error(503) for _ in range(3)))
    other.will(Reply.json({"text": "Hello."}))
    heard = world.client().audio.transcriptions.create(model="trying", file=("a.wav", SOUND, "audio/wav"))
    assert heard.text == "Hello."
    assert len({seen.body for seen in provider.seen}) == 1
    assert len(provider.seen) == 3
    assert other.last.body == provider.last.body.replace(b"\r\n\r\nm1\r\n", b"\r\n\r\nm2\r\n")


def test_a_provider_that_wants_to_be_left_alone_for_long_is(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.error(429, retry_after="60"))
    other.will(Reply.json(PICTURE))
    assert draw(world, "trying").status_code == 200
    assert (len(provider.seen), len(other.seen)) == (1, 1)


def test_a_route_says_which_failures_lead_on(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.error(500, "Down."))
    assert draw(world, "widening").status_code == 500
    provider.will(Reply.error(400, "Too long.", code="context_length_exceeded"))
    other.will(Reply.json(PICTURE))
    assert draw(world, "widening").status_code == 200
    assert other.last.json["model"] == "m9"


@pytest.mark.parametrize("path", ["files", "batches"])
def test_what_is_made_twice_where_it_is_asked_twice_is_asked_once(
    world: World, provider: SimulatedProvider, path: str
) -> None:
    provider.will(Reply.error(503, "Down."))
    key = {"authorization": f"Bearer {world.admin_key}", "x-headworks-provider": "outside"}
    answer = httpx.post(f"{world.url}/v1/{path}", json={}, headers=key)
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "Down.")
    assert len(provider.seen) == 1
