"""Responses, gathered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from headworks.errors import HeadworksError
from headworks.formats.contract import Calling, Heard, Native, Spoken, Verdict, Written
from headworks.formats.neutral import Answer, Failed, FormatName, Request
from headworks.formats.responses import answers, endings, references, requests, thoughts
from headworks.formats.responses.called import ResponsesCalled
from headworks.formats.responses.streams import ResponsesReader
from headworks.formats.responses.watching import ResponsesWatch
from headworks.formats.responses.writing import ResponsesWriter


class Responses:
    """OpenAI Responses and Open Responses: heard from callers, spoken to providers, passed on between them."""

    name: FormatName = "responses"
    calling: Calling | None = ResponsesCalled()

    def read_request(self, body: bytes) -> Request:
        """Raises InvalidRequest that names the field."""
        return requests.read_request(body)

    def write_request(self, request: Request) -> Written:
        """Raises Unmapped that names what can't be said."""
        return requests.write_request(request)

    def input_items(self, body: bytes) -> list[msgspec.Raw]:
        """The items of a request's input, to be stored with its response. Raises InvalidRequest."""
        return requests.input_items(body)

    def following(self, request: Request, items: Sequence[msgspec.Raw]) -> Request:
        """The same request with these items before its own, in place of `previous_response_id`."""
        return requests.following(request, items)

    def carries_foreign_thoughts(self, body: bytes) -> bool:
        """Whether a request gives back what another format's model thought: such bytes don't go to a provider."""
        return thoughts.carries_foreign_thoughts(body)

    def judge(self, body: bytes) -> Verdict:
        """What a whole answer is. Raises msgspec.DecodeError."""
        return answers.judge(body)

    def read_answer(self, body: bytes) -> Answer:
        """Raises UpstreamError for what is no answer of the format."""
        return answers.read_answer(body)

    def write_answer(self, answer: Answer, request: Request | None = None) -> bytes:
        """The JSON form; a response echoes its `request`. Raises Unmapped."""
        return answers.write_answer(answer, request)

    def response_id(self, body_or_event: bytes) -> str | None:
        """The id of a response, from its JSON or from an event that holds it; None where there is none."""
        return answers.response_id(body_or_event)

    def references(self, body: bytes) -> list[str]:
        """The ids of the items that a request's input only names."""
        return references.references(body)

    def resolved(self, body: bytes, items: Mapping[str, msgspec.Raw]) -> bytes:
        """The request with these items in the place of their references."""
        return references.resolved(body, items)

    def item_ids(self, body_or_event: bytes) -> list[str]:
        """The ids of a response's items, from its JSON; of the one that is done, from an event."""
        return references.item_ids(body_or_event)

    def items_of(self, response: bytes) -> dict[str, msgspec.Raw]:
        """The items of a whole response by their ids."""
        return references.items_of(response)

    def read_error(self, status: int, body: bytes) -> Failed | None:
        """An error body in the format's shape, None for anything else."""
        return endings.read_error(status, body)

    def error_body(self, error: HeadworksError | Failed) -> bytes:
        """An error as the format's JSON body."""
        return endings.error_body(error)

    def watch(self, *, strips_usage: bool = False) -> ResponsesWatch:  # noqa: ARG002 -- usage is never asked for here
        """For one stream that goes through."""
        return ResponsesWatch()

    def reader(self) -> ResponsesReader:
        """For one stream of a provider."""
        return ResponsesReader()

    def writer(self, request: Request | None = None, *, response_id: str | None = None) -> ResponsesWriter:
        """For the stream that answers this request."""
        return ResponsesWriter(request, response_id=response_id)


RESPONSES = Responses()
_heard: Heard = RESPONSES
_spoken: Spoken = RESPONSES
_native: Native = RESPONSES
