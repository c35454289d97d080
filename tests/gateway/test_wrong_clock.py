"""A server whose clock is wrong: keys end by PostgreSQL's, at the door and in the middle of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import psycopg
import pytest
from running_gateway import World
from wrong_clock import A_DAY_OFF, set_clock

from headworks.storage.embedded import Cluster
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]
SetExpiry = Callable[[str, str], None]


@pytest.fixture
def set_expiry(world: World, cluster: Cluster) -> Iterator[SetExpiry]:
    """Lets the key of a token end so long from now, by PostgreSQL's clock."""
    with psycopg.connect(cluster.url(world.database_name), autocommit=True) as connection:

        def update(name: str, span: str) -> None:
            changed = connection.execute(
                "UPDATE headworks.api_key SET expires_at = now() + %s::interval WHERE name = %s", [span, name]
            )
            assert changed.rowcount == 1
            world.settle()

        yield update


def ask(world: World, key: str) -> list[httpx.Response]:
    """By the door of models, and by that of everything else."""
    asked = world.post({"model": "builtin/simulated", "messages": ASK}, key=key)
    return [asked, httpx.get(f"{world.url}/v1/models", headers={"authorization": f"Bearer {key}"})]


@A_DAY_OFF
def test_a_key_ends_by_the_clock_of_the_database(
    world: World, set_expiry: SetExpiry, monkeypatch: pytest.MonkeyPatch, off_s: int
) -> None:
    key = world.key(name=f"off by {off_s}")
    set_clock(monkeypatch, off_s)
    world.settle()
    set_expiry(f"off by {off_s}", "1 hour")
    assert [each.status_code for each in ask(world, key)] == [200, 200]
    set_expiry(f"off by {off_s}", "-1 second")
    refused = ask(world, key)
    assert [each.status_code for each in refused] == [401, 401]
    assert {each.json()["error"]["code"] for each in refused} == {"expired_api_key"}


@A_DAY_OFF
def test_the_clock_may_be_set_while_a_stream_is_on_its_way(
    world: World,
    provider: SimulatedProvider,
    set_expiry: SetExpiry,
    monkeypatch: pytest.MonkeyPatch,
    off_s: int,
) -> None:
    monkeypatch.setattr("headworks.gateway.answering.RECHECK_S", 0.05)
    key = world.key(name=f"of a stream off by {off_s}")
    provider.will(Reply.events([chunk("One"), *[chunk("more")] * 400], gap_s=0.02))
    stream = world.client(key).chat.completions.create(model="outside", messages=ASK, stream=True)
    set_clock(monkeypatch, off_s)
    set_expiry(f"of a stream off by {off_s}", "1 hour")
    for _ in range(20):
        assert next(stream).choices, "it goes on"
    set_expiry(f"of a stream off by {off_s}", "-1 second")
    with pytest.raises(openai.APIError) as ended:
        list(stream)
    assert ended.value.code == "expired_api_key"
