"""OpenAI's, Anthropic's and Vercel's JavaScript clients through us: each script runs once, its lines are read here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from answering_providers import BEGUN, DEGREES, GAVE_UP, WAIT_S
from client_stage import Stage

TARGETS = ("gpt", "claude", "gemini", "bedrock")
WAYS = ("responses", "chat", "compatible")
"""Vercel's providers."""
BOTH = [{"city": "Basel"}, {"city": "Bern"}]
Saw = Mapping[tuple[str, str], Any]


@pytest.fixture(scope="module")
def openai(stage: Stage, node_clients: Path) -> Saw:
    return stage.run(["node", node_clients / "openai_client.mjs"])


@pytest.fixture(scope="module")
def anthropic(stage: Stage, node_clients: Path) -> Saw:
    return stage.run(["node", node_clients / "anthropic_client.mjs"])


@pytest.fixture(scope="module")
def vercel(stage: Stage, node_clients: Path) -> Saw:
    return stage.run(["node", node_clients / "vercel_client.mjs"])


@pytest.mark.parametrize("model", TARGETS)
def test_openai_chats(openai: Saw, model: str) -> None:
    assert openai["chat", model] == {"text": "You said: Hi.", "end": "stop", "total": 15}
    assert openai["stream", model] == {"text": "You said: Hi there.", "end": ["stop"], "counted": True}
    assert openai["tools", model] == {"text": DEGREES, "ran": ["Basel", "Bern"]}
    assert openai["schema", model] == {"city": "Basel", "degrees": 12.5}


@pytest.mark.parametrize("model", TARGETS)
def test_openai_responds(openai: Saw, model: str) -> None:
    assert openai["respond", model] == {"text": "You said: Hi.", "end": "completed"}
    seen = openai["respond_stream", model]
    assert seen == {"first": "response.created", "last": "response.completed", "calls": BOTH}


@pytest.mark.parametrize("model", TARGETS)
def test_openai_is_refused_and_leaves(stage: Stage, openai: Saw, model: str) -> None:
    assert (openai["overloaded", model]["raised"], openai["overloaded", model]["status"]) == ("RateLimitError", 429)
    assert stage.is_abandoned(model, f"slowly, node openai to {model}")


@pytest.mark.parametrize("model", TARGETS)
def test_openai_hears_how_a_stream_breaks(openai: Saw, model: str) -> None:
    for way in ("", "respond_"):
        broken = openai[f"{way}broken", model]
        assert (broken["text"], broken["raised"], broken["code"]) == (BEGUN, "APIError", "stream_truncated")
    failed = openai["failed", model]
    assert (failed["text"], failed["raised"], failed["message"]) == (BEGUN, "APIError", GAVE_UP)
    failed = openai["respond_failed", model]
    assert failed["text"] == BEGUN
    assert ([failed["message"]] if "raised" in failed else failed["told"]) == [GAVE_UP]


def test_openai_is_told_about_names_and_keys(openai: Saw) -> None:
    assert (openai["unknown", "claud"]["raised"], openai["unknown", "claud"]["code"]) == (
        "NotFoundError",
        "model_not_found",
    )
    assert "Near names: claude" in openai["unknown", "claud"]["message"]
    assert openai["stranger", "gpt"]["raised"] == "AuthenticationError"


@pytest.mark.parametrize("model", TARGETS)
def test_anthropic_talks(anthropic: Saw, model: str) -> None:
    assert anthropic["chat", model] == {"text": "You said: Hi.", "end": "end_turn", "output": 5}
    seen = anthropic["stream", model]
    assert seen == {"text": "You said: Hi there.", "end": "end_turn", "first": "message_start", "last": "message_stop"}
    assert anthropic["tools", model] == {"calls": BOTH, "end": "tool_use", "text": DEGREES}
    assert anthropic["schema", model] == {"city": "Basel", "degrees": 12.5}


@pytest.mark.parametrize("model", TARGETS)
def test_anthropic_is_refused_and_leaves(stage: Stage, anthropic: Saw, model: str) -> None:
    assert (anthropic["overloaded", model]["raised"], anthropic["overloaded", model]["status"]) == (
        "RateLimitError",
        429,
    )
    assert stage.is_abandoned(model, f"slowly, node anthropic to {model}")


@pytest.mark.parametrize("model", TARGETS)
def test_anthropic_hears_how_a_stream_breaks(anthropic: Saw, model: str) -> None:
    broken, failed = anthropic["broken", model], anthropic["failed", model]
    assert (broken["text"], broken["raised"]) == (failed["text"], failed["raised"]) == (BEGUN, "APIError")
    assert "closed the connection in the middle of its answer" in broken["message"]
    assert GAVE_UP in failed["message"]


def test_anthropic_is_told_about_names_and_keys(anthropic: Saw) -> None:
    assert anthropic["unknown", "claud"]["raised"] == "NotFoundError"
    assert "Near names: claude" in anthropic["unknown", "claud"]["message"]
    assert anthropic["stranger", "claude"]["raised"] == "AuthenticationError"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", TARGETS)
def test_vercel_talks(vercel: Saw, way: str, model: str) -> None:
    assert vercel[f"{way} text", model] == {"text": "You said: Hi.", "end": "stop", "total": 15}
    assert vercel[f"{way} stream", model] == {"text": "You said: Hi there.", "end": "stop", "failed": []}
    assert vercel[f"{way} tools", model] == {"text": DEGREES, "ran": ["Basel", "Bern"]}
    assert vercel[f"{way} schema", model] == {"city": "Basel", "degrees": 12.5}


@pytest.mark.parametrize("model", TARGETS)
def test_vercel_names_what_was_stored(vercel: Saw, model: str) -> None:
    assert vercel["stored tools", model] == {"text": DEGREES, "ran": ["Basel", "Bern"]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", TARGETS)
def test_vercel_is_refused_and_leaves(stage: Stage, vercel: Saw, way: str, model: str) -> None:
    assert vercel[f"{way} overloaded", model]["status"] == 429
    assert stage.is_abandoned(model, f"slowly, vercel {way} to {model}")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", TARGETS)
def test_vercel_hears_how_a_stream_breaks(vercel: Saw, way: str, model: str) -> None:
    broken, failed = vercel[f"{way} broken", model], vercel[f"{way} failed", model]
    assert (broken["text"], broken["end"]) == (failed["text"], failed["end"]) == (BEGUN, "error")
    assert [each["code"] for each in broken["errors"]] == ["stream_truncated"]
    assert [each["message"] for each in failed["errors"]] == [GAVE_UP]


def test_vercel_is_told_about_names(vercel: Saw) -> None:
    assert vercel["unknown", "claud"]["status"] == 404
    assert "Near names: claude" in vercel["unknown", "claud"]["message"]


@pytest.mark.parametrize("model", ["gpt", "claude"])
@pytest.mark.parametrize("who", ["node-openai", "node-anthropic", *(f"vercel-{way}" for way in WAYS)])
def test_each_tries_again_when_it_was_told_to(
    request: pytest.FixtureRequest, stage: Stage, who: str, model: str
) -> None:
    name, _, way = who.removeprefix("node-").partition("-")
    words = f"busy {who}-{model} now"
    assert request.getfixturevalue(name)[f"{way} retry".strip(), model] == {"text": f"You said: {words}"}
    first, second = stage.seen(model, words)
    assert second.arrived_at - first.arrived_at >= WAIT_S
