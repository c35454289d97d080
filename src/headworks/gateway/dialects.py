"""What callers may speak to us: one row per path, with what the request path must know of its format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from headworks.errors import HeadworksError, InvalidRequest, UpstreamRejected
from headworks.formats.chat.format import CHAT
from headworks.formats.chat.judging import judge as judge_openai
from headworks.formats.completions.format import COMPLETIONS
from headworks.formats.contract import Heard, Native, Verdict
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import Failed, FormatName
from headworks.formats.responses.format import RESPONSES
from headworks.gateway.wire.bodies import Body, wrong_type
from headworks.gateway.wire.verdicts import judge_results
from headworks.providers.contract import Surface


class Format(Heard, Native, Protocol):
    """A format that can be translated, and passed through."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """A path with its format. `fields` must be there, each starting with one of the bytes beside it.

    `format` is None where bytes only ever pass through. `caps` are the names of the cap on output; `asks_usage`: usage
    comes in a stream only for who asks for it. `names_user`: where the end user is named, beside `user`. `kind`: of the
    model that is meant where none is named; None: one has to be.
    """

    surface: Surface
    path: str
    format: Format | None = None
    fields: tuple[tuple[str, bytes, str], ...] = ()
    caps: tuple[str, ...] = ()
    asks_usage: bool = False
    can_stream: bool = True
    id_prefix: str = ""
    names_user: str = "safety_identifier"
    kind: str | None = None
    judge: Callable[[bytes], Verdict]
    error_body: Callable[[HeadworksError | Failed], bytes]
    error_event: Callable[[HeadworksError], bytes]

    @property
    def name(self) -> FormatName | None:
        """The format's; None: bytes only pass through."""
        return None if self.format is None else self.format.name

    def body_of(self, error: HeadworksError) -> bytes:
        """An error's body: a provider's own words where it gave some, which are in this format already."""
        if isinstance(error, UpstreamRejected) and error.body:
            return error.body
        return self.error_body(error)

    def check(self, body: Body) -> None:
        """The fields that we act on ourselves; the others are the provider's to judge. Raises InvalidRequest."""
        for name, starts, kind in self.fields:
            value = body.members.get(name)
            if value is None:
                raise InvalidRequest(f"`{name}` is required.", param=name, code="missing_field")
            if memoryview(value)[0] not in starts:
                raise wrong_type(name, kind)
            if len(value) < _SHORTEST and kind == _ARRAY and not bytes(value)[1:-1].strip():
                raise InvalidRequest(f"`{name}` is empty.", param=name, code="missing_field")


_SHORTEST = 32
"""No message is written in fewer bytes."""
_ARRAY = "an array"


def _data_event(error: HeadworksError) -> bytes:
    return b"data: " + b"".join(CHAT.error_body(error).splitlines()) + b"\n\n"


_MESSAGES = ("messages", b"[", _ARRAY)
CHAT_DIALECT = Dialect(
    surface="chat",
    path="/v1/chat/completions",
    format=CHAT,
    fields=(_MESSAGES,),
    caps=("max_tokens", "max_completion_tokens"),
    asks_usage=True,
    id_prefix="chatcmpl-",
    judge=CHAT.judge,
    error_body=CHAT.error_body,
    error_event=_data_event,
)
EMBEDDINGS_DIALECT = Dialect(
    surface="embeddings",
    path="/v1/embeddings",
    fields=(("input", b'"[', "a text or an array"),),
    can_stream=False,
    judge=judge_openai,
    error_body=CHAT.error_body,
    error_event=_data_event,
)


def _rerank(path: str) -> Dialect:
    """Cohere's request, which Jina, vLLM and others understand, too."""
    return Dialect(
        surface="rerank",
        path=path,
        fields=(("query", b'"{', "a text or an object"), ("documents", b"[", _ARRAY)),
        can_stream=False,
        judge=judge_results,
        error_body=CHAT.error_body,
        error_event=_data_event,
    )


RERANK_DIALECT = _rerank("/v1/rerank")
DIALECTS: tuple[Dialect, ...] = (
    CHAT_DIALECT,
    Dialect(
        surface="completions",
        path="/v1/completions",
        format=COMPLETIONS,
        fields=(("prompt", b'"[', "a text or an array"),),
        caps=("max_tokens",),
        asks_usage=True,
        id_prefix="cmpl-",
        judge=COMPLETIONS.judge,
        error_body=COMPLETIONS.error_body,
        error_event=_data_event,
    ),
    Dialect(
        surface="responses",
        path="/v1/responses",
        format=RESPONSES,
        caps=("max_output_tokens",),
        id_prefix="resp_",
        judge=RESPONSES.judge,
        error_body=RESPONSES.error_body,
        error_event=lambda error: RESPONSES.writer().fail(error),
    ),
    Dialect(
        surface="messages",
        path="/v1/messages",
        format=MESSAGES,
        fields=(_MESSAGES,),
        caps=("max_tokens",),
        id_prefix="msg_",
        names_user="metadata",
        judge=MESSAGES.judge,
        error_body=MESSAGES.error_body,
        error_event=lambda error: b"event: error\ndata: " + MESSAGES.error_body(error) + b"\n\n",
    ),
    EMBEDDINGS_DIALECT,
    RERANK_DIALECT,
    _rerank("/v2/rerank"),
    Dialect(
        surface="moderations",
        path="/v1/moderations",
        kind="moderation",
        fields=(("input", b'"[{', "a text, an object or an array"),),
        can_stream=False,
        judge=judge_results,
        error_body=CHAT.error_body,
        error_event=_data_event,
    ),
)
