"""Faults in a stream: before its first word, in the middle, and around its end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kind_table import (
    NO_ANSWER,
    TIMEOUT,
    TRUNCATED,
    Play,
    answer,
    broken,
    conclude,
    failed,
    good,
    kind,
    passed,
    speak,
)

if TYPE_CHECKING:
    from faulty_provider import Exchange

BROKEN_AFTER = 4
_EVENTS = "text/event-stream"
_USAGE = b'"usage": {"prompt_tokens": %d, "completion_tokens": 0}'
_NULL_AT_THE_END = re.compile(rb'data: \{(.*), "usage": null\}')
_FILTER = (
    b'data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n'
)


# ── Start-up: nothing is said yet, so somebody else may be asked ──


@kind("error-first", "start-up", stream=passed(502))
async def _error_first(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    x.error()
    x.end()


@kind("role-then-error", "start-up", stream=passed(502))
async def _role_then_error(x: Exchange) -> None:
    await speak(x, 0)
    await x.pause(0.02)
    x.error("rate_limit_error", "rate_limit_exceeded")
    x.end()


@kind("role-and-usage-then-error", "start-up", stream=passed(502))
async def _role_and_usage_then_error(x: Exchange) -> None:
    """Some servers count in every event, and the prompt was read."""
    await speak(x, 0)
    if x.surface in {"chat", "completions"}:
        opening = x.words.opening().replace(b', "usage": null', b"")
        x.payload(opening.replace(b'"x_new": 1.5', _USAGE % x.counts[0]))
        x.said(counts=(x.counts[0], 0))
    await x.pause(0.02)
    x.error()
    x.end()


@kind("filter-frame-then-error", "start-up", stream=passed(502))
async def _filter_then_error(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    x.payload(_FILTER if x.surface in {"chat", "completions"} else b": filtered\n\n")
    x.payload(x.words.opening())
    await x.pause(0.02)
    x.error()
    x.end()


@kind("role-then-cut", "start-up", stream=failed(502, TRUNCATED))
async def _role_then_cut(x: Exchange) -> None:
    await speak(x, 0)
    x.close()


@kind("role-then-end", "start-up", stream=failed(502, TRUNCATED))
async def _role_then_end(x: Exchange) -> None:
    await speak(x, 0)
    x.end()


@kind("no-events", "start-up", stream=failed(502, TRUNCATED))
async def _no_events(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    x.end()


@kind("terminal-only", "start-up", stream=failed(502, TRUNCATED))
async def _terminal_only(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    x.terminal()
    x.end()


@kind("garbage-first", "start-up", stream=failed(502, NO_ANSWER))
async def _garbage_first(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    x.payload(b"data: {not json at all\n\n")
    await x.wait_for_ever()


@kind("many-comments-then-error", "start-up", stream=passed(502))
async def _many_comments_then_error(x: Exchange) -> None:
    """A provider under load keeps the line open for a while before it gives up."""
    x.head(kind=_EVENTS)
    for _ in range(100):
        x.payload(b": PROCESSING\n\n")
    await x.pause(0.02)
    x.error()
    x.end()


@kind("stall-after-head", "stall", stream=failed(504, TIMEOUT))
async def _stall_after_head(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    await x.wait_for_ever()


@kind("stall-after-role", "stall", stream=failed(504, TIMEOUT))
async def _stall_after_role(x: Exchange) -> None:
    await speak(x, 0)
    await x.wait_for_ever()


@kind("comments-for-ever", "stall", stream=failed(504, TIMEOUT))
async def _comments_for_ever(x: Exchange) -> None:
    x.head(kind=_EVENTS)
    while True:
        x.payload(b": still here\n\n")
        await x.pause(0.2)


# ── In the middle: what was said stays said ──


@kind("cut-after-tokens", "middle", stream=broken(TRUNCATED))
async def _cut_after_tokens(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.close()


@kind("reset-after-tokens", "middle", stream=broken(TRUNCATED, is_exact=False))
async def _reset_after_tokens(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    await x.pause(0.05)
    x.reset()


@kind("cut-in-an-event", "middle", stream=broken(TRUNCATED))
async def _cut_in_an_event(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.payload(x.words.token(x.tokens[BROKEN_AFTER])[:-9])
    x.close()


@kind("cut-in-a-character", "middle", stream=broken(TRUNCATED))
async def _cut_in_a_character(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    data = x.words.token("lost €")
    x.payload(data[: data.find("€".encode()) + 1])
    x.close()


@kind("end-in-an-event", "middle", stream=broken(TRUNCATED))
async def _end_in_an_event(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.payload(x.words.token(x.tokens[BROKEN_AFTER])[:-9])
    x.end()


@kind("end-without-finish", "middle", stream=broken(TRUNCATED))
async def _end_without_finish(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.end()


@kind("usage-without-finish", "middle", stream=broken(TRUNCATED))
async def _usage_without_finish(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.usage()
    x.end()


@kind("error-after-tokens", "middle", stream=broken(None))
async def _error_after_tokens(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.error()
    x.end()


@kind("error-then-cut", "middle", stream=broken(None))
async def _error_then_cut(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.error("overloaded_error", "overloaded")
    x.close()


@kind("error-then-terminal", "middle", stream=broken(None))
async def _error_then_terminal(x: Exchange) -> None:
    """Who only watches for the terminal event would take this for a success."""
    await speak(x, BROKEN_AFTER)
    x.error()
    x.terminal()
    x.end()


@kind("garbage-after-tokens", "middle", stream=broken(TRUNCATED))
async def _garbage_after_tokens(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.payload(b"data: {not json at all\n\n")
    x.end()


@kind("html-after-tokens", "middle", stream=broken(TRUNCATED))
async def _html_after_tokens(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    x.payload(b"<html><body>502 Bad Gateway</body></html>")
    x.close()


@kind("bad-chunk-after-tokens", "middle", stream=broken("upstream_error"))
async def _bad_chunk_after_tokens(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    await x.pause(0.02)
    x.raw(b"zz\r\n")
    await x.wait_for_ever()


@kind("call-cut", "middle", stream=broken(TRUNCATED))
async def _call_cut(x: Exchange) -> None:
    """Half of a tool call's arguments is no call."""
    await speak(x, 0)
    for text in x.tokens[:BROKEN_AFTER]:
        await x.token(text, as_call=True)
    x.end()


@kind("call-torn", "middle", stream=broken("malformed_tool_call"))
async def _call_torn(x: Exchange) -> None:
    """An end that takes half of a tool call for a whole one is no good end."""
    await speak(x, 0)
    for text in x.tokens[:BROKEN_AFTER]:
        await x.token(text, as_call=True)
    x.finish("tool_calls")
    x.usage()
    x.terminal()
    x.end()


@kind("stall-after-tokens", "stall", stream=broken(TIMEOUT))
async def _stall_after_tokens(x: Exchange) -> None:
    await speak(x, BROKEN_AFTER)
    await x.wait_for_ever()


@kind("endless", "stall", stream=broken(TIMEOUT, is_exact=False))
async def _endless(x: Exchange) -> None:
    await speak(x, 0)
    index = 0
    while True:
        await x.token(f"t{x.number}.{index} ")
        await x.pause(0.05)
        index += 1


# ── Around the end: the answer is whole ──


@kind("finish-without-terminal", "end", stream=answer())
async def _finish_without_terminal(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.usage()
    x.end()


@kind("terminal-without-finish", "end", stream=answer())
async def _terminal_without_finish(x: Exchange) -> None:
    await speak(x)
    x.usage()
    x.terminal()
    x.end()


@kind("reset-after-finish", "end", stream=answer())
async def _reset_after_finish(x: Exchange) -> None:
    await speak(x)
    x.finish()
    await x.pause(0.05)
    x.reset()


@kind("cut-after-finish", "end", stream=answer())
async def _cut_after_finish(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.usage()
    x.close()


@kind("stall-after-finish", "stall", stream=answer())
async def _stall_after_finish(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.usage()
    await x.wait_for_ever()


@kind("stall-after-terminal", "end", stream=answer())
async def _stall_after_terminal(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.usage()
    x.terminal()
    await x.wait_for_ever()


@kind("cut-after-terminal", "end", stream=answer())
async def _cut_after_terminal(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.usage()
    x.terminal()
    x.close()


@kind("bytes-after-terminal", "end", stream=answer())
async def _bytes_after_terminal(x: Exchange) -> None:
    await speak(x)
    x.finish()
    x.usage()
    x.terminal()
    await x.pause(0.02)
    x.payload(x.words.token("t0.0 late "))
    x.end()


def _reason(reason: str) -> Play:
    async def play(x: Exchange) -> None:
        await speak(x)
        x.finish(reason)
        x.usage()
        x.terminal()
        x.end()

    return play


kind("finish-length", "end", stream=answer())(_reason("length"))
kind("finish-content-filter", "end", stream=answer())(_reason("content_filter"))


@kind("finish-only", "end", stream=answer())
async def _finish_only(x: Exchange) -> None:
    """A model that has nothing to say is no fault."""
    await speak(x, 0)
    conclude(x)


# ── Usage ──


@kind("usage-missing", "usage", stream=answer())
async def _usage_missing(x: Exchange) -> None:
    await speak(x)
    x.finish(counts=False)
    x.terminal()
    x.end()


@kind("usage-null", "usage", stream=answer())
async def _usage_null(x: Exchange) -> None:
    await speak(x)
    x.finish(counts=False)
    if x.surface in {"chat", "completions"} and x.asks_usage:
        x.payload(x.words.usage(None))
    x.terminal()
    x.end()


@kind("usage-twice", "usage", stream=answer())
async def _usage_twice(x: Exchange) -> None:
    """Cumulative, as some servers do: the last one counts."""
    await speak(x)
    last, x.counts = x.counts, (x.counts[0], 1)
    x.usage()
    x.counts = last
    conclude(x)


@kind("usage-with-finish", "usage", stream=answer())
async def _usage_with_finish(x: Exchange) -> None:
    """In the same event as the reason, as several compatible servers send it."""
    await speak(x)
    x.finish(has_counts=True)
    x.terminal()
    x.end()


# ── How it is written ──


@kind("huge-event", "spelling", stream=answer())
async def _huge_event(x: Exchange) -> None:
    x.tokens[3] = f"t{x.number}.3{'é' * 256 * 1024} "
    await speak(x)
    conclude(x)


def _respelled(before: bytes, after: bytes) -> Play:
    """A good stream with one thing written otherwise."""

    async def play(x: Exchange) -> None:
        x.respell = lambda data: data.replace(before, after)
        await speak(x)
        conclude(x)

    return play


kind("crlf", "spelling", stream=answer())(_respelled(b"\n", b"\r\n"))
kind("cr", "spelling", stream=answer())(_respelled(b"\n", b"\r"))
kind("data-without-space", "spelling", stream=answer())(_respelled(b"data: ", b"data:"))
kind("more-fields", "spelling", stream=answer())(_respelled(b"data: {", b"id: 7\nretry: 100\nx-odd\ndata: {"))


@kind("usage-first", "spelling", stream=answer(), only="chat")
async def _usage_first(x: Exchange) -> None:
    x.respell = lambda data: _NULL_AT_THE_END.sub(rb'data: {"usage": null, \1}', data)
    await good(x)


kind("two-data-lines", "spelling", stream=answer())(_respelled(b'"x_new":', b'\ndata: "x_new":'))


@kind("comments", "spelling", stream=answer())
async def _comments(x: Exchange) -> None:
    x.respell = lambda data: b": keep-alive\n\n:\n\n" + data
    await speak(x)
    conclude(x)


@kind("split-utf8", "spelling", stream=answer())
async def _split_utf8(x: Exchange) -> None:
    x.tokens = [f"t{x.number}.{index}é€😀ß " for index in range(len(x.tokens))]
    x.cuts_every = 3
    await speak(x)
    conclude(x)


@kind("byte-by-byte", "spelling", stream=answer())
async def _byte_by_byte(x: Exchange) -> None:
    x.tokens = x.tokens[:2]
    x.cuts_every = 1
    await speak(x)
    conclude(x)


@kind("all-at-once", "spelling", stream=answer())
async def _all_at_once(x: Exchange) -> None:
    """Start-up, text and end in one packet, so that they are read in one piece."""
    x.head(kind=_EVENTS)
    x.hold()
    x.payload(x.words.opening())
    for text in x.tokens:
        x.payload(x.words.token(text))
    x.said_tokens()
    x.finish()
    x.usage()
    x.terminal()
    x.release()
    x.end()


@kind("all-at-once-then-error", "spelling", stream=broken(None))
async def _all_at_once_then_error(x: Exchange) -> None:
    """The error lies in the same packet as the first word."""
    x.head(kind=_EVENTS)
    x.hold()
    x.payload(x.words.opening() + x.words.token(x.tokens[0]))
    x.said(token=x.tokens[0])
    x.error()
    x.release()
    x.end()
