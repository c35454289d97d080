"""Whom a caller asks for: each format names its end user in a place of its own, and the usage row has it."""

from __future__ import annotations

from typing import Any

import pytest
from responses_samples import ANSWER
from running_gateway import World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello?"}]}


@pytest.mark.parametrize(
    ("path", "body", "end_user"),
    [
        ("chat/completions", {**ASK, "user": "u1"}, "u1"),
        ("chat/completions", {**ASK, "safety_identifier": "s1"}, "s1"),
        ("chat/completions", {**ASK, "safety_identifier": "s1", "user": "u1"}, "s1"),
        ("chat/completions", {**ASK, "safety_identifier": None, "user": "u1"}, "u1"),
        ("chat/completions", {**ASK, "prompt_cache_key": "k1"}, None),
        ("chat/completions", {**ASK, "metadata": {"user_id": "m1"}}, None),
        ("responses", {"input": "Hello?", "safety_identifier": "s1"}, "s1"),
        ("responses", {"input": "Hello?", "user": "u1", "metadata": {"user_id": "m1"}}, "u1"),
        ("messages", {**ASK, "max_tokens": 9, "metadata": {"user_id": "m1"}}, "m1"),
        ("messages", {**ASK, "max_tokens": 9, "metadata": {"user_id": None}}, None),
        ("messages", {**ASK, "max_tokens": 9, "metadata": {}}, None),
        ("messages", {**ASK, "max_tokens": 9}, None),
    ],
)
def test_the_usage_row_says_for_whom(
    world: World, provider: SimulatedProvider, path: str, body: dict[str, Any], end_user: str | None
) -> None:
    provider.will(Reply.json(ANSWER if path == "responses" else completion("Hi.")))
    assert world.post({"model": "outside", **body}, f"/v1/{path}").status_code == 200
    assert world.records.row().end_user == end_user


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("chat/completions", {**ASK, "safety_identifier": 1}, "`safety_identifier` must be a string"),
        ("messages", {**ASK, "max_tokens": 9, "metadata": {"user_id": 1}}, "must be a string"),
    ],
)
def test_an_end_user_that_is_no_text_is_refused(world: World, path: str, body: dict[str, Any], said: str) -> None:
    answer = world.post({"model": "outside", **body}, f"/v1/{path}")
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
