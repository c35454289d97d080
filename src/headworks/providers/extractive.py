"""`builtin/extractive`: answers with exact quotes from the numbered passages. Honest, deterministic, offline.

It writes no sentence of its own but the heading, so what it says is always what a document says. Which sentences come
closest is decided by the function that app.py injects (retrieval lies above).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from headworks.providers.contract import Ask
from headworks.providers.openai_format import EVENT_HEADERS, JSON_HEADERS, Counts, LocalAnswer, Reply, paced
from headworks.providers.responses import Headers
from headworks.types.retrieval import Passage, without_markers

HEADING = "Closest passages:"
NOTHING = f"{HEADING} none. Nothing that you may read here comes close to this question."


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a passage, word for word; `number` is the passage's."""

    number: int
    text: str


Extract = Callable[[str, Sequence[Passage]], Iterable[Quote]]
"""The sentences that come closest to a question, best first."""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Request(msgspec.Struct):
    stream_options: _StreamOptions | None = None


class Extractive:
    """The model. It reads the passages of a feature's prompt; called without any it finds nothing."""

    def __init__(self, extract: Extract) -> None:
        self._extract = extract

    async def fetch(self, ask: Ask) -> tuple[int, Headers, bytes]:
        """See contract.Provider."""
        return 200, JSON_HEADERS, self._reply(ask).as_completion()

    async def stream(self, ask: Ask) -> LocalAnswer:
        """See contract.Provider."""
        options = msgspec.json.decode(ask.body, type=_Request).stream_options
        with_usage = options is not None and options.include_usage is True
        return LocalAnswer(200, EVENT_HEADERS, paced(self._reply(ask).as_events(with_usage=with_usage)))

    def _reply(self, ask: Ask) -> Reply:
        prompt = ask.prompt
        passages = prompt.passages if prompt else ()
        quotes = list(self._extract(prompt.question, passages)) if prompt and passages else []
        pieces = pieces_of(quotes)
        words = sum(len(passage.text.split()) for passage in passages)
        counts = Counts(prompt=words, completion=sum(len(piece.split()) for piece in pieces))
        return Reply(f"chatcmpl-{hashlib.sha256(ask.body).hexdigest()[:24]}", ask.model, pieces, "stop", counts)


def pieces_of(quotes: Sequence[Quote]) -> list[str]:
    """The answer in the pieces of its stream: the heading, then quote after quote with its marker.

    What looks like a marker in a quote is escaped, as Markdown does it: it is the document's.
    """
    if not quotes:
        return [NOTHING]
    return [HEADING, *(f"\n\n“{without_markers(quote.text)}” [{quote.number}]" for quote in quotes)]
