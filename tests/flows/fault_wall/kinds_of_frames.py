"""Faults that only Amazon Bedrock can have: in the frames of its event stream, and in how its errors are named."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING

import converse_script
from kind_table import (
    NO_ANSWER,
    TIMEOUT,
    TRUNCATED,
    Expected,
    Play,
    answer,
    answer_with,
    broken,
    conclude,
    failed,
    kind,
    passed,
    refused,
    speak,
)

if TYPE_CHECKING:
    from faulty_provider import Exchange

BROKEN_AFTER = 4
_OF = "converse"
_EVENTS = converse_script.STREAM_TYPE
_JSON = "application/json"
EXCEPTIONS: dict[str, Expected] = {
    "throttlingException": passed(429),
    "modelStreamErrorException": passed(424),
    "validationException": refused(400),
    "internalServerException": passed(500),
    "serviceUnavailableException": passed(503),
    "modelTimeoutException": passed(408),
}
"""What each means where nothing is said yet."""


def _next(x: Exchange) -> bytes:
    return x.words.token(x.tokens[BROKEN_AFTER])


# ── Cut: in the lengths, the headers, the payload, the last checksum ──


def _cut(before: int | None, *, closes: bool) -> Play:
    async def play(x: Exchange) -> None:
        await speak(x, BROKEN_AFTER)
        x.payload(_next(x)[:before])
        if closes:
            x.close()
        else:
            x.end()

    return play


for _where, _before in (("prelude", 6), ("prelude-crc", 11), ("headers", 30), ("payload", -20), ("crc", -2)):
    kind(f"cut-in-{_where}", "frames", stream=broken(TRUNCATED), only=_OF)(_cut(_before, closes=True))
    kind(f"end-in-{_where}", "frames", stream=broken(TRUNCATED), only=_OF)(_cut(_before, closes=False))


@kind("prelude-then-cut", "frames", stream=failed(502, TRUNCATED), only=_OF)
async def _prelude_then_cut(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    x.payload(x.words.opening()[:12])
    x.close()


@kind("stall-in-a-frame", "stall", stream=broken(TIMEOUT), only=_OF)
async def _stall_in_a_frame(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.payload(_next(x)[:40])
    await x.wait_for_ever()


# ── Bytes that are no frame ──


def _bad_prelude_crc(data: bytes) -> bytes:
    return data[:8] + bytes(4) + data[12:]


def _bad_crc(data: bytes) -> bytes:
    return data[:-4] + bytes(4)


def _flipped_bit(data: bytes) -> bytes:
    return data[:-20] + bytes((data[-20] ^ 1,)) + data[-19:]


def _lengths(size: int, headers: int) -> bytes:
    lengths = struct.pack(">II", size, headers)
    return lengths + struct.pack(">I", zlib.crc32(lengths))


def _headers_over_the_end(data: bytes) -> bytes:
    return converse_script.sealed(_lengths(len(data), len(data)) + data[12:-4])


def _too_long(data: bytes) -> bytes:
    return _lengths(500 * 1024 * 1024, 100) + data[12:]


def _unknown_header_kind(data: bytes) -> bytes:
    at = 12 + 1 + data[12]
    return converse_script.sealed(data[:at] + b"\x2a" + data[at + 1 : -4])


def _no_json(data: bytes) -> bytes:
    del data
    return converse_script.event_of("contentBlockDelta", b"{not json at all")


def _no_index(data: bytes) -> bytes:
    del data
    return converse_script.event_of("contentBlockDelta", b'{"delta": {"text": "t0.0 of no block "}}')


_NO_FRAMES = {
    "bad-prelude-crc": _bad_prelude_crc,
    "bad-crc": _bad_crc,
    "flipped-bit": _flipped_bit,
    "headers-over-the-end": _headers_over_the_end,
    "too-long-a-frame": _too_long,
    "unknown-header-kind": _unknown_header_kind,
    "frame-without-json": _no_json,
    "delta-without-index": _no_index,
}


def _spoilt(name: str) -> Play:
    async def play(x: Exchange) -> None:
        await speak(x, BROKEN_AFTER)
        x.payload(_NO_FRAMES[name](_next(x)))
        await x.wait_for_ever()

    return play


def _spoilt_first(name: str) -> Play:
    async def play(x: Exchange) -> None:
        x.head(kind=_EVENTS)
        x.payload(_NO_FRAMES[name](x.words.token(x.tokens[0])))
        await x.wait_for_ever()

    return play


def _spoilt_in_one_packet(name: str) -> Play:
    """Good frames lie in the same packet as the bad one: what they say was said."""

    async def play(x: Exchange) -> None:
        x.head(kind=_EVENTS)
        good = [x.words.opening(), *map(x.words.token, x.tokens[:BROKEN_AFTER])]
        x.payload(b"".join((*good, _NO_FRAMES[name](_next(x)))))
        for text in x.tokens[:BROKEN_AFTER]:
            x.said(token=text)
        x.end()

    return play


for _name in _NO_FRAMES:
    kind(f"{_name}-first", "frames", stream=failed(502, NO_ANSWER), only=_OF)(_spoilt_first(_name))
    kind(f"{_name}-after-tokens", "frames", stream=broken(NO_ANSWER), only=_OF)(_spoilt(_name))
    kind(f"{_name}-in-one-packet", "frames", stream=broken(NO_ANSWER), only=_OF)(_spoilt_in_one_packet(_name))


@kind("events-of-another-format", "frames", stream=failed(502, NO_ANSWER), only=_OF)
async def _events_of_another_format(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    x.payload(b'data: {"choices": [{"index": 0, "delta": {"content": "t0.0 "}, "finish_reason": null}]}\n\n')
    x.payload(b"data: [DONE]\n\n")
    x.end()


@kind("frames-of-no-type", "frames", stream=failed(502, NO_ANSWER), only=_OF)
async def _frames_of_no_type(x: Exchange) -> None:
    """Good frames, and a content type that says something else."""
    x.head(kind="application/octet-stream")
    x.payload(x.words.opening())
    for text in x.tokens:
        x.payload(x.words.token(text))
    x.payload(x.words.finish())
    x.end()


# ── Errors in the place of events ──


def _fail(x: Exchange, data: bytes) -> None:
    x.payload(data)
    x.said(error=converse_script.payload_of(data).decode() or "{}")
    x.end()


def _exception(name: str) -> bytes:
    return converse_script.exception(name, json.dumps({"message": f"The engine gave up: {name}."}).encode())


def _thrown(name: str, after: int | None) -> Play:
    """`after` so many tokens; None: before the message has begun."""

    async def play(x: Exchange) -> None:
        if after is None:
            x.head(kind=_EVENTS)
        else:
            await speak(x, after)
        await x.pause(0.01)
        _fail(x, _exception(name))

    return play


for _thrown_name, _expected in EXCEPTIONS.items():
    _name = _thrown_name.removesuffix("Exception").lower()
    kind(f"{_name}-first", "exceptions", stream=_expected, only=_OF)(_thrown(_thrown_name, None))
    kind(f"{_name}-after-role", "exceptions", stream=_expected, only=_OF)(_thrown(_thrown_name, 0))
    kind(f"{_name}-after-tokens", "exceptions", stream=broken(None), only=_OF)(_thrown(_thrown_name, BROKEN_AFTER))


@kind("exception-then-metadata", "exceptions", stream=broken(None), only=_OF)
async def _exception_then_metadata(x: Exchange) -> None:
    """Who goes by the last event would take this for a success."""
    await speak(x, BROKEN_AFTER)
    data = _exception("modelStreamErrorException")
    x.payload(data)
    x.said(error=converse_script.payload_of(data).decode())
    x.payload(x.converse.stop("end_turn") + x.words.usage(x.counts))
    x.end()


@kind("exception-of-the-future", "exceptions", stream=passed(500), only=_OF)
async def _exception_of_the_future(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    _fail(x, _exception("someNewException"))


@kind("exception-without-words", "exceptions", stream=passed(429), only=_OF)
async def _exception_without_words(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    _fail(x, converse_script.exception("throttlingException", b""))


@kind("error-frame-first", "exceptions", stream=passed(500), only=_OF)
async def _error_frame_first(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    _fail(x, converse_script.error("InternalError", "An internal server error occurred."))


@kind("error-frame-after-tokens", "exceptions", stream=broken(None), only=_OF)
async def _error_frame_after_tokens(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    _fail(x, converse_script.error("InternalError", "An internal server error occurred."))


# ── Around the end ──


@kind("block-ends-message-does-not", "frames", stream=broken(TRUNCATED), only=_OF)
async def _block_ends(x: Exchange) -> None:
    await speak(x)
    x.payload(converse_script.event("contentBlockStop", {"contentBlockIndex": 0}))
    x.end()


@kind("metadata-without-message-stop", "frames", stream=broken(TRUNCATED), only=_OF)
async def _metadata_without_stop(x: Exchange) -> None:
    await speak(x)
    x.payload(converse_script.event("contentBlockStop", {"contentBlockIndex": 0}))
    x.usage()
    x.close()


@kind("no-metadata", "frames", stream=answer(), only=_OF)
async def _no_metadata(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.close()


@kind("cut-in-metadata", "frames", stream=broken(TRUNCATED), only=_OF)
async def _cut_in_metadata(x: Exchange) -> None:
    await speak(x)
    x.payload(x.words.finish())
    x.payload(x.words.usage(x.counts)[:30])
    x.close()


@kind("bad-crc-of-metadata", "frames", stream=broken(NO_ANSWER), only=_OF)
async def _bad_crc_of_metadata(x: Exchange) -> None:
    await speak(x)
    x.payload(x.words.finish())
    x.payload(_bad_crc(x.words.usage(x.counts)))
    x.end()


@kind("metadata-without-usage", "frames", stream=answer(), only=_OF)
async def _metadata_without_usage(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.payload(x.words.usage(None))
    x.end()


@kind("stall-before-metadata", "stall", stream=answer(), only=_OF)
async def _stall_before_metadata(x: Exchange) -> None:
    await speak(x)
    x.finish()
    await x.wait_for_ever()


def _stopped(word: str, reason: str) -> Play:
    async def play(x: Exchange) -> None:
        await speak(x)
        x.payload(x.converse.stop(word))
        x.said(reason=reason)
        x.usage()
        x.end()

    return play


kind("guardrail-intervened", "frames", stream=answer(), only=_OF)(_stopped("guardrail_intervened", "content_filter"))
kind("window-exceeded", "frames", stream=answer(), only=_OF)(_stopped("model_context_window_exceeded", "length"))


@kind("unknown-events", "frames", stream=answer(), only=_OF)
async def _unknown_events(x: Exchange) -> None:
    """Events and members that nobody knows yet."""
    x.head(kind=_EVENTS)
    x.payload(converse_script.event("someNewEvent", {"x_new": 12345678901234567890}))
    x.payload(x.words.opening())
    for text in x.tokens:
        x.payload(converse_script.event("someNewEvent", {}))
        await x.token(text)
    conclude(x)


@kind("frames-in-halves", "frames", stream=answer(), only=_OF)
async def _frames_in_halves(x: Exchange) -> None:
    """Each half waits for the other."""
    x.head(kind=_EVENTS)
    x.payload(x.words.opening())
    for text in x.tokens:
        data = x.words.token(text)
        x.payload(data[: len(data) // 2])
        await x.pause(0.02)
        x.payload(data[len(data) // 2 :])
        x.said(token=text)
    conclude(x)


# ── Statuses, whose kinds stand in a header ──


def _status(status: int, kind_header: str, body: bytes) -> Play:
    async def play(x: Exchange) -> None:
        answer_with(x, status, body, _JSON, ("x-amzn-errortype", kind_header))
        x.said(error=body.decode())

    return play


_SAID = b'{"message": "No."}'
for _name, _where, _expected in (
    ("throttled-by-header", _status(400, "ThrottlingException", _SAID), passed(400)),
    ("model-not-ready", _status(429, "ModelNotReadyException", _SAID), passed(429)),
    ("model-error", _status(424, "ModelErrorException:http://internal/", _SAID), passed(424)),
    ("quota-exceeded", _status(400, "ServiceQuotaExceededException", _SAID), passed(400)),
    ("kind-without-words", _status(429, "ThrottlingException", b"{}"), passed(429)),
    ("capital-message", _status(503, "ServiceUnavailableException", b'{"Message": "No."}'), passed(503)),
):
    kind(_name, "exceptions", both=_expected, only=_OF)(_where)
