"""Damage done to what a right gateway has answered and recorded: what the oracle has to hear, in every format."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from expectations import Evidence

Damage = Callable[[Evidence], Evidence]

_FINISHED: Mapping[str, bytes] = {
    "chat": b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n",
    "messages": b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "responses": b'event: response.completed\ndata: {"type":"response.completed","response":{"status":"completed",'
    b'"output":[]}}\n\n',
}
_COUNTED = re.compile(rb'"(input_tokens|output_tokens|prompt_tokens|completion_tokens)": ?\d+')


def _events(evidence: Evidence) -> list[bytes]:
    *whole, rest = evidence.received.body.split(b"\n\n")
    assert rest == b""
    return [each + b"\n\n" for each in whole]


def _with(evidence: Evidence, *events: bytes) -> Evidence:
    return replace(evidence, received=replace(evidence.received, body=b"".join(events)))


def _token(evidence: Evidence, number: int) -> int:
    """Where the event is that has this one token, and no other."""
    (at,) = [at for at, each in enumerate(_events(evidence)) if re.findall(rb"t\d+\.(\d+) ", each) == [b"%d" % number]]
    return at


def _doubled(evidence: Evidence) -> Evidence:
    events, at = _events(evidence), _token(evidence, 2)
    return _with(evidence, *events[: at + 1], *events[at:])


def _dropped(number: int) -> Damage:
    def drop(evidence: Evidence) -> Evidence:
        events, at = _events(evidence), _token(evidence, number)
        return _with(evidence, *events[:at], *events[at + 1 :])

    return drop


def _invented(evidence: Evidence) -> Evidence:
    """A good end where there was an error."""
    return _with(evidence, *_events(evidence)[:-1], _FINISHED[evidence.case.surface.inbound])


def _without_last(evidence: Evidence) -> Evidence:
    return _with(evidence, *_events(evidence)[:-1])


def _uncounted(evidence: Evidence) -> Evidence:
    """The caller is told of no token."""
    return _with(evidence, _COUNTED.sub(rb'"\1":0', evidence.received.body))


def _row(**changed: Any) -> Damage:
    return lambda evidence: replace(evidence, row={**(evidence.row or {}), **changed})


DAMAGES: Mapping[str, tuple[str, str, Damage]] = {
    "invented-stop": ("cut-after-tokens", "invented-finish", _invented),
    "silent-end": ("cut-after-tokens", "silent-truncation", _without_last),
    "doubled-chunk": ("good", "doubled-token", _doubled),
    "doubled-chunk-of-a-broken-answer": ("cut-after-tokens", "doubled-token", _doubled),
    "dropped-chunk": ("good", "lost-token", _dropped(2)),
    "dropped-last-chunk": ("good", "lost-token", _dropped(7)),
    "lost-end": ("good", "lost-finish", _without_last),
    "lost-usage": ("good", "wrong-usage", _row(input_tokens=None, output_tokens=None, cost_micro_usd=None)),
    "lost-usage-of-a-broken-answer": ("stall-after-tokens", "lost-usage", _row(input_tokens=None, output_tokens=None)),
    "lost-row": ("good", "lost-usage", lambda evidence: replace(evidence, row=None, rows=0)),
    "untold-usage": ("good", "wrong-usage", _uncounted),
}
"""By name: the kind of answer that is damaged, the complaint, the damage."""
