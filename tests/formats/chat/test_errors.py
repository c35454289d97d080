"""Errors: all four keys, a provider's own words where they are in this format, and nothing else taken for one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from headworks.errors import Blocked, UpstreamRejected
from headworks.formats.chat.errors import error_event
from headworks.formats.chat.format import CHAT
from headworks.formats.neutral import Failed

OURS = {"error": {"message": "Slow down", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}}


@pytest.mark.parametrize(
    ("body", "kind", "message", "code"),
    [
        (OURS, "rate_limit_error", "Slow down", "rate_limit_exceeded"),
        ({"error": "model 'x' not found"}, "api_error", "model 'x' not found", None),
        ({"error": {"message": "m", "type": None, "code": 400}}, "api_error", "m", "400"),
        ({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, "BadRequestError", "m", "400"),
        ({"error": {"message": {"odd": 1}, "type": 5}}, "5", "", None),
    ],
)
def test_errors_are_read_in_every_dialect(body: Any, kind: str, message: str, code: str | None) -> None:
    found = CHAT.read_error(429, json.dumps(body).encode())
    assert found is not None
    assert (found.kind, found.message, found.code, found.status) == (kind, message, code, 429)
    assert json.loads(CHAT.error_body(found)) == body


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"error":null}', b'{"error":{}}', b'{"detail":"x"}', b'{"error":"\xff"}']
)
def test_anything_else_is_no_error_of_ours(body: bytes) -> None:
    assert CHAT.read_error(500, body) is None


def test_an_error_of_another_format_has_all_four_keys() -> None:
    found = Failed("overloaded_error", "Overloaded", raw=msgspec.Raw(b"{}"), origin="messages")
    expected = {"message": "Overloaded", "type": "overloaded_error", "param": None, "code": None}
    assert json.loads(CHAT.error_body(found)) == {"error": expected}


def test_our_own_errors_have_all_four_keys() -> None:
    body = json.loads(CHAT.error_body(Blocked("The rule `pii` refused.", param="messages")))
    assert body["error"].keys() == {"message", "type", "param", "code"}


def test_a_rejection_is_passed_on_as_it_is_where_it_is_in_this_format() -> None:
    body = json.dumps(OURS, indent=2).encode()
    assert CHAT.error_body(UpstreamRejected(429, body, {})) == body
    foreign = UpstreamRejected(529, b'{"type":"error"}', {})
    assert json.loads(CHAT.error_body(foreign))["error"]["code"] == "upstream_rejected"


def test_an_error_in_a_stream_is_one_event_however_it_was_laid_out() -> None:
    event = error_event(UpstreamRejected(429, json.dumps(OURS, indent=2).encode(), {}))
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    assert json.loads(event.removeprefix(b"data: ")) == OURS
