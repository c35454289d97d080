"""From a production trace to an example: what was asked and answered, redacted, as a line to be looked at.

Nothing is stored here. The line goes into a file of the workspace, where it is reviewed and pushed as any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headworks.errors import Conflict, InvalidRequest
from headworks.guardrails.service import Guardrails
from headworks.types.evaluation import Example, Split
from headworks.types.features import PiiSettings
from headworks.types.identity import Principal
from headworks.types.traces import SeenTrace, TraceReader, is_answer_withheld, kept_of

_KEPT = ("question", "inputs", "history", "answer")
_BY_HAND = "Only calls of features are kept with their text; write the example by hand."


@dataclass(frozen=True, slots=True)
class Promoted:
    """A proposed example.

    `answer` is what was answered then, redacted; `redacted` counts what was taken out, `notices` say what is left.
    """

    example: Example
    answer: str
    redacted: Mapping[str, int]
    notices: tuple[str, ...]


class Promotion:
    """Makes examples of traces."""

    def __init__(self, traces: TraceReader, guardrails: Guardrails) -> None:
        self._traces = traces
        self._guardrails = guardrails

    async def propose(
        self, principal: Principal, trace: UUID, split: Split = "test", *, with_reference: bool = False
    ) -> Promoted:
        """The example that a trace gives. `with_reference`: what was answered is what is wanted.

        Read under the caller's rights: Conflict where its text is withheld from him, InvalidRequest where none was
        kept, NotFound for a trace that he may not see.
        """
        seen = await self._traces.show(principal, trace)
        said = _payload(seen)
        checked = self._guardrails.check_value(PiiSettings("redact"), said)
        clean: Any = checked.value
        if not clean.get("question"):
            raise InvalidRequest("Nothing was asked in words.", next_step=_BY_HAND, code="no_payload")
        answer = str(clean.get("answer") or "")
        provenance = {
            "trace": str(trace),
            "release": seen.usage.get("release"),
            "feature": seen.usage.get("feature"),
            "promoted_by": str(principal.id),
            "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        example = Example(
            id=f"trace-{trace}",
            question=clean["question"],
            inputs=clean.get("inputs") or {},
            reference=answer if with_reference else None,
            provenance={key: value for key, value in provenance.items() if value is not None},
            split=split,
        )
        redacted = dict(Counter(finding.kind for finding in checked.findings))
        return Promoted(example, answer, redacted, tuple(_notices(said, example)))


def _payload(seen: SeenTrace) -> dict[str, Any]:
    """What the stages of a trace kept of question, inputs, history and answer."""
    if is_answer_withheld(seen):
        raise Conflict(
            "The text of this trace rests on documents that you may not read.",
            next_step="Ask somebody who may read them all to promote it.",
            code="payload_withheld",
        )
    kept = {name: value for name, value in kept_of(seen).items() if name in _KEPT}
    if "question" not in kept:
        raise InvalidRequest("No text of this trace was kept.", next_step=_BY_HAND, code="no_payload")
    return kept


def _notices(said: Mapping[str, Any], example: Example) -> list[str]:
    found = []
    if said.get("history"):
        found.append(f"It followed {said['history']} earlier turns, which are not kept: write them into `history`.")
    if example.reference is None:
        found.append("It has no reference yet: write what should have been answered.")
    return found
