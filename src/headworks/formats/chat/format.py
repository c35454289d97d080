"""Chat Completions as a whole: heard from callers, spoken to providers, and passed through."""

from __future__ import annotations

from headworks.errors import HeadworksError
from headworks.formats.chat import answers, errors, requests
from headworks.formats.chat.called import ChatCalled
from headworks.formats.chat.judging import judge
from headworks.formats.chat.streams import ChatReader
from headworks.formats.chat.watching import ChatWatch
from headworks.formats.chat.writing import ChatWriter
from headworks.formats.contract import Calling, Verdict, Written
from headworks.formats.neutral import Answer, Failed, FormatName, Request


class Chat:
    """See contract.Heard, contract.Spoken and contract.Native."""

    name: FormatName = "chat"
    calling: Calling | None = ChatCalled()

    def __init__(self, *, cap: str = requests.CAPS[1], accepts: frozenset[str] = frozenset()) -> None:
        """For a target that knows the cap on output by the name `cap`.

        `accepts`: members beyond OpenAI's that it understands: `top_k`, `cache_control`, `prompt_cache_breakpoint`.
        """
        self._cap = cap
        self._accepts = accepts

    def read_request(self, body: bytes) -> Request:
        """See contract.Heard."""
        return requests.read_request(body)

    def write_answer(self, answer: Answer, request: Request | None = None) -> bytes:
        """See contract.Heard. `request`: for callers who still offer `functions`."""
        return answers.write_answer(answer, request)

    def writer(self, request: Request) -> ChatWriter:
        """See contract.Heard."""
        return ChatWriter(request)

    def error_body(self, error: HeadworksError | Failed) -> bytes:
        """See contract.Heard."""
        return errors.error_body(error)

    def write_request(self, request: Request) -> Written:
        """See contract.Spoken."""
        return requests.write_request(request, cap=self._cap, accepts=self._accepts)

    def read_answer(self, body: bytes) -> Answer:
        """See contract.Spoken. Raises Unmapped for several choices."""
        return answers.read_answer(body)

    def reader(self) -> ChatReader:
        """See contract.Spoken."""
        return ChatReader()

    def read_error(self, status: int, body: bytes) -> Failed | None:
        """See contract.Spoken."""
        return errors.read_error(status, body)

    def judge(self, body: bytes) -> Verdict:
        """See contract.Native."""
        return judge(body)

    def watch(self, *, strips_usage: bool = False) -> ChatWatch:
        """See contract.Native."""
        return ChatWatch(strips_usage=strips_usage)


CHAT = Chat()
