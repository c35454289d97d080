"""Bad input: what the caller is told, and that nothing was sent anywhere."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from running_gateway import MAX_BODY_MB, World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]
CHAT = "/v1/chat/completions"
BAD = {
    "empty": (b"", "invalid_json", None, "Input data was truncated"),
    "not JSON": (b"hello", "invalid_json", None, "invalid character (byte 0)"),
    "cut JSON": (b'{"model": "outside"', "invalid_json", None, "truncated"),
    "trailing comma": (b'{"model": "outside",}', "invalid_json", None, "byte 20"),
    "two values": (b'{"model": "outside"} {}', "invalid_json", None, "trailing characters"),
    "not UTF-8": (b'{"model": "outside", "messages": ["\xff\xfe"]}', "invalid_request", None, "not UTF-8: byte 35"),
    "a key that is not UTF-8": (b'{"\xff": 1}', "invalid_request", None, "not UTF-8"),
    "NaN": (b'{"model": "outside", "temperature": NaN}', "invalid_json", None, "invalid character"),
    "an array": (b"[]", "invalid_request", None, "must be a JSON object"),
    "nested too deeply": (
        b'{"model": "outside", "messages": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        "invalid_request",
        None,
        "nested too deeply",
    ),
    "no model": (b'{"messages": [1]}', "missing_field", "model", "`model` is required"),
    "an empty model": (b'{"model": "", "messages": [1]}', "missing_field", "model", "`model` is required"),
    "a null model": (b'{"model": null, "messages": [1]}', "missing_field", "model", "`model` is required"),
    "a model that is a number": (b'{"model": 1, "messages": [1]}', "invalid_type", "model", "must be a string"),
    "a model with a line break": (b'{"model": "a\\nb", "messages": [1]}', "invalid_request", "model", "no name"),
    "a model of half a character": (b'{"model": "\\ud800", "messages": []}', "invalid_json", None, "not valid JSON"),
    "a long model": (b'{"model": "%b", "messages": [1]}' % (b"a" * 600), "invalid_request", "model", "up to 512"),
    "two models": (b'{"model": "a", "model": "b"}', "duplicate_key", "model", "has `model` twice"),
    "two of another key": (b'{"model":"a","x":1,"messages":[1],"x":2}', "duplicate_key", "x", "has `x` twice"),
    "two of a key, one escaped": (b'{"model":"a","mod\\u0065l":"b"}', "duplicate_key", "model", "has `model` twice"),
    "no messages": (b'{"model": "outside"}', "missing_field", "messages", "`messages` is required"),
    "messages that are a text": (b'{"model":"outside","messages":"x"}', "invalid_type", "messages", "an array"),
    "no message": (b'{"model": "outside", "messages": [ ]}', "missing_field", "messages", "is empty"),
    "stream that is a text": (b'{"model":"a","messages":[1],"stream":"yes"}', "invalid_type", "stream", "true or"),
    "stream_options that are a text": (
        b'{"model":"a","messages":[1],"stream":true,"stream_options":"x"}',
        "invalid_request",
        "stream_options",
        "`stream_options` must be a JSON object",
    ),
    "include_usage that is a number": (
        b'{"model":"a","messages":[1],"stream":true,"stream_options":{"include_usage":1}}',
        "invalid_type",
        "include_usage",
        "true or false",
    ),
    "two stream_options inside": (
        b'{"model":"a","messages":[1],"stream":true,"stream_options":{"include_usage":true,"include_usage":false}}',
        "duplicate_key",
        "include_usage",
        "`stream_options` has `include_usage` twice",
    ),
    "a user that is a number": (b'{"model":"a","messages":[1],"user":1}', "invalid_type", "user", "a string"),
    "an unreadable cap": (
        b'{"model":"capped","messages":[1],"max_tokens":-1}',
        "invalid_type",
        "max_tokens",
        "whole number from 1",
    ),
}


@pytest.mark.parametrize(("body", "code", "param", "said"), BAD.values(), ids=BAD)
def test_a_bad_body_is_refused_by_name(
    world: World, provider: SimulatedProvider, body: bytes, code: str, param: str | None, said: str
) -> None:
    answer = world.post(body)
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")
    assert said in error["message"]
    assert answer.headers["x-headworks-trace"]
    assert not provider.seen


def test_a_body_over_the_limit_is_refused_before_it_is_sent(world: World) -> None:
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {world.admin_key}\r\n"
        f"content-length: {50 * 1024 * 1024}\r\nconnection: close\r\n\r\n"
    )
    answer = world.send(head.encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert f"larger than {MAX_BODY_MB} MiB".encode() in answer
    assert b"max_body_mb" in answer


def test_a_chunked_body_over_the_limit_is_refused_on_the_way(world: World, provider: SimulatedProvider) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    answer = world.send(head.encode() + chunk * (MAX_BODY_MB * 16 + 2))
    assert answer.startswith(b"HTTP/1.1 413")
    assert not provider.seen


def test_a_body_below_the_limit_passes(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    text = "x" * (MAX_BODY_MB * 1024 * 1024 - 200)
    assert world.post({"model": "outside", "messages": [{"role": "user", "content": text}]}).status_code == 200


def test_a_compressed_body_is_refused(world: World) -> None:
    answer = world.post(b"\x1f\x8b", content_encoding="gzip")
    assert answer.status_code == 400
    assert "Compressed bodies" in answer.json()["error"]["message"]


def test_no_model_is_asked_as_somebody_else(world: World, provider: SimulatedProvider) -> None:
    answer = world.post({"model": "outside", "messages": []}, x_headworks_as="jane")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-headworks-as")
    assert not provider.seen


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "missing_api_key"),
        ("Basic abc", "missing_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer sk-something", "malformed_api_key"),
        ("Bearer hw_x'; DROP TABLE api_key; --", "malformed_api_key"),
    ],
)
def test_without_a_good_key_nobody_gets_in(world: World, header: str, code: str) -> None:
    answer = world.post({"model": "outside", "messages": ASK}, authorization=header)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["type"] == "authentication_error"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not world.records.rows


def test_an_unknown_key_is_told_from_a_malformed_one(world: World) -> None:
    other = world.key()
    world.run(world.identity.revoke_key(world.admin, other.rpartition("_")[0]))
    changed = {"model": "outside", "messages": ASK}
    until = time.monotonic() + 5
    while (answer := world.post(changed, key=other)).status_code == 200 and time.monotonic() < until:
        pass
    assert answer.json()["error"]["code"] == "revoked_api_key"


def test_an_expired_key_is_told_so(world: World) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    key = world.key(expires=soon)
    until = time.monotonic() + 10
    while (answer := world.post({"model": "builtin/simulated", "messages": ASK}, key=key)).status_code == 200:
        assert time.monotonic() < until
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "expired_api_key"


def test_a_new_key_works_at_once(world: World) -> None:
    for _ in range(3):
        assert world.post({"model": "builtin/simulated", "messages": ASK}, key=world.key()).status_code == 200


def test_a_missing_permission_is_named(world: World) -> None:
    answer = world.post({"model": "outside", "messages": ASK}, key=world.key(permissions=("feature:call",)))
    assert answer.status_code == 403
    assert "`model:call`" in answer.json()["error"]["message"]
    answer = world.post({"model": "bare", "messages": ASK}, key=world.key(permissions=("model:call",)))
    assert "`feature:call`" in answer.json()["error"]["message"]
    assert "x-headworks-release" not in answer.headers
    assert [row.status for row in world.records.rows] == [403, 403]


def test_a_key_calls_only_the_models_it_is_for(world: World, provider: SimulatedProvider) -> None:
    key = world.key(models=("bare", "outside"))
    provider.will(Reply.json(completion("ok")), Reply.json(completion("ok")))
    assert world.post({"model": "outside", "messages": ASK}, key=key).status_code == 200
    assert world.post({"model": "bare@prod", "messages": ASK}, key=key).status_code == 200
    answer = world.post({"model": "outside/m1", "messages": ASK}, key=key)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "model_not_allowed"
    assert "`bare`, `outside`" in answer.json()["error"]["message"]


# ── The rest ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_goes_wrong_inside_is_not_shown(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.records.fails = RuntimeError("secret detail")
    answer = world.post({"model": "builtin/simulated", "messages": ASK})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret detail" in caplog.text


def test_what_can_t_be_recorded_is_not_answered(world: World, provider: SimulatedProvider) -> None:
    from headworks.errors import Unavailable

    world.records.fails = Unavailable("The disk is full.")
    provider.will(Reply.json(completion("secret")))
    answer = world.post({"model": "outside", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "The disk is full.")
    provider.forget()
    streamed = world.post({"model": "outside", "messages": ASK, "stream": True})
    assert "The disk is full." in streamed.text
    assert "[DONE]" not in streamed.text


def test_what_arrives_whole_is_answered_once_its_record_is_written(world: World, provider: SimulatedProvider) -> None:
    from headworks.errors import Unavailable

    provider.will(Reply.json(completion("secret")))
    answer = world.send(_whole(world, {"model": "outside", "messages": ASK}))
    assert (answer.split(b" ")[1], b"secret" in answer) == (b"200", True)
    assert (world.records.row().status, world.records.gathered) == (200, [])
    world.records.fails = Unavailable("The disk is full.")
    answer = world.send(_whole(world, {"model": "outside", "messages": ASK}))
    assert (answer.split(b" ")[1], b"The disk is full." in answer, b"secret" in answer) == (b"503", True, False)
    answer = world.send(_whole(world, {"model": "nothing", "messages": ASK}))
    assert (answer.split(b" ")[1], b"The disk is full." in answer) == (b"503", True)
    assert b"x-headworks-trace" in answer
    world.records.fails = RuntimeError("secret detail")
    answer = world.send(_whole(world, {"model": "outside", "messages": ASK}))
    assert (answer.split(b" ")[1], b"secret" in answer) == (b"500", False)


def _whole(world: World, body: dict[str, Any]) -> bytes:
    """A request that a client writes in one piece, and that is served without a task."""
    sent = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {world.admin_key}\r\n"
    return f"{head}content-length: {len(sent)}\r\nconnection: close\r\n\r\n".encode() + sent


def test_several_requests_follow_each_other_on_one_connection(world: World) -> None:
    body = json.dumps({"model": "builtin/simulated", "messages": ASK}).encode()
    one = (
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {world.admin_key}\r\ncontent-length: {len(body)}\r\n"
    ).encode()
    answer = world.send((one + b"\r\n" + body) * 2 + one + b"connection: close\r\n\r\n" + body)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.count(b'"content":"Hello?"') == 3
