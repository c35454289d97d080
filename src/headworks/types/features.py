"""A feature as a release pins it, and a route with its targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from headworks.types.failing import USUAL_STEPS, FailureWord, Retries, RouteDeadlines, Step
from headworks.types.filters import Filter
from headworks.types.ids import Digest, ProjectId, TenantId

RiskTier = Literal["low", "medium", "high"]
PiiAction = Literal["redact", "block", "record"]


@dataclass(frozen=True, slots=True)
class Target:
    """One provider account and model, e.g. `openai/gpt-5-mini`, with parameters that the route fixes."""

    provider: str
    model: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"


Fallback = Mapping[FailureWord, Step | tuple[Target, ...]]
"""What follows a failure of each class: see Step, or these targets in order, in place of what is left of the others."""


def usual_fallback() -> Fallback:
    """Of a route that says nothing."""
    return dict(USUAL_STEPS)


def every_target(targets: tuple[Target, ...], fallback: Fallback) -> tuple[Target, ...]:
    """All targets that a route may ask: `targets` in order, then those that only `fallback` names."""
    found = list(targets)
    for word in USUAL_STEPS:  # the same order, however the mapping was stored
        if not isinstance(step := fallback.get(word, "off"), str):
            found.extend(each for each in step if each not in found)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Route:
    """Targets in the order in which they are tried. `digest` covers everything that shapes behaviour."""

    name: str
    targets: tuple[Target, ...]
    digest: Digest
    default_max_output: int = 4096
    fallback: Fallback = field(default_factory=usual_fallback)
    retries: Retries = field(default_factory=Retries)
    deadlines: RouteDeadlines = field(default_factory=RouteDeadlines)
    continue_after_output: bool = False
    """Whether another target goes on with a text whose stream is cut off."""

    @property
    def every_target(self) -> tuple[Target, ...]:
        """All that it may ask: `targets` first, then those that only `fallback` names."""
        return every_target(self.targets, self.fallback)


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """Which collection of the caller's tenant, how many passages, of which documents, and how they are ranked.

    `filter` may name inputs of the request. `search` are settings in place of the collection's own, as JSON.
    """

    collection: str
    k: int = 6
    filter: Filter | None = None
    search: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PiiSettings:
    """What is done with personal data in the caller's text and in passages; `kinds` None: all."""

    action: PiiAction
    kinds: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Which model (a route or `provider/model`) judges a share of the answers after they were given: 0 to 1 of them."""

    model: str
    sample: float


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """What a feature's answers are: JSON by a schema, which is compact JSON here with its members in their own order.

    `name` is for providers. `is_strict` asks them to hold the model to the schema while it writes.
    """

    name: str
    schema: bytes
    is_strict: bool = False

    @property
    def response_format(self) -> msgspec.Raw:
        """The field `response_format` of a chat request that asks for it, as JSON."""
        name, strict = msgspec.json.encode(self.name), b"true" if self.is_strict else b"false"
        inner = b'{"name":%s,"strict":%s,"schema":%s}' % (name, strict, self.schema)
        return msgspec.Raw(b'{"type":"json_schema","json_schema":%s}' % inner)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a prompt. `source` is `question`, `history`, `passages` or None (the caller's `inputs`)."""

    name: str
    kind: Literal["string", "integer", "number", "boolean", "array", "object"]
    source: Literal["question", "history", "passages"] | None = None
    is_required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Feature:
    """Everything that shapes a feature's behaviour, as read from one release's files."""

    name: str
    tenant: TenantId
    project: ProjectId
    digest: Digest
    channel: str
    risk: RiskTier
    owner: str
    route: Route
    inputs: tuple[InputSpec, ...]
    template: str
    retrieval: RetrievalSettings | None = None
    pii: PiiSettings | None = None
    output: OutputSettings | None = None
    accepts: frozenset[str] = frozenset()
    knowledge: tuple[tuple[str, str], ...] = ()
    """(file name, text) of the experts' snippets."""
    judge: JudgeSettings | None = None
    """Of how well answers stand on their documents."""
    notice: str = ""
    """What every answer says in `x-headworks-notice`: `break-glass` while it is live past the rules."""
