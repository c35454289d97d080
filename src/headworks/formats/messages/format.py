"""Anthropic's Messages: heard from callers and spoken to providers."""

from __future__ import annotations

import msgspec

from headworks.errors import HeadworksError
from headworks.formats.contract import Calling, Verdict, Written
from headworks.formats.messages import answers, bodies, errors, requests, thoughts
from headworks.formats.messages.called import MessagesCalled
from headworks.formats.messages.reading import MessagesReader
from headworks.formats.messages.streams import MessagesWriter
from headworks.formats.messages.watching import MessagesWatch
from headworks.formats.neutral import Answer, Failed, FormatName, Request


class _Count(msgspec.Struct, gc=False):
    input_tokens: int


_count = msgspec.json.Decoder(_Count).decode


class Messages:
    """See contract.py: Heard, Spoken and Native; and the counting of a request's tokens, which only this format has."""

    name: FormatName = "messages"
    calling: Calling | None = MessagesCalled()

    def read_request(self, body: bytes) -> Request:
        """See contract.Heard."""
        return requests.read_request(body)

    def read_count_request(self, body: bytes) -> Request:
        """A request of `/v1/messages/count_tokens`; `max_output` is None. Raises InvalidRequest."""
        return requests.read_request(body, counts=True)

    def write_request(self, request: Request, *, default_max_output: int = bodies.DEFAULT_MAX_OUTPUT) -> Written:
        """See contract.Spoken; `default_max_output` stands where the caller set no limit, as Anthropic wants one."""
        return bodies.write_request(request, default_max_output=default_max_output)

    def write_count_request(self, request: Request) -> Written:
        """The body for `/v1/messages/count_tokens`. Raises Unmapped."""
        return bodies.write_request(request, counts=True)

    def carries_foreign_thoughts(self, body: bytes) -> bool:
        """Whether a request gives back what another format's model thought: such bytes don't go to Anthropic."""
        return thoughts.carries_foreign_thoughts(body)

    def read_answer(self, body: bytes) -> Answer:
        """See contract.Spoken."""
        return answers.read_answer(body)

    def write_answer(self, answer: Answer, request: Request | None = None) -> bytes:  # noqa: ARG002 -- as the contract
        """See contract.Heard."""
        return answers.write_answer(answer)

    def read_count(self, body: bytes) -> int:
        """The tokens of a counted request. Raises UpstreamError."""
        try:
            return _count(body).input_tokens
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise answers.unreadable(error) from None

    def write_count(self, tokens: int) -> bytes:
        """The answer of `/v1/messages/count_tokens`."""
        return b'{"input_tokens":%d}' % tokens

    def reader(self) -> MessagesReader:
        """See contract.Spoken."""
        return MessagesReader()

    def writer(self, request: Request) -> MessagesWriter:  # noqa: ARG002 -- other formats ask the request for more
        """See contract.Heard."""
        return MessagesWriter()

    def error_body(self, error: HeadworksError | Failed) -> bytes:
        """See contract.Heard."""
        return errors.error_body(error)

    def read_error(self, status: int, body: bytes) -> Failed | None:
        """See contract.Spoken."""
        return errors.read_error(status, body)

    def judge(self, body: bytes) -> Verdict:
        """See contract.Native."""
        return answers.judge(body)

    def watch(self, *, strips_usage: bool = False) -> MessagesWatch:  # noqa: ARG002 -- usage is always the caller's
        """See contract.Native."""
        return MessagesWatch()


MESSAGES = Messages()
