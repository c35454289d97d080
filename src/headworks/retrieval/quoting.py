"""Citations of an answer while it streams: each marker becomes a verified quote, or it is taken out of the text.

A model marks what it takes from passage n with `[n]`. For each completed marker the sentences of the passage that cover
its claim best are found, the stored text is read again *under the caller's rights*, and the quote must stand there
byte for byte. What fails is removed together with the space before it, and counted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from uuid import UUID

from headworks.retrieval.freshness import staleness
from headworks.retrieval.passages.citations import SUPPORT_FLOOR, Quotable, Quote, WordWeights, content, language_of
from headworks.retrieval.passages.groundedness import Sources, measured
from headworks.retrieval.passages.markers import Claims, Marker, MarkerScanner
from headworks.retrieval.store import SQL, Payloads, StoredText
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.retrieval import Citation, Groundedness, Passage

MOST_MARKERS = 1_000
"""Of one answer that are looked at: the rest are taken out, too."""
_LONG = 20_000
"""Characters of an answer that are measured beside the event loop."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of an answer, ready to be shown; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A passage that a marker names, with the quote that would be cited."""

    passage: Passage
    quote: Quote


class Ready:
    """The passages of a request, each made ready to be quoted when it is first needed."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = {passage.number: passage for passage in passages}
        texts = [passage.text for passage in passages]
        self.weights = WordWeights(texts, language_of(texts))
        self._quotable: dict[int, Quotable] = {}

    def quotable(self, number: int) -> Quotable:
        """The passage with this number."""
        found = self._quotable.get(number)
        if found is None:
            passage = self.passages[number]
            context = " ".join((passage.title, *passage.section))
            found = self._quotable[number] = Quotable(passage.text, self.weights, context)
        return found

    @cached_property
    def sources(self) -> Sources:
        """All of them, for the measure of an answer."""
        return Sources({number: self.quotable(number) for number in self.passages}, self.weights)


class CitationStream:
    """One answer: feed it as it comes. However it is split, the same text and citations come out.

    Offsets of markers count the characters of the text that comes out.
    """

    def __init__(
        self, db: Database, keyring: Keyring, principal: Principal, passages: Sequence[Passage] | Ready
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._principal = principal
        self._ready = passages if isinstance(passages, Ready) else Ready(passages)
        self._scanner = MarkerScanner()
        self._claims = Claims(content)
        self._markers = 0
        self._space = ""  # at the end of what came so far: goes with a marker that is taken out
        self._shown = 0
        self._answer: list[str] = []
        self._citations: list[Citation] = []
        self._texts: dict[tuple[UUID, int], StoredText] = {}
        self._stale: dict[tuple[UUID, int], str] = {}
        self.kept = 0
        self.unknown = 0
        """Markers with a number that no passage has."""
        self.unsupported = 0
        """Markers whose passage does not say what they claim."""
        self.unreadable = 0
        """Markers whose passage may no longer be read, or no longer stands in the stored text."""
        self.excess = 0
        """Markers beyond the number that is looked at."""
        self.groundedness = Groundedness()
        """Of all of the answer, once it is finished."""

    @property
    def dropped(self) -> int:
        """Markers on a passage that were taken out."""
        return self.unsupported + self.unreadable + self.excess

    async def feed(self, text: str) -> list[Piece | Citation]:
        """What is certain after this part of the answer: text, and each citation after the text that it belongs to."""
        self._claims.feed(text)
        return await self._resolve(self._scanner.feed(text))

    async def finish(self) -> list[Piece | Citation]:
        """What was held back; measures the answer."""
        out = await self._resolve(self._scanner.finish())
        self._show(self._space, out)
        self._space = ""
        answer = "".join(self._answer)
        of_answer = (answer, self._citations, self._ready.sources)
        self.groundedness = (
            measured(*of_answer) if len(answer) < _LONG else await asyncio.to_thread(measured, *of_answer)
        )
        return out

    def again(self) -> CitationStream:
        """For another answer over the same passages."""
        return CitationStream(self._db, self._keyring, self._principal, self._ready)

    async def _resolve(self, found: Sequence[str | Marker]) -> list[Piece | Citation]:
        candidates = {each: self._candidates(each) for each in found if isinstance(each, Marker)}
        await self._read_again([one for several in candidates.values() for one in several])
        out: list[Piece | Citation] = []
        for each in found:
            if isinstance(each, Marker):
                self._put_marker(each, candidates[each], out)
            else:
                self._put_text(each, out)
        return _joined(out)

    def _candidates(self, marker: Marker) -> list[_Candidate]:
        """The quotes that a marker may stand for; counts what has none."""
        self._markers += 1
        if self._markers > MOST_MARKERS:
            self.excess += len(marker.numbers)
            return []
        claim = self._claims.of(marker)
        candidates: list[_Candidate] = []
        for number in marker.numbers:
            passage = self._ready.passages.get(number)
            if passage is None:
                self.unknown += 1
                continue
            quote = self._ready.quotable(number).best(claim)
            if quote is None or quote.support < SUPPORT_FLOOR:
                self.unsupported += 1
            else:
                candidates.append(_Candidate(passage, quote))
        return candidates

    async def _read_again(self, candidates: Sequence[_Candidate]) -> None:
        """One statement under the caller's rights, now: what it does not give back may not be cited."""
        wanted = sorted({(one.passage.document, one.passage.version) for one in candidates})
        known, self._texts = self._texts, {}
        if not wanted:
            return
        await self._keyring.ensure(self._db, self._principal.tenant)
        async with self._db.tx(self._principal) as tx:
            rows = await tx.fetch_all(
                SQL.read_texts,
                tenant=self._principal.tenant,
                documents=[document for document, _ in wanted],
                versions=[version for _, version in wanted],
            )
        payloads = Payloads(self._keyring, self._principal.tenant)
        for row in rows:
            at = (row.document_id, row.version)
            self._texts[at] = known.get(at) or payloads.open_text(*at, row.content)
            settings = {"freshness": row.freshness or {}, "sources": row.sources or []}
            self._stale[at] = staleness(settings, row.source, row.confirmed_at, row.review_at, row.now)

    def _put_marker(self, marker: Marker, candidates: Sequence[_Candidate], out: list[Piece | Citation]) -> None:
        verified = [one for one in candidates if self._stands(one)]
        self.unreadable += len(candidates) - len(verified)
        if not verified:
            self._space = ""
            return
        self._show(self._space, out)
        self._space = ""
        is_whole = len(verified) == len(marker.numbers)
        raw = marker.raw if is_whole else f"[{', '.join(str(one.passage.number) for one in verified)}]"
        start = self._shown
        self._show(raw, out)
        self.kept += len(verified)
        cited = [
            replace(
                _citation(one, start, self._shown, self._stored(one.passage)),
                stale=self._stale[one.passage.document, one.passage.version],
            )
            for one in verified
        ]
        self._citations += cited
        out.extend(cited)

    def _stands(self, one: _Candidate) -> bool:
        """Whether the quote stands in the stored text where the passage says."""
        stored = self._texts.get((one.passage.document, one.passage.version))
        start, end = one.passage.start + one.quote.start, one.passage.start + one.quote.end
        return stored is not None and stored.text[start:end] == one.passage.text[one.quote.start : one.quote.end] != ""

    def _stored(self, passage: Passage) -> StoredText:
        return self._texts[passage.document, passage.version]

    def _put_text(self, text: str, out: list[Piece | Citation]) -> None:
        """Text without the spaces at its end, which wait for what follows."""
        text = self._space + text
        solid = text.rstrip(" ")
        self._space = text[len(solid) :]
        self._show(solid, out)

    def _show(self, text: str, out: list[Piece | Citation]) -> None:
        if text:
            out.append(Piece(text))
            self._answer.append(text)
            self._shown += len(text)


def _citation(one: _Candidate, marker_start: int, marker_end: int, stored: StoredText) -> Citation:
    passage, quote = one.passage, one.quote
    text = passage.text[quote.start : quote.end]
    start, end = passage.start + quote.start, passage.start + quote.end
    return Citation(
        number=passage.number,
        document=passage.document,
        version=passage.version,
        path=passage.path,
        title=passage.title,
        section=passage.section,
        start=start,
        end=end,
        quote=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        support=quote.support,
        marker_start=marker_start,
        marker_end=marker_end,
        page=stored.page_of(start),
        areas=stored.areas_of(start, end),
    )


def _joined(out: list[Piece | Citation]) -> list[Piece | Citation]:
    """Neighbouring texts as one."""
    joined: list[Piece | Citation] = []
    for each in out:
        last = joined[-1] if joined else None
        if isinstance(each, Piece) and isinstance(last, Piece):
            joined[-1] = Piece(last.text + each.text)
        else:
            joined.append(each)
    return joined
