"""What evaluation is about: examples, what a release answers to them, and how that is scored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from headworks.types.identity import Principal
from headworks.types.ids import TraceId
from headworks.types.models import Message
from headworks.types.retrieval import Citation, Groundedness, Passage

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of a tool: by its name, with arguments as JSON."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Example:
    """One case of a dataset.

    `question` is bound to the input marked `from: question`, `history` are the turns before it, `inputs` the others.
    `reference` is the answer that is wanted, as text or JSON; `context` texts that it rests on. Examples of one
    `cluster` (a document, a patient, a template) are alike and count as such; None: it stands alone. `tags` slice
    results (intent, risk, locale, …), `failure_modes` are those that it is there to show, `provenance` tells where it
    comes from (`trace`, `reviewer`, `synthetic`). `weight` counts it as so many.
    """

    id: str
    question: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Message, ...] = ()
    reference: Any = None
    context: tuple[str, ...] = ()
    expected_tools: tuple[ToolUse, ...] = ()
    cluster: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    failure_modes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    split: Split = "test"


@dataclass(frozen=True, slots=True)
class Output:
    """What a release answered to an example, or why it did not: an error is an output like any other.

    Money is micro-dollars (None: no price is known), `latency_ms` until the last byte. `passages` are those that were
    shown to the model, `citations` what was verified of its own.
    """

    text: str = ""
    finish_reason: str = ""
    citations: tuple[Citation, ...] = ()
    passages: tuple[Passage, ...] = ()
    groundedness: Groundedness | None = None
    tool_uses: tuple[ToolUse, ...] = ()
    is_refusal: bool = False
    """Whether the model itself marked it as one."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_micro_usd: int | None = None
    latency_ms: float = 0.0
    trace: TraceId | None = None
    release: str | None = None
    model: str | None = None
    """`provider/model` that answered."""
    error_code: str | None = None
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says of one output: a number (1 and 0 where it passes or fails), or an error, never nothing.

    `label` is the word for it where it has one, `reason` for people. An error (the judge could not be reached, answered
    prose, a reference is missing) stays one: what it counts as is the gate's to say.
    """

    value: float = math.nan
    label: str = ""
    reason: str = ""
    error_code: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """Whether there is no number."""
        return self.error_code is not None or math.isnan(self.value)


class Answerer(Protocol):
    """Implemented by gateway.trying, injected by app.py."""

    async def answer(self, principal: Principal, model: str, example: Example) -> Output:
        """What `model` (a feature, `name@channel`, `name@sha256:…`, a route) answers, under this principal's rights.

        The call is admitted, paid and recorded as any other, on the surface `experiment`. A failure of the call is an
        Output with its code; only what concerns all calls is raised: DatabaseUnavailable, Forbidden, NotFound.
        """
        ...
