"""A feature as a release pins it, and a route with its targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

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


@dataclass(frozen=True, slots=True)
class Route:
    """Targets in the order in which they are tried. `digest` covers everything that shapes behaviour."""

    name: str
    targets: tuple[Target, ...]
    digest: Digest
    default_max_output: int = 4096


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """Which collection of the caller's tenant, and how many passages."""

    collection: str
    k: int = 6


@dataclass(frozen=True, slots=True)
class PiiSettings:
    """What is done with personal data in the caller's text and in passages; `kinds` None: all."""

    action: PiiAction
    kinds: frozenset[str] | None = None


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
    output_schema: dict[str, Any] | None = None
    accepts: frozenset[str] = frozenset()
    knowledge: tuple[tuple[str, str], ...] = ()
    """(file name, text) of the experts' snippets."""
