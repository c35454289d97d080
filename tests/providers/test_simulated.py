"""`builtin/simulated`: scripted, faulty, slow, and the same each time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from headworks.errors import InvalidRequest, UpstreamTruncated
from headworks.providers.contract import Ask
from headworks.providers.simulated import Simulated
from headworks.types.models import Prompt


def ask(question: str, prompt: Prompt | None = None, **more: Any) -> Ask:
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": question}]
    return Ask("chat", "simulated", json.dumps({"messages": messages, **more}).encode(), prompt=prompt)


async def whole(asked: Ask) -> tuple[int, Any]:
    status, _, body = await Simulated().fetch(asked)
    return status, json.loads(body)


async def text_of(asked: Ask) -> str:
    _, body = await whole(asked)
    return str(body["choices"][0]["message"]["content"])


async def streamed(asked: Ask) -> tuple[int, list[Any]]:
    answer = await Simulated().stream(asked)
    body = await answer.read(1_000_000)
    assert answer.complete
    lines = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    return answer.status, [line if line == "[DONE]" else json.loads(line) for line in lines]


async def test_without_a_script_the_question_is_the_answer() -> None:
    assert await text_of(ask("  Hello  there? ")) == "  Hello  there? "


async def test_parts_of_a_message_count_as_its_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert await text_of(ask(parts)) == "ab"  # type: ignore[arg-type]


async def test_the_first_rule_that_fits_speaks() -> None:
    script = [{"when": "a", "answer": "1"}, {"match": "^b+$", "answer": "2"}, {"answer": "3"}]
    assert [await text_of(ask(each, script=script)) for each in ("a", "bb", "ab", "a ")] == ["1", "2", "3", "3"]


async def test_a_feature_s_question_is_what_is_matched() -> None:
    script = [{"when": "Why?", "answer": "Because."}]
    assert await text_of(ask("long prompt … Why?", Prompt((), (), "Why?"), script=script)) == "Because."


async def test_the_same_call_has_the_same_answer() -> None:
    assert await whole(ask("x")) == await whole(ask("x"))
    assert (await whole(ask("x")))[1]["id"] != (await whole(ask("y")))[1]["id"]


async def test_a_stream_says_what_the_whole_says() -> None:
    _, events = await streamed(ask("one two  three\n"))
    pieces = [each["choices"][0]["delta"].get("content") for each in events[:-1]]
    assert "".join(piece or "" for piece in pieces) == "one two  three\n"
    assert events[-1] == "[DONE]"
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert all("finish_reason" in choice for each in events[:-1] for choice in each["choices"])


async def test_usage_comes_when_it_is_asked_for() -> None:
    _, events = await streamed(ask("one two", stream_options={"include_usage": True}))
    assert [each["usage"] for each in events[:-2]] == [None] * (len(events) - 2)
    assert events[-2]["choices"] == []
    assert events[-2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    _, events = await streamed(ask("one two"))
    assert not [each for each in events[:-1] if "usage" in each]


async def test_a_script_says_how_a_stream_is_cut() -> None:
    _, events = await streamed(ask("x", script=[{"answer": "ignored", "pieces": ["a [", "1", "]"]}]))
    assert [each["choices"][0]["delta"].get("content") for each in events[1:4]] == ["a [", "1", "]"]


async def test_errors_are_scripted() -> None:
    asked = ask("x", script=[{"status": 429, "retry_after_s": 7, "answer": "Slow down."}])
    status, headers, body = await Simulated().fetch(asked)
    assert (status, dict(headers)[b"retry-after"]) == (429, b"7")
    assert json.loads(body)["error"] == {
        "message": "Slow down.",
        "type": "server_error",
        "param": None,
        "code": "simulated_429",
    }
    answer = await Simulated().stream(asked)
    assert (answer.status, await answer.read(1000)) == (429, body)


async def test_an_answer_breaks_off_where_the_script_says() -> None:
    asked = ask("x", script=[{"answer": "one two three", "cut_after": 2}])
    answer = await Simulated().stream(asked)
    before = [await anext(answer) for _ in range(3)]
    assert b"two" in before[-1]
    with pytest.raises(UpstreamTruncated):
        await anext(answer)
    with pytest.raises(UpstreamTruncated):
        await Simulated().fetch(asked)


async def test_delays_are_kept() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await whole(ask("x", script=[{"answer": "a b", "delay_s": 0.02, "token_delay_s": 0.02}]))
    assert loop.time() - started >= 0.06


@pytest.mark.parametrize(
    "more", [{"script": [{"match": "("}]}, {"script": [{"anser": "x"}]}, {"script": "x"}, {"messages": "x"}]
)
async def test_a_wrong_script_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="script|read the request"):
        await Simulated().fetch(ask("x", **more) if "script" in more else Ask("chat", "m", json.dumps(more).encode()))
