"""Converse, as everybody uses it: CONVERSE."""

from __future__ import annotations

from collections.abc import Iterable

from headworks.formats.contract import Written
from headworks.formats.converse import answers, requests, streams
from headworks.formats.neutral import Answer, Failed, FormatName, Request


class Converse:
    """See contract.Spoken: providers understand it, callers do not speak it."""

    name: FormatName = "converse"

    def write_request(self, request: Request) -> Written:
        """See contract.Spoken. The same body asks for a whole answer and for a stream."""
        return requests.write_request(request)

    def read_answer(self, body: bytes) -> Answer:
        """See contract.Spoken."""
        return streams.read_answer(body)

    def reader(self) -> streams.Reader:
        """See contract.Spoken."""
        return streams.Reader()

    def read_error(self, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> Failed | None:
        """See contract.Spoken. Amazon often names the kind of an error in the answer's `headers` only."""
        return answers.read_error(status, body, headers)


CONVERSE = Converse()
