"""Completions as a whole: heard from callers, and passed through."""

from __future__ import annotations

from headworks.errors import HeadworksError
from headworks.formats.chat.errors import error_body
from headworks.formats.chat.judging import judge
from headworks.formats.chat.watching import ChatWatch
from headworks.formats.completions import answers, requests
from headworks.formats.contract import Calling, Verdict
from headworks.formats.neutral import Answer, Failed, FormatName, Request


class Completions:
    """See contract.Heard and contract.Native. Errors, usage and the end of a stream are those of Chat Completions."""

    name: FormatName = "completions"
    calling: Calling | None = None

    def read_request(self, body: bytes) -> Request:
        """See contract.Heard. Raises Unmapped for several prompts and for tokens."""
        return requests.read_request(body)

    def write_answer(self, answer: Answer, request: Request | None = None) -> bytes:  # noqa: ARG002 -- as the contract
        """See contract.Heard."""
        return answers.write_answer(answer)

    def writer(self, request: Request) -> answers.CompletionWriter:
        """See contract.Heard."""
        return answers.CompletionWriter(request)

    def error_body(self, error: HeadworksError | Failed) -> bytes:
        """See contract.Heard."""
        return error_body(error)

    def judge(self, body: bytes) -> Verdict:
        """See contract.Native."""
        return judge(body)

    def watch(self, *, strips_usage: bool = False) -> ChatWatch:
        """See contract.Native."""
        return ChatWatch(strips_usage=strips_usage)


COMPLETIONS = Completions()
