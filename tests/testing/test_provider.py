"""The simulated provider does what it is told: tests stand on it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion, streamed

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(script=[{"when": "Hello?", "answer": "Hi [1]."}]) as running:
        yield running


@pytest.fixture
def client(provider: SimulatedProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.url, api_key="any", max_retries=0) as made:
        yield made


def test_it_answers_by_its_script(provider: SimulatedProvider, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="m", messages=ASK)
    assert answer.choices[0].message.content == "Hi [1]."
    chunks = client.chat.completions.create(model="m", messages=ASK, stream=True)
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == "Hi [1]."
    assert [each.id for each in client.models.list()] == ["simulated"]
    made = client.embeddings.create(model="m", input=["a", "a", "b"])
    assert made.data[0].embedding == made.data[1].embedding != made.data[2].embedding
    assert [seen.path for seen in provider.seen] == [
        "/v1/chat/completions",
        "/v1/chat/completions",
        "/v1/models",
        "/v1/embeddings",
    ]


def test_it_says_what_it_is_told_in_that_order(provider: SimulatedProvider, client: openai.OpenAI) -> None:
    provider.will(Reply.error(429, retry_after="7"), Reply.json(completion("Second.")))
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="m", messages=ASK)
    assert refused.value.response.headers["retry-after"] == "7"
    assert client.chat.completions.create(model="m", messages=ASK).choices[0].message.content == "Second."


def test_it_remembers_what_it_was_asked(provider: SimulatedProvider, client: openai.OpenAI) -> None:
    client.chat.completions.create(model="m", messages=ASK, extra_headers={"x-a": "b"})
    assert provider.last.json["messages"] == ASK
    assert provider.last.headers["x-a"] == "b"
    assert provider.last.wait_until_ended() == "answered"


@pytest.mark.parametrize("reply", [Reply.hang_up(), Reply.events([chunk("x")], end="cut")])
def test_it_breaks_off(provider: SimulatedProvider, reply: Reply) -> None:
    provider.will(reply)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{provider.url}/chat/completions", json={})
    assert provider.last.wait_until_ended() == "cut"


def test_it_notices_who_leaves(provider: SimulatedProvider) -> None:
    provider.will(Reply.silence())
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{provider.url}/chat/completions", json={}, timeout=0.2)
    assert provider.last.wait_until_ended() == "abandoned"
    provider.will(Reply.events(streamed("a", "b", "c"), gap_s=5))
    with httpx.stream("POST", f"{provider.url}/chat/completions", json={}) as answer:
        assert next(answer.iter_raw())
    assert provider.last.wait_until_ended() == "abandoned"


def test_waiting_for_what_never_comes_ends(provider: SimulatedProvider) -> None:
    with pytest.raises(TimeoutError, match="only 0 requests"):
        provider.wait_for_request(timeout_s=0.05)


def test_a_taken_port_is_an_error(provider: SimulatedProvider) -> None:
    port = int(provider.url.split(":")[2].partition("/")[0])
    with pytest.raises(OSError, match="in use"):
        SimulatedProvider(port).start()


def test_it_runs_from_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "rules.json"
    script.write_text(json.dumps([{"match": "Hello", "answer": "From a file."}]))
    command = [sys.executable, "-m", "headworks.testing.provider", "--port", "0", "--script", str(script)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        with openai.OpenAI(base_url=url, api_key="any") as client:
            answer = client.chat.completions.create(model="m", messages=ASK)
        assert answer.choices[0].message.content == "From a file."
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stdout is not None
        process.stdout.close()
