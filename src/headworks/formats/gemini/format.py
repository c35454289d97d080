"""Gemini's format, as providers speak it."""

from __future__ import annotations

from headworks.formats.contract import Reader, Written
from headworks.formats.gemini import answers, requests, streams
from headworks.formats.neutral import Answer, Failed, FormatName, Request


class _Gemini:
    """generateContent, whole and streamed; see contract.Spoken."""

    name: FormatName = "gemini"

    def write_request(self, request: Request) -> Written:
        """See contract.Spoken. The model and whether it streams stand in the address, not in the body."""
        return requests.write_request(request)

    def read_answer(self, body: bytes) -> Answer:
        """See contract.Spoken."""
        return streams.read_answer(body)

    def reader(self) -> Reader:
        """See contract.Spoken."""
        return streams.Reader()

    def read_error(self, status: int, body: bytes) -> Failed | None:
        """See contract.Spoken."""
        return answers.read_error(status, body)


GEMINI = _Gemini()
