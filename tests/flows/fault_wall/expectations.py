"""The oracle: what a caller got and what we wrote down, held against what the provider wrote down.

It knows nothing of how a gateway works. Every complaint has a name, so that a test can ask for the defect it planted:

    broken-http          what came back is no HTTP answer, or ends before its end
    wrong-status         another status than the fault has to end in
    wrong-error          an error without our code, or not in the provider's own words
    silent-truncation    a stream that just stops: no finish, no error
    invented-finish      a finish reason or a terminal event that the provider never sent
    lost-finish          the provider's finish reason or terminal event did not arrive
    lost-token, doubled-token, foreign-token, changed-text
    switch-after-output  another target was asked after the caller had got text
    wrong-target         not the targets that had to be asked, in their order
    lost-header, foreign-header, changed-type
    changed-bytes        same format in and out, and other bytes
    lost-usage, wrong-usage, no-cost, wrong-record
    late-cancel          the provider worked on after the caller had left, or after the answer had ended
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from fault_cases import Case
from fault_kinds import KINDS
from hearing import END_OF_EVENT, STREAMED, Heard, events_of, hear_stream, hear_whole
from kind_table import Expected
from raw_client import Received
from upstream_log import Seen

LEAVES_WITHIN_S = 0.5
"""The contract says 0.1 s; a machine whose cores are busy with other tests gets more time to notice."""
_TOKEN = re.compile(r"t(\d+)\.(\d+)\S* ")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NULL = re.compile(rb":\s*null")
_COMMA = re.compile(rb"\s*,\s*")
_BEGUN = re.compile(rb'"message_start".*?"input_tokens": (\d+),.*?"output_tokens": (\d+)')
_STREAMS = frozenset(("text/event-stream", "application/vnd.amazon.eventstream"))
_ENDINGS = {
    "chat": b"data: [DONE]\n\n",
    "completions": b"data: [DONE]\n\n",
    "messages": b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "responses": b"",
}
_SURVIVE = re.compile(r"retry-after(-ms)?|x-should-retry|x-request-id|x-ratelimit-.*|openai-.*")


class Complaint(NamedTuple):
    """One thing that is wrong."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


@dataclass
class Evidence:
    """All that is known about one case. `row` is our usage row, `rows` how many there are."""

    case: Case
    received: Received
    seen: list[Seen]
    row: Mapping[str, Any] | None
    rows: int

    @property
    def last(self) -> Seen | None:
        """The request whose answer the caller got, unless the last target never read one."""
        asked, _ = self.case.walk()
        readable = [kind for kind in self.case.targets[:asked] if kind.is_seen]
        if not self.seen or not self.case.targets[asked - 1].is_seen or len(self.seen) < len(readable):
            return None
        return self.seen[-1]

    def heard(self) -> Heard:
        """What the caller understands."""
        received, surface = self.received, self.case.surface
        is_stream = (received.one("content-type") or "").startswith("text/event-stream")
        if received.status == 200 and is_stream:
            return hear_stream(received.body, STREAMED[surface.inbound])
        try:
            return hear_whole(surface.inbound, received.body)
        except (KeyError, TypeError, IndexError) as error:
            return Heard(wrong=[f"an answer that no client can read: {error!r}"])


def judge(evidence: Evidence) -> list[Complaint]:
    """Everything that is wrong; an empty list is what one hopes for."""
    _, expected = evidence.case.walk()
    heard = evidence.heard()
    return [
        *_http(evidence, expected),
        *_targets(evidence),
        *_tokens(evidence, expected, heard),
        *_ending(evidence, expected, heard),
        *_headers(evidence, expected),
        *_bytes(evidence, expected, heard),
        *_record(evidence, expected, heard),
        *_work(evidence),
    ]


def judge_leaving(evidence: Evidence) -> list[Complaint]:
    """The same for a caller who left before the end."""
    found = []
    left_at = evidence.received.left_at
    if evidence.received.ended != "left":
        found.append(Complaint("wrong-status", f"the answer ended ({evidence.received.ended}) before the caller left"))
    waited = [seen for seen in evidence.seen if KINDS[seen.kind].group == "stall"]
    if not waited:
        found.append(Complaint("wrong-target", "the fault was never asked"))
    for seen in waited:
        after = seen.left_at - left_at
        if not seen.left_at:
            found.append(Complaint("late-cancel", f"request {seen.number} was never given up"))
        elif not 0 <= after <= LEAVES_WITHIN_S:
            found.append(Complaint("late-cancel", f"request {seen.number} was given up {after:.3f} s after the caller"))
    row = evidence.row
    if row is None:
        return [*found, Complaint("lost-usage", "there is no usage row")]
    if evidence.rows != 1:
        found.append(Complaint("wrong-record", f"there are {evidence.rows} usage rows"))
    if (row["status"], row["error_code"]) != (499, "client_closed"):
        found.append(Complaint("wrong-record", f"status {row['status']}, error {row['error_code']}"))
    if row["attempts"] != len(evidence.seen):
        found.append(Complaint("wrong-record", f"{row['attempts']} attempts, {len(evidence.seen)} were seen"))
    found += _estimated(row, len(_TOKEN.findall(evidence.heard().text)) if evidence.received.body else 0)
    return found


# ── What came back ──


def _http(evidence: Evidence, expected: Expected) -> Iterator[Complaint]:
    received = evidence.received
    if received.fault or received.ended != "closed":
        yield Complaint("broken-http", f"{received.fault or 'no fault'}, {received.ended}")
    elif not received.is_whole:
        yield Complaint("broken-http", "the body ends before its end")
    if received.status != expected.status:
        yield Complaint("wrong-status", f"{received.status}, not {expected.status}: {received.body[:300]!r}")
    if len(received.values("x-headworks-trace")) != 1:
        yield Complaint("lost-header", "x-headworks-trace")


def _targets(evidence: Evidence) -> Iterator[Complaint]:
    asked, _ = evidence.case.walk()
    wanted = [kind.name for kind in evidence.case.targets[:asked] if kind.is_seen]
    got = [seen.kind for seen in evidence.seen]
    if got != wanted:
        yield Complaint("wrong-target", f"{got} were asked, not {wanted}")


def _tokens(evidence: Evidence, expected: Expected, heard: Heard) -> Iterator[Complaint]:
    for wrong in heard.wrong:
        yield Complaint("changed-text", wrong)
    if not heard.text:
        if expected.how == "answer" and evidence.last is not None and evidence.last.text:
            yield Complaint("lost-token", "all of them")
        return
    owner = next((seen for seen in evidence.seen if seen.text.startswith(heard.text)), None)
    if owner is None:
        yield _diagnosed(evidence, heard)
        return
    if owner is not evidence.seen[-1]:
        yield Complaint("switch-after-output", f"{evidence.seen[-1].kind} was asked after {owner.kind} had spoken")
    if expected.how not in {"answer", "broken"}:
        yield Complaint("changed-text", f"text where there is no answer: {heard.text[:60]!r}")
    elif expected.is_exact and len(heard.text) < len(owner.text):
        missing = owner.text[len(heard.text) :]
        yield Complaint("lost-token", f"{missing[:60]!r} at the end")


def _diagnosed(evidence: Evidence, heard: Heard) -> Complaint:
    """Text that no attempt has sent: what happened to it?"""
    tokens = [(int(request), int(index)) for request, index in _TOKEN.findall(heard.text)]
    requests = list(dict.fromkeys(request for request, _ in tokens))
    if set(requests) - {seen.number for seen in evidence.seen}:
        return Complaint("foreign-token", f"of requests {requests}, which are not this caller's")
    if len(requests) > 1:
        return Complaint("switch-after-output", f"text of requests {requests} in one answer")
    indices = [index for _, index in tokens]
    if len(set(indices)) < len(indices):
        return Complaint("doubled-token", f"{indices}")
    if indices != list(range(len(indices))):
        return Complaint("lost-token", f"{indices}")
    return Complaint("changed-text", f"{heard.text[:120]!r}")


def _ending(evidence: Evidence, expected: Expected, heard: Heard) -> Iterator[Complaint]:
    last = evidence.last
    if heard.reason is not None and (last is None or heard.reason != last.reason):
        yield Complaint("invented-finish", f"{heard.reason}, where the provider said {last and last.reason}")
    if evidence.case.surface.is_native and heard.is_done and not (last and (last.is_terminal or _is_left_open(last))):
        yield Complaint("invented-finish", "a terminal event that the provider never sent")
    if expected.how == "answer":
        yield from _answered(evidence, heard)
    elif expected.how == "broken":
        if heard.error is None:
            yield Complaint("silent-truncation", "the stream just stops")
        if heard.reason is not None:
            yield Complaint("invented-finish", f"{heard.reason}, though the answer is broken")
    if expected.how != "answer" and heard.error is None and expected.how != "broken":
        yield Complaint("wrong-error", f"no error: {evidence.received.body[:200]!r}")
    if heard.error is not None:
        yield from _error(evidence, expected, heard)


def _answered(evidence: Evidence, heard: Heard) -> Iterator[Complaint]:
    last = evidence.last
    if heard.error is not None:
        yield Complaint("wrong-error", f"an error in a good answer: {heard.error}")
    if last is None:
        return
    if heard.reason != last.reason:
        yield Complaint("lost-finish", f"the provider said {last.reason}, the caller heard {heard.reason}")
    surface = evidence.case.surface
    must_end = last.is_terminal or _is_left_open(last) or not surface.is_native
    if must_end and surface.streams and not heard.is_done:
        yield Complaint("lost-finish", "the terminal event")
    is_told = surface.inbound in {"messages", "responses"} or not surface.streams or surface.asks_usage
    if is_told and surface.inbound != "embeddings" and last.counts is not None and heard.counts != last.counts:
        yield Complaint("wrong-usage", f"the caller heard {heard.counts}, the provider said {last.counts}")


def _is_left_open(seen: Seen) -> bool:
    """Whether the provider has finished its answer and left the stream for the gateway to end."""
    return seen.streams and seen.reason is not None and not seen.is_terminal and seen.left_at > 0 and not seen.closed


def _error(evidence: Evidence, expected: Expected, heard: Heard) -> Iterator[Complaint]:
    error, last = heard.error or {}, evidence.last
    if expected.code is not None:
        has_code = evidence.case.surface.inbound != "messages"  # whose errors have only a type
        if not error.get("message") or (has_code and error.get("code") != expected.code):
            yield Complaint("wrong-error", f"code {error.get('code')}, not {expected.code}: {error.get('message')}")
        if evidence.case.surface.inbound in {"chat", "completions", "embeddings"} and set(error) != {
            "message",
            "type",
            "param",
            "code",
        }:
            yield Complaint("wrong-error", f"the keys are {sorted(error)}")
    elif evidence.case.surface.is_native and last is not None and not _is_same_error(evidence, heard, last.error):
        yield Complaint("wrong-error", f"{heard.error_data[:200]} and not {last.error[:200]}")


def _is_same_error(evidence: Evidence, heard: Heard, sent: str) -> bool:
    """Byte for byte; but an error event of Responses has another shape than the body that tells it."""
    if heard.error_data == sent or evidence.received.status == 200 or evidence.case.surface.inbound != "responses":
        return heard.error_data == sent
    said = json.loads(sent)
    return all((heard.error or {}).get(name) == said[name] for name in ("message", "code"))


# ── Headers and bytes ──


def _headers(evidence: Evidence, expected: Expected) -> Iterator[Complaint]:
    last = evidence.last
    given = sorted((name, value) for name, value in (last.headers if last else ()) if _SURVIVE.fullmatch(name))
    got = sorted((name, value) for name, value in evidence.received.headers if _SURVIVE.fullmatch(name))
    if foreign := [each for each in got if each not in given]:
        yield Complaint("foreign-header", f"{foreign}, which the answering target did not send")
    tells = expected.how != "failed"
    for name, value in given:
        must_survive = tells or (name.startswith("retry-after") and expected.status >= 400)
        if must_survive and (name, value) not in got:
            yield Complaint("lost-header", f"{name}: {value}")
    kind = evidence.received.one("content-type") or ""
    if expected.how == "failed" and kind.partition(";")[0] != "application/json":
        yield Complaint("changed-type", f"an error of ours is {kind!r}")
    if expected.how == "answer" and last and evidence.case.surface.is_native:
        theirs = dict(last.headers).get("content-type")
        if kind != theirs:
            yield Complaint("changed-type", f"{kind!r}, not {theirs!r}")


def _bytes(evidence: Evidence, expected: Expected, heard: Heard) -> Iterator[Complaint]:
    """Same format in and out: what came in goes out. Without usage asked for, only its traces are taken out."""
    last, surface, body = evidence.last, evidence.case.surface, evidence.received.body
    if last is None or not surface.is_native or expected.how not in {"answer", "broken"}:
        return
    if not surface.streams:
        if body != last.sent:
            yield Complaint("changed-bytes", f"{body[:100]!r}… is not {last.sent[:100]!r}…")
        return
    if _is_left_open(last):
        body = body.removesuffix(_ENDINGS[surface.inbound])
    if expected.how == "broken" and expected.code is not None:
        body = _without_last_event(body, heard.error_data.encode())
    if surface.inbound not in {"chat", "completions"} or surface.asks_usage:
        if not last.sent.startswith(body):
            at = next((i for i, (a, b) in enumerate(zip(body, last.sent, strict=False)) if a != b), len(last.sent))
            yield Complaint("changed-bytes", f"from {at}: {body[at : at + 80]!r}, not {last.sent[at : at + 80]!r}")
        return
    sent = _without_usage(last.sent)
    if not sent.startswith(body):
        at = next((i for i, (a, b) in enumerate(zip(body, sent, strict=False)) if a != b), len(sent))
        yield Complaint("changed-bytes", f"usage aside, from {at}: {body[at : at + 80]!r}, not {sent[at : at + 80]!r}")
    if heard.counts is not None and evidence.case.kind != "usage-with-finish":
        yield Complaint("changed-bytes", "usage that the caller did not ask for")


def _without_last_event(body: bytes, data: bytes) -> bytes:
    """What came before the event that we have added ourselves."""
    if not body.endswith(data + b"\n\n"):
        return body
    return body[: body.rfind(b"\n\n", 0, len(body) - len(data) - 2) + 2] if body.count(b"\n\n") > 1 else b""


def _without_usage(body: bytes) -> bytes:
    """The bytes of a stream as it would be had nobody asked for usage: no chunk of its own, no `null` in the others."""
    kept, at = [], 0
    for end in END_OF_EVENT.finditer(body):
        event = body[at : end.end()]
        kept.append(b"" if _only_counts(event) else _without_null(event))
        at = end.end()
    return b"".join(kept) + body[at:]


def _only_counts(event: bytes) -> bool:
    for _, data in events_of(event)[0]:
        with suppress(ValueError):
            value = json.loads(data)
            return isinstance(value, dict) and value.get("choices") == [] and bool(value.get("usage"))
    return False


def _without_null(event: bytes) -> bytes:
    """An event without its own member `"usage": null`, and the comma that it needs no more."""
    depth, at = 0, 0
    while at < len(event):
        if event[at : at + 1] == b'"':
            word = _STRING.match(event, at)
            if word is None:
                return event
            null = _NULL.match(event, word.end())
            if depth == 1 and word[0] == b'"usage"' and null is not None:
                comma = event.rfind(b",", 0, at)
                is_first = event[comma + 1 : at].strip() != b""
                following = _COMMA.match(event, null.end())
                if is_first:
                    return event[:at] + event[following.end() if following else null.end() :]
                return event[:comma] + event[null.end() :]
            at = word.end()
            continue
        depth += (event[at : at + 1] in b"{[") - (event[at : at + 1] in b"}]")
        at += 1
    return event


# ── Our records ──


def _record(evidence: Evidence, expected: Expected, heard: Heard) -> Iterator[Complaint]:
    row = evidence.row
    if row is None or evidence.rows != 1:
        yield Complaint("lost-usage", f"there are {evidence.rows} usage rows")
        return
    asked, _ = evidence.case.walk()
    unread = sum(not kind.is_seen for kind in evidence.case.targets[:asked])
    if row["attempts"] != len(evidence.seen) + unread:
        yield Complaint("wrong-record", f"{row['attempts']} attempts, {len(evidence.seen)} of {asked} were seen")
    target = f"{evidence.case.surface.through}-{evidence.case.targets[asked - 1].name}"
    if (row["provider"], row["model"]) != (target, evidence.case.surface.model):
        yield Complaint("wrong-record", f"{row['provider']}/{row['model']}, not {target}")
    if row["streamed"] != evidence.case.surface.streams:
        yield Complaint("wrong-record", f"streamed is {row['streamed']}")
    if expected.how == "answer" and (row["status"], row["error_code"]) != (200, None):
        yield Complaint("wrong-record", f"status {row['status']}, error {row['error_code']}, of a good answer")
    if expected.how != "answer" and not row["error_code"]:
        yield Complaint("wrong-record", "no error code")
    if expected.how in {"refused", "passed", "failed"} and row["status"] != evidence.received.status:
        yield Complaint("wrong-record", f"status {row['status']}, the caller got {evidence.received.status}")
    yield from _usage(evidence, row, heard, has_answer=expected.how in {"answer", "broken"})


def _usage(evidence: Evidence, row: Mapping[str, Any], heard: Heard, *, has_answer: bool) -> Iterator[Complaint]:
    """What all attempts have counted; an answer that nobody has counted is estimated, other attempts cost nothing."""
    last = evidence.last if has_answer else None
    if has_answer and (last is None or last.counts is None):
        yield from _estimated(row, len(_TOKEN.findall(heard.text)))
        return
    counted = [
        (found, _kind(seen) in _STREAMS and seen is not last) for seen in evidence.seen if (found := _counted(seen))
    ]
    got, is_estimated = (row["input_tokens"], row["output_tokens"]), row["is_estimated"]
    if not counted:
        if got != (None, None) or row["cost_micro_usd"]:
            yield Complaint("wrong-usage", f"{got} at {row['cost_micro_usd']}, where nobody counted anything")
        return
    wanted = sum(found[0] for found, _ in counted), sum(found[1] for found, _ in counted)
    if got != wanted or is_estimated != any(has_no_end for _, has_no_end in counted):
        yield Complaint("wrong-usage", f"{got}, estimated {is_estimated}; the providers said {counted}")
    if not row["cost_micro_usd"] or not row["price_version"]:
        yield Complaint("no-cost", f"cost {row['cost_micro_usd']} by {row['price_version']}")


def _kind(seen: Seen) -> str:
    """What the provider called its answer."""
    return dict(seen.headers).get("content-type", "").partition(";")[0]


def _counted(seen: Seen) -> tuple[int, int] | None:
    """All that a provider counted of one request: Messages begins with a count, and often ends with none.

    Nothing, where it sent a stream to who asked for none, or called a stream something else: that is not read.
    """
    kind = _kind(seen)
    if (kind in _STREAMS) != seen.streams and (kind in _STREAMS or kind != "application/json"):
        return None
    if seen.counts is not None or seen.surface != "messages" or not seen.streams:
        return seen.counts
    begun = _BEGUN.search(seen.sent)
    return None if begun is None else (int(begun[1]), int(begun[2]))


def _estimated(row: Mapping[str, Any], tokens: int) -> Iterator[Complaint]:
    """Nobody has counted: we say so, and count what was seen."""
    if not row["input_tokens"] or row["output_tokens"] is None:
        yield Complaint("lost-usage", f"{row['input_tokens']} tokens of input, {row['output_tokens']} of output")
        return
    if not row["is_estimated"]:
        yield Complaint("wrong-usage", "an estimate that is not called one")
    if row["output_tokens"] < tokens:
        yield Complaint("lost-usage", f"{row['output_tokens']} tokens of output, {tokens} were delivered")
    if not row["cost_micro_usd"]:
        yield Complaint("no-cost", f"cost {row['cost_micro_usd']} of a model with a price")


def _work(evidence: Evidence) -> Iterator[Complaint]:
    """What has no end of its own must have been given up."""
    for seen, kind in zip(evidence.seen, [kind for kind in evidence.case.targets if kind.is_seen], strict=False):
        if kind.group == "stall" and not seen.closed and not seen.left_at:
            yield Complaint("late-cancel", f"request {seen.number} ({kind.name}) was never given up")
