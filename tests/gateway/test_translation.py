"""Callers of four formats talk with providers of five: nothing is lost in silence, and each reads its own format."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from provider_hall import KINDS, Hall, opened_hall
from running_gateway import World
from spoken_formats import (
    ENCRYPTED,
    PICTURE,
    REPLIES,
    SCHEMA,
    SIGNATURE,
    STOPS,
    Ask,
    Said,
    data_of,
    failure_of,
    response_of,
    understood,
    written,
)

from headworks.formats import unmapped
from headworks.testing.replies import Reply, completion

CALLERS = ("chat", "responses", "messages", "completions")
TALKING = CALLERS[:3]
PAIRS = list(itertools.product(CALLERS, KINDS))
TALKS = list(itertools.product(TALKING, KINDS))
WEATHER = (("weather", {"city": "Basel"}, "12 degrees"), ("weather", {"city": "Bern"}, "9 degrees"))


@pytest.fixture(scope="module")
def hall_of_module(world_of_session: World) -> Iterator[Hall]:
    with opened_hall(world_of_session) as hall:
        yield hall


@pytest.fixture
def hall(hall_of_module: Hall, world: World) -> Hall:
    del world  # as if it had just been started
    return hall_of_module


@pytest.fixture(autouse=True)
def all_is_carried() -> Iterator[None]:
    """Whatever these providers say has a word in every format, or is known to mean nothing there."""
    before = unmapped.counts()
    yield
    assert unmapped.counts() == before


def texts_in(value: Any) -> Iterator[str]:
    """All texts and numbers of a JSON value, names of members too."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)
    else:
        yield str(value)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("surface", "target"), PAIRS)
def test_text_goes_and_comes(hall: Hall, surface: str, target: str, *, streams: bool) -> None:
    ask = Ask("Wie heißt «das»?", "" if surface == "completions" else "Be brief.", streams=streams)
    got = hall.talk(surface, target, ask, Said("Grüezi, 🙂 welt."))
    assert (got.text, got.thought, got.calls, got.stop) == ("Grüezi, 🙂 welt.", "", (), STOPS[surface]["stop"])
    if not (streams and surface in {"chat", "completions"}):  # who did not ask for usage there gets none
        assert got.counted == (10, 5)
    asked = list(texts_in(hall.seen(target).json))
    assert ask.text in asked
    assert not ask.system or ask.system in asked
    row = hall.world.records.row()
    assert (row.status, row.input_tokens, row.output_tokens, row.is_estimated) == (200, 10, 5, False)
    assert (row.surface, row.provider, row.streamed) == (surface, f"to-{target}", streams)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("surface", "target"), TALKS)
def test_parallel_calls_and_their_results_go_and_come(hall: Hall, surface: str, target: str, *, streams: bool) -> None:
    ask = Ask("How is it?", has_tools=True, results=WEATHER, streams=streams)
    calls = (("weather", {"city": "Chur"}), ("weather", {"city": "Genève"}))
    got = hall.talk(surface, target, ask, Said(calls=calls, stop="tool_calls"))
    assert (got.calls, got.stop) == (calls, STOPS[surface]["tool_calls"])
    shown = json.dumps(hall.seen(target).json, ensure_ascii=False)
    for name, args, result in WEATHER:
        assert name in shown
        assert args["city"] in shown
        assert result in shown
    assert "Now." in shown
    assert "additionalProperties" in shown or target == "gemini"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("surface", "target"), TALKS)
def test_a_thought_goes_back_with_its_signature_to_who_thought_it(
    hall: Hall, surface: str, target: str, *, streams: bool
) -> None:
    first = Ask("Think!", streams=streams)
    got = hall.talk(surface, target, first, Said("So.", thought="Hm, well."))
    assert (got.text, got.thought) == ("So.", "Hm, well.")
    opening = written(surface, "m", first)["input" if surface == "responses" else "messages"]
    second = Ask("And?", before=(*opening, *got.turn), streams=streams)
    answer = hall.post(surface, target, second, REPLIES[target](Said("Well.", streams=streams)))
    assert understood(surface, answer.content, streams=streams).text == "Well."
    asked = list(texts_in(hall.seen(target).json))
    assert "So." in asked
    if surface == "messages" and target == "chat":  # unsigned there, so nobody needs it back
        assert answer.headers["x-headworks-ignored"] == "messages[1].thinking"
    else:
        assert {"chat": "Hm, well.", "responses": ENCRYPTED}.get(target, SIGNATURE) in asked


@pytest.mark.parametrize(("surface", "target"), TALKS)
def test_a_schema_arrives_or_is_refused_by_name(hall: Hall, surface: str, target: str) -> None:
    reply = REPLIES[target](Said('{"city_of_schema":"Basel"}'))
    answer = hall.post(surface, target, Ask(schema=SCHEMA), reply)
    assert answer.status_code == 200, answer.text
    assert "city_of_schema" in hall.seen(target).body.decode()


@pytest.mark.parametrize(("surface", "target"), TALKS)
def test_a_picture_arrives(hall: Hall, surface: str, target: str) -> None:
    assert hall.talk(surface, target, Ask(picture=PICTURE), Said("A cat.")).text == "A cat."
    assert PICTURE in hall.seen(target).body.decode()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("surface", "target"), PAIRS)
def test_a_stop_means_the_same(hall: Hall, surface: str, target: str, *, streams: bool) -> None:
    for stop in ("length", "content_filter"):
        got = hall.talk(surface, target, Ask(streams=streams), Said("Half of", stop=stop))
        assert (got.text, got.stop) == ("Half of", STOPS[surface][stop])


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("surface", "target"), PAIRS)
def test_an_error_is_told_in_the_caller_s_format(hall: Hall, surface: str, target: str, *, streams: bool) -> None:
    answer = hall.post(surface, target, Ask(streams=streams), failure_of(target, 429, "Slow down, please."))
    assert answer.status_code == 429
    error = answer.json()
    assert "Slow down, please." in error["error"]["message"]
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-type"] == "application/json"
    if surface == "messages":
        assert (error["type"], error["error"]["type"]) == ("error", "rate_limit_error")
    assert hall.world.records.row().status == 429


@pytest.mark.parametrize(("surface", "target"), PAIRS)
def test_a_stream_that_is_cut_ends_with_an_error_and_no_end(hall: Hall, surface: str, target: str) -> None:
    answer = hall.post(surface, target, Ask(streams=True), REPLIES[target](Said("Half of it", streams=True, cut=True)))
    assert answer.status_code == 200
    said = answer.content
    assert b"Hal" in said
    assert not any(
        end in said for end in (b"[DONE]", b"message_stop", b"response.completed", b'"finish_reason":"stop"')
    )
    last = data_of(said)[-1]
    assert "stream_truncated" in json.dumps(last) or "ended" in json.dumps(last) or "closed" in json.dumps(last), last
    row = hall.world.records.row()
    assert row.status == 502
    assert row.output_tokens
    assert row.is_estimated or target in {"anthropic", "gemini"}


TEXTS: dict[str, dict[str, Any]] = {
    "chat": {"type": "text", "text": "Long rules."},
    "responses": {"type": "input_text", "text": "Long rules."},
    "messages": {"type": "text", "text": "Long rules."},
}
MARKS: dict[str, dict[str, Any]] = {
    "chat": {"cache_control": {"type": "ephemeral"}},
    "responses": {"prompt_cache_breakpoint": {"mode": "explicit"}},
    "messages": {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


def saying(surface: str, *parts: dict[str, Any]) -> Ask:
    """A request whose one turn has these parts."""
    turn = {"role": "user", "content": [*parts]}
    return Ask(more={"input" if surface == "responses" else "messages": [turn]})


def is_named(answer: httpx.Response, word: str) -> bool:
    """Whether the caller is told of what could not be said: refused, or left out as a hint."""
    if answer.status_code == 400:
        return word in json.dumps(answer.json())
    return word in answer.headers.get("x-headworks-ignored", "")


@pytest.mark.parametrize(("surface", "target"), TALKS)
def test_a_cache_marker_arrives_or_is_named(hall: Hall, surface: str, target: str) -> None:
    ask = saying(surface, TEXTS[surface] | MARKS[surface], TEXTS[surface])
    answer = hall.post(surface, target, ask, REPLIES[target](Said("Yes.")))
    assert answer.status_code == 200, answer.text
    word = {"anthropic": "cache_control", "bedrock": "cachePoint", "responses": "prompt_cache_breakpoint"}.get(target)
    if word is None:
        assert is_named(answer, "cache_control") or '"cache_control"' in hall.seen(target).body.decode()
        return
    asked = hall.seen(target).body.decode()
    assert asked.count(f'"{word}"') == 1
    if surface == "messages":  # half a day is the longest of which Responses knows
        assert "1h" in asked or is_named(answer, "ttl")


@pytest.mark.parametrize(("surface", "target"), TALKS)
def test_a_strict_tool_arrives_as_one_or_is_named(hall: Hall, surface: str, target: str) -> None:
    ask = Ask(has_tools=True)
    tools = written(surface, "m", ask)["tools"]
    (tools[0]["function"] if surface == "chat" else tools[0])["strict"] = True
    answer = hall.post(surface, target, Ask(more={"tools": tools}), REPLIES[target](Said("Yes.")))
    if not is_named(answer, "strict"):
        asked = hall.seen(target).body.decode().replace(" ", "")
        assert ("VALIDATED" if target == "gemini" else '"strict":true') in asked


@pytest.mark.parametrize(("surface", "target"), [each for each in TALKS if each[0] != "messages"])
def test_sound_arrives_or_is_refused_by_name(hall: Hall, surface: str, target: str) -> None:
    answer = hall.post(surface, target, saying(surface, TEXTS[surface], SOUND), REPLIES[target](Said("Yes.")))
    if answer.status_code == 200:
        assert SOUND["input_audio"]["data"] in hall.seen(target).body.decode()  # type: ignore[index]
    else:
        assert is_named(answer, "content[1]") or is_named(answer, "audio")


@pytest.mark.parametrize("surface", TALKING)
@pytest.mark.parametrize("target", ["chat", "responses"])
def test_a_refusal_is_told_as_one(hall: Hall, surface: str, target: str) -> None:
    if target == "chat":
        whole = completion("")
        whole["choices"][0]["message"] |= {"content": None, "refusal": "No, I won't."}
    else:
        whole = response_of("No, I won't.")
        whole["output"][0]["content"] = [{"type": "refusal", "refusal": "No, I won't."}]
    answer = hall.post(surface, target, Ask(), Reply.json(whole))
    said = answer.json()
    if surface == "chat":
        assert said["choices"][0]["message"]["refusal"] == "No, I won't."
    elif surface == "responses":
        assert said["output"][0]["content"] == [{"type": "refusal", "refusal": "No, I won't."}]
    else:
        assert (said["content"][0]["text"], said["stop_reason"]) == ("No, I won't.", "refusal")


# ── Nothing is dropped in silence ───────────────────────────────────────────────────────────────────────────────────

COMMON: dict[str, Any] = {"temperature": 0.2718, "top_p": 0.3141}
SETTINGS: dict[str, dict[str, Any]] = {
    "chat": {
        **COMMON,
        "stop": ["HALT"],
        "seed": 424242,
        "presence_penalty": 0.1618,
        "frequency_penalty": 0.5772,
        "logit_bias": {"77777": 1},
        "logprobs": True,
        "user": "user-sentinel",
        "service_tier": "flex",
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "verbosity": "low",
        "prompt_cache_key": "cache-sentinel",
        "metadata": {"k": "meta-sentinel"},
        "of_the_future": "future-sentinel",
    },
    "responses": {
        **COMMON,
        "user": "user-sentinel",
        "service_tier": "flex",
        "reasoning": {"effort": "low"},
        "truncation": "auto",
        "metadata": {"k": "meta-sentinel"},
        "prompt_cache_key": "cache-sentinel",
        "max_tool_calls": 3,
        "of_the_future": "future-sentinel",
    },
    "messages": {
        **COMMON,
        "top_k": 1717,
        "stop_sequences": ["HALT"],
        "metadata": {"user_id": "user-sentinel"},
        "service_tier": "standard_only",
        "thinking": {"type": "enabled", "budget_tokens": 1033},
        "container": "container-sentinel",
        "of_the_future": "future-sentinel",
    },
    "completions": {
        **COMMON,
        "stop": ["HALT"],
        "seed": 424242,
        "suffix": "suffix-sentinel",
        "echo": True,
        "logprobs": 2,
        "user": "user-sentinel",
        "logit_bias": {"77777": 1},
        "of_the_future": "future-sentinel",
    },
}
SAID_OTHERWISE = {
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
    "service_tier",
    "reasoning",
    "thinking",
    "logprobs",
}
"""What other formats have their own values for: the word of the value need not arrive."""


@pytest.mark.parametrize(("surface", "target"), PAIRS)
def test_each_setting_arrives_or_is_named(hall: Hall, surface: str, target: str) -> None:
    plain = hall.post(surface, target, Ask(), REPLIES[target](Said("Yes.")))
    assert (plain.status_code, plain.headers.get("x-headworks-ignored")) == (200, None), plain.text
    usual = hall.seen(target).json
    for name, value in SETTINGS[surface].items():
        ask = Ask(more={name: value}, has_tools=name == "parallel_tool_calls")
        answer = hall.post(surface, target, ask, REPLIES[target](Said("Yes.")))
        ignored = answer.headers.get("x-headworks-ignored", "").split(", ")
        if answer.status_code == 400:
            assert name in json.dumps(answer.json()), (name, answer.text)
            continue
        assert answer.status_code == 200, (name, answer.text)
        if name in {each.partition(".")[0] for each in ignored}:
            continue
        asked = hall.seen(target).json
        assert asked != usual, f"`{name}` was dropped in silence"
        wanted = list(texts_in(value))[-1]
        assert name in SAID_OTHERWISE or wanted in list(texts_in(asked)), (name, asked)
