"""Traces as their viewers may see them, for those who look at what was asked and answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from headworks.types.identity import Principal
from headworks.types.json_values import JsonObject


class SeenSpan(Protocol):
    """A stage of a trace, as its viewer may see it."""

    @property
    def name(self) -> str:
        """Of the stage."""

    @property
    def payload(self) -> Any:  # noqa: ANN401 -- any JSON value
        """What was kept; None for nothing, or nothing for this viewer."""

    @property
    def is_withheld(self) -> bool:
        """Whether the payload is not for this viewer."""


class SeenTrace(Protocol):
    """A trace, as its viewer may see it."""

    @property
    def usage(self) -> Mapping[str, Any]:
        """The row of its answer."""

    @property
    def spans(self) -> Sequence[SeenSpan]:
        """Its stages in order."""


class TraceReader(Protocol):
    """Implemented by observability.service.Traces, injected by app.py."""

    async def show(self, principal: Principal, trace: UUID) -> SeenTrace:
        """One trace under this viewer's rights, at this moment. Raises NotFound."""
        ...


def is_answer_withheld(seen: SeenTrace) -> bool:
    """Whether the answer rests on documents that the viewer can't read now."""
    return any(each.is_withheld and each.name == "request" for each in seen.spans)


def kept_of(seen: SeenTrace) -> JsonObject:
    """Everything that the stages kept and the viewer may see, by its name, like `question`."""
    kept: JsonObject = {}
    for span in seen.spans:
        if isinstance(span.payload, dict):
            kept |= span.payload
    return kept
