"""What the gateway asks of the rooms that app.py puts beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from headworks.types.features import Feature, RetrievalSettings, Route, Target
from headworks.types.identity import Principal
from headworks.types.ids import Digest, TenantId
from headworks.types.models import Message, Prompt
from headworks.types.records import Span, UsageRow
from headworks.types.retrieval import Citation, Groundedness, Passage
from headworks.types.workspace import AccountSpec


class Recorder(Protocol):
    """Implemented by records.service: one journal record per request."""

    def write(self, row: UsageRow, spans: Sequence[Span] = ()) -> None:
        """Written when this returns. Raises Unavailable when it can't be."""
        ...

    def gather(self, row: UsageRow) -> None:
        """Written by the next `flush`, which comes before the last byte of the request's answer."""
        ...

    def flush(self) -> None:
        """What was gathered is written when this returns. Raises Unavailable when it can't be, for all of it."""
        ...


class LateRecorder(Recorder, Protocol):
    """One that takes what is found out after a request, too."""

    def add(self, spans: Sequence[Span]) -> None:
        """Spans of a request whose record is written already. Written when this returns; raises as `write`."""
        ...


class Head(Protocol):
    """The head that a connection's requests repeat."""

    notes: Any
    """What was made of the headers once, None before."""


class Arrived(Protocol):
    """A POST that has arrived whole, with the connection to answer it on. Implemented by the server's HTTP protocol."""

    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""

    @property
    def body(self) -> bytes:
        """All of it."""
        ...

    @property
    def head(self) -> Head | None:
        """The one of this request, where others of the connection had the same."""
        ...

    def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """The whole answer at once; its content-length is added."""
        ...

    def begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """The head of an answer in pieces, where that takes no waiting; False: it does, or is not so simple."""
        ...

    def write(self, piece: bytes) -> bool:
        """As `begin`, a piece of the answer."""
        ...

    def finish(self, piece: bytes) -> bool:
        """As `begin`, the last piece, which may be empty."""
        ...

    async def send(self, message: Any) -> None:  # noqa: ANN401 -- an ASGI message
        """An answer in pieces, as ASGI has it."""
        ...

    def when_left(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once if the caller leaves before the answer is complete."""
        ...

    def let_go(self) -> None:
        """Headers and body are not read any more."""
        ...


class Piece(Protocol):
    """Text of an answer, ready to be shown."""

    @property
    def text(self) -> str:
        """Never empty."""
        ...


class CitationStream(Protocol):
    """Implemented by retrieval: an answer goes in as it comes, text and verified citations come out."""

    @property
    def dropped(self) -> int:
        """Markers whose passage does not support the claim, or could not be re-read."""
        ...

    @property
    def unknown(self) -> int:
        """Markers with a number that no passage has."""
        ...

    async def feed(self, text: str) -> Sequence[Piece | Citation]:
        """What is certain now."""
        ...

    @property
    def groundedness(self) -> Groundedness:
        """Of the whole answer, once it is finished."""
        ...

    async def finish(self) -> Sequence[Piece | Citation]:
        """What was held back; the answer is measured."""
        ...

    def again(self) -> CitationStream:
        """For another answer over the same passages."""
        ...


class Found(Protocol):
    """Implemented by retrieval.contract.SearchResult."""

    @property
    def passages(self) -> list[Passage]:
        """The best first, numbered from 1."""
        ...

    @property
    def notice(self) -> str:
        """What kept something out of the search, as a sentence for the caller; empty: nothing did."""
        ...


class Retriever(Protocol):
    """Implemented by retrieval.service."""

    async def passages(
        self,
        principal: Principal,
        settings: RetrievalSettings,
        question: str,
        trace: UUID,
        *,
        history: Sequence[Message],
        inputs: Mapping[str, object],
    ) -> Found:
        """What the caller may read and what fits. `inputs` are what the feature's filter may name."""
        ...

    def citing(self, principal: Principal, passages: Sequence[Passage]) -> CitationStream:
        """Resolves the markers of one answer under the caller's rights."""
        ...


class Renderer(Protocol):
    """releases.prompts.render."""

    def __call__(
        self,
        feature: Feature,
        question: str,
        history: Sequence[Message] = (),
        inputs: Mapping[str, Any] | None = None,
        passages: Sequence[Passage] = (),
    ) -> Prompt:
        """The prompt of one call; InvalidRequest where inputs are wrong or the template fails."""
        ...


class InputCheck(Protocol):
    """releases.prompts.check_inputs."""

    def __call__(self, feature: Feature, given: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs with defaults filled in; InvalidRequest that names the wrong one."""
        ...


class Pins(Protocol):
    """Implemented by releases.service."""

    async def pinned(self, tenant: TenantId, digest: Digest) -> Feature | None:
        """The feature of any release ever made."""
        ...


class RouteOf(Protocol):
    """The one-target route that `provider/model` stands for, with its digest."""

    def __call__(self, target: Target) -> Route:
        """Pure."""
        ...


class LiveReleases(Protocol):
    """releases.table.ReleaseTable: what is live in all tenants; immutable."""

    @property
    def features(self) -> Mapping[tuple[TenantId, str], Mapping[str, Feature]]:
        """By (tenant, name), then by channel."""
        ...

    @property
    def routes(self) -> Mapping[tuple[TenantId, str], Route]:
        """By (tenant, name)."""
        ...

    @property
    def accounts(self) -> Mapping[tuple[TenantId, str], AccountSpec]:
        """By (tenant, name)."""
        ...
