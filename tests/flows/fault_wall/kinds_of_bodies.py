"""Faults in the body of an answer that is whole, and in what carries a body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kind_table import NO_ANSWER, TIMEOUT, TRUNCATED, answer, answer_with, failed, good, kind, passed, speak

if TYPE_CHECKING:
    from faulty_provider import Exchange

_JSON = "application/json"


@kind("truncated-json", "body", whole=failed(502, NO_ANSWER))
async def _truncated_json(x: Exchange) -> None:
    answer_with(x, 200, x.whole()[:-20], _JSON)


@kind("invalid-utf8", "body", whole=failed(502, NO_ANSWER), embeds=False)
async def _invalid_utf8(x: Exchange) -> None:
    answer_with(x, 200, x.whole().replace(x.tokens[3].encode(), b"\xff\xfe\xed\xa0\x80"), _JSON)


@kind("empty-object", "body", whole=failed(502, NO_ANSWER))
async def _empty_object(x: Exchange) -> None:
    answer_with(x, 200, b"{}", _JSON)


@kind("json-array", "body", whole=failed(502, NO_ANSWER))
async def _json_array(x: Exchange) -> None:
    answer_with(x, 200, b"[" + x.whole() + b"]", _JSON)


@kind("two-objects", "body", whole=failed(502, NO_ANSWER))
async def _two_objects(x: Exchange) -> None:
    answer_with(x, 200, x.whole() + x.whole(), _JSON)


@kind("error-in-200", "body", both=passed(502))
async def _error_in_200(x: Exchange) -> None:
    body = x.words.error_body(500)
    answer_with(x, 200, body, _JSON)
    x.said(error=body.decode())


@kind("nothing-in-200", "body", whole=failed(502, NO_ANSWER))
async def _nothing_in_200(x: Exchange) -> None:
    answer_with(x, 200, x.words.nothing(), _JSON)


@kind("nothing-but-usage", "body", whole=failed(502, NO_ANSWER), embeds=False)
async def _nothing_but_usage(x: Exchange) -> None:
    """It was worked on, and is paid for, though nothing came of it."""
    good = json.loads(x.whole())
    usage = {name: good[name] for name in ("usage", "usageMetadata") if name in good}
    answer_with(x, 200, json.dumps({**json.loads(x.words.nothing()), **usage}).encode(), _JSON)
    x.said(counts=x.counts)


@kind("null-in-200", "body", whole=failed(502, NO_ANSWER))
async def _null_in_200(x: Exchange) -> None:
    answer_with(x, 200, b'{"choices": null, "data": null, "content": null, "output": null}', _JSON)


@kind("usage-missing-whole", "body", whole=answer())
async def _usage_missing(x: Exchange) -> None:
    body = x.whole(counts=False)
    answer_with(x, 200, body, _JSON)
    x.said_whole(counts=False)


@kind("usage-odd-whole", "body", whole=answer())
async def _usage_odd(x: Exchange) -> None:
    answer_with(x, 200, x.whole(counts=False)[:-1] + b', "usage": {"prompt_tokens": "many"}}', _JSON)
    x.said_whole(counts=False)


@kind("big-body", "body", whole=answer(), embeds=False)
async def _big_body(x: Exchange) -> None:
    x.tokens[3] = f"t{x.number}.3{'é' * 256 * 1024} "
    await good(x)


@kind("stream-instead-of-json", "body", whole=failed(502, NO_ANSWER), embeds=False)
async def _stream_instead_of_json(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.terminal()
    x.end()


@kind("json-instead-of-stream", "body", stream=failed(502, NO_ANSWER))
async def _json_instead_of_stream(x: Exchange) -> None:
    answer_with(x, 200, x.whole(), _JSON)
    x.said(counts=x.counts)


# ── What carries it ──


@kind("cut-in-length", "carrier", whole=failed(502, TRUNCATED))
async def _cut_in_length(x: Exchange) -> None:
    body = x.whole()
    x.head(framing=str(len(body)))
    x.payload(body[: len(body) // 2])
    x.close()


@kind("reset-in-length", "carrier", whole=failed(502, TRUNCATED))
async def _reset_in_length(x: Exchange) -> None:
    body = x.whole()
    x.head(framing=str(len(body)))
    x.payload(body[: len(body) // 2])
    await x.pause(0.05)
    x.reset()


@kind("cut-in-chunk", "carrier", whole=failed(502, TRUNCATED))
async def _cut_in_chunk(x: Exchange) -> None:
    body = x.whole()
    x.head()
    x.raw(b"%x\r\n" % len(body) + body[:-9])
    x.close()


@kind("no-last-chunk", "carrier", whole=failed(502, TRUNCATED))
async def _no_last_chunk(x: Exchange) -> None:
    x.head()
    x.payload(x.whole())
    x.close()


@kind("bad-chunk-size", "carrier", whole=failed(502))
async def _bad_chunk_size(x: Exchange) -> None:
    x.head()
    x.raw(b"zz\r\n" + x.whole() + b"\r\n0\r\n\r\n")
    await x.wait_for_ever()


@kind("cut-without-length", "carrier", whole=failed(502, NO_ANSWER))
async def _cut_without_length(x: Exchange) -> None:
    x.head(framing="close")
    x.payload(x.whole()[:-20])
    x.close()


@kind("extra-bytes", "carrier", whole=answer())
async def _extra_bytes(x: Exchange) -> None:
    x.hold()
    await good(x)
    x.raw(b"and some bytes that nobody asked for")
    x.release()


@kind("second-answer", "carrier", both=answer())
async def _second_answer(x: Exchange) -> None:
    """Whoever is next on this connection must not be given this."""
    x.hold()
    await good(x)
    stolen = x.words.whole(["t0.0 stolen "], (1, 1))
    x.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(stolen), stolen))
    x.release()


@kind("chunks-with-more", "carrier", both=answer())
async def _chunks_with_more(x: Exchange) -> None:
    """Chunk extensions, and trailers that look like headers."""
    x.head(kind="text/event-stream" if x.streams else _JSON)
    parts = [x.whole()]
    if x.streams:
        parts = [x.words.opening(), *map(x.words.token, x.tokens), x.words.finish()]
    for part in parts:
        x.raw(b'%x;name="a\\"b;c"\r\n' % len(part))
        x.plain(part)
        x.raw(b"\r\n")
    if x.streams:
        x.said_tokens()
        if x.surface != "responses":
            x.said(reason="stop")
        x.usage()
        x.terminal()
    else:
        x.said_whole()
    x.raw(b"0\r\nx-request-id: of-a-trailer\r\nretry-after: 99\r\n\r\n")


@kind("slow-drip", "carrier", whole=answer())
async def _slow_drip(x: Exchange) -> None:
    body = x.whole()
    step = max(1, len(body) // 12)
    x.head(framing=str(len(body)))
    for at in range(0, len(body), step):
        x.payload(body[at : at + step])
        await x.pause(0.03)
    x.said_whole()


@kind("stall-in-body", "stall", whole=failed(504, TIMEOUT))
async def _stall_in_body(x: Exchange) -> None:
    body = x.whole()
    x.head(framing=str(len(body)))
    x.payload(body[: len(body) // 2])
    await x.wait_for_ever()


@kind("drip-for-ever", "stall", whole=failed(504, TIMEOUT))
async def _drip_for_ever(x: Exchange) -> None:
    """Within the idle deadline each time, never at an end: whitespace is legal JSON."""
    x.head()
    while True:
        x.payload(b" ")
        await x.pause(0.2)


@kind("deep-json", "body", whole=failed(502, NO_ANSWER))
async def _deep_json(x: Exchange) -> None:
    answer_with(x, 200, b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", _JSON)


@kind("unicode-escapes", "body", whole=answer(), embeds=False)
async def _unicode_escapes(x: Exchange) -> None:
    """Written another way than most would: it must arrive as it was written."""
    text = x.whole().decode()
    odd = json.dumps("".join(x.tokens))[1:-1]
    escaped = "".join(f"\\u{ord(each):04x}" for each in odd)
    answer_with(x, 200, ("\n\t" + text.replace(odd, escaped) + "\r\n ").encode(), _JSON)
    x.said_whole()
