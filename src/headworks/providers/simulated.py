"""`builtin/simulated`: scripted answers, faults, delays. The same call always has the same answer.

The script stands in the target's parameters (or in the request, as a field of the same name):

    targets:
      - target: builtin/simulated
        parameters:
          script:
            - {when: "What is the deductible?", answer: "It is 500 francs [1]."}
            - {match: "(?i)fail", status: 503}
            - {match: "slow", answer: "one two three", delay_s: 0.2, token_delay_s: 0.1}
            - {match: "cut", answer: "one two three", cut_after: 2}

The first rule that fits speaks; a rule with neither `when` nor `match` fits always; without one, the question is
the answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import re2

from headworks.errors import InvalidRequest, UpstreamTruncated
from headworks.providers.contract import Ask
from headworks.providers.openai_format import (
    EVENT_HEADERS,
    JSON_HEADERS,
    Counts,
    LocalAnswer,
    Reply,
    error_body,
    paced,
)
from headworks.providers.responses import Headers

_TOKEN = re.compile(r"\s*\S+|\s+$")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule of a script. `when` is the whole question, `match` a pattern (RE2) looked for in it.

    `pieces` says how a streamed answer is cut; else it is cut at words. `delay_s` comes before the answer,
    `token_delay_s` between pieces; `status` is an error's; after `cut_after` pieces the answer breaks off.
    """

    when: str | None = None
    match: str | None = None
    answer: str | None = None
    pieces: tuple[str, ...] | None = None
    finish_reason: str = "stop"
    delay_s: float = 0.0
    token_delay_s: float = 0.0
    status: int = 200
    retry_after_s: int | None = None
    cut_after: int | None = None

    def fits(self, question: str) -> bool:
        """Whether this rule speaks to that question."""
        if self.when is not None:
            return self.when == question
        return self.match is None or re2.search(self.match, question) is not None

    def pieces_for(self, question: str) -> list[str]:
        """The answer in the pieces of its stream."""
        if self.pieces is not None:
            return list(self.pieces)
        return [found.group() for found in _TOKEN.finditer(question if self.answer is None else self.answer)]


class _Message(msgspec.Struct):
    role: str
    content: Any = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Request(msgspec.Struct):
    messages: list[_Message]
    script: list[Rule] = []
    stream_options: _StreamOptions | None = None


class Simulated:
    """The model."""

    async def fetch(self, ask: Ask) -> tuple[int, Headers, bytes]:
        """See contract.Provider."""
        request = _read(ask)
        question = question_of(ask, request.messages)
        rule = rule_for(request.script, question)
        pieces = rule.pieces_for(question)
        await asyncio.sleep(rule.delay_s + rule.token_delay_s * len(pieces))
        if rule.status >= 400:
            return rule.status, error_headers(rule), error_text(rule)
        if rule.cut_after is not None:
            raise UpstreamTruncated("The simulated answer broke off, as its script says.")
        return 200, JSON_HEADERS, _reply(ask, request, rule, pieces).as_completion()

    async def stream(self, ask: Ask) -> LocalAnswer:
        """See contract.Provider."""
        request = _read(ask)
        question = question_of(ask, request.messages)
        rule = rule_for(request.script, question)
        if rule.status >= 400:
            await asyncio.sleep(rule.delay_s)
            return LocalAnswer(rule.status, error_headers(rule), paced([error_text(rule)]))
        options = request.stream_options
        reply = _reply(ask, request, rule, rule.pieces_for(question))
        events = reply.as_events(with_usage=options is not None and options.include_usage is True)
        return LocalAnswer(200, EVENT_HEADERS, _performed(rule, events))


async def _performed(rule: Rule, events: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The events with the rule's delays, and its cut."""
    wanted = events if rule.cut_after is None else itertools.islice(events, rule.cut_after + 1)
    async for each in paced(wanted, rule.delay_s, rule.token_delay_s):
        yield each
    if rule.cut_after is not None:
        raise UpstreamTruncated("The simulated answer broke off, as its script says.")


def rule_for(script: list[Rule], question: str) -> Rule:
    """The first rule that fits, or the echo."""
    try:
        return next((rule for rule in script if rule.fits(question)), Rule())
    except re2.error as error:
        raise InvalidRequest(f"A pattern of the simulated script is wrong: {error}.", param="script") from None


def error_headers(rule: Rule) -> Headers:
    """The head of a scripted error."""
    if rule.retry_after_s is None:
        return JSON_HEADERS
    return [*JSON_HEADERS, (b"retry-after", b"%d" % rule.retry_after_s)]


def error_text(rule: Rule) -> bytes:
    """The body of a scripted error."""
    return error_body(rule.answer or "A simulated failure.", "server_error", f"simulated_{rule.status}")


def question_of(ask: Ask, messages: list[_Message]) -> str:
    """What a feature was asked, else the text of the last user message."""
    if ask.prompt is not None and ask.prompt.question:
        return ask.prompt.question
    return next((text_of(each.content) for each in reversed(messages) if each.role == "user"), "")


def text_of(content: Any) -> str:  # noqa: ANN401 -- any JSON value
    """The text of a message's content: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return ""


def _read(ask: Ask) -> _Request:
    try:
        return msgspec.json.decode(ask.body, type=_Request)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"builtin/simulated can't read the request: {error}.") from None


def _reply(ask: Ask, request: _Request, rule: Rule, pieces: list[str]) -> Reply:
    words = sum(len(text_of(each.content).split()) for each in request.messages)
    identity = hashlib.sha256(ask.body).hexdigest()[:24]
    counts = Counts(prompt=max(words, 1), completion=len(pieces))
    return Reply(f"chatcmpl-{identity}", ask.model, pieces, rule.finish_reason, counts)
