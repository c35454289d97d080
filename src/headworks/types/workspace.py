"""What a workspace's files declare, once read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headworks.types.failing import Retries, RouteDeadlines
from headworks.types.features import (
    Fallback,
    InputSpec,
    OutputSettings,
    PiiSettings,
    RetrievalSettings,
    RiskTier,
    Target,
    usual_fallback,
)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """An entry of a collection's `sources`: where documents come from by themselves.

    `settings` are those of its kind, as JSON. `readers` are (id at the source, name of a principal here).
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    readers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """`collections/<name>.yaml`. `readers` are names of groups or principals; empty: nobody.

    `documents` are (path pattern, readers), the first match wins; a document without a match has the collection's.
    `where` is `file:line` for messages.
    """

    name: str
    description: str
    readers: tuple[str, ...]
    documents: tuple[tuple[str, tuple[str, ...]], ...]
    chunk_tokens: int
    chunk_overlap: int
    embedding: str
    where: str
    sources: tuple[SourceSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One entry of `providers.yaml`: a provider as this project reaches it. The credential is named, never held.

    `api_version` is Azure's. `proxy` is an http(s) address without a password. `ca_file` names the only authorities
    that are trusted there, `client_certificate` a certificate with its key to show: PEM files where the server runs.
    """

    name: str
    kind: str
    base_url: str | None
    api_key_env: str | None
    where: str
    api_version: str | None = None
    proxy: str | None = None
    ca_file: str | None = None
    client_certificate: str | None = None


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One entry of `routes.yaml`."""

    name: str
    targets: tuple[Target, ...]
    default_max_output: int
    where: str
    fallback: Fallback = field(default_factory=usual_fallback)
    retries: Retries = field(default_factory=Retries)
    deadlines: RouteDeadlines = field(default_factory=RouteDeadlines)
    continue_after_output: bool = False


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One `.prompty` file: its inputs, and its template as (role, text) in order with the line each starts at."""

    path: str
    inputs: tuple[InputSpec, ...]
    template: str


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """`features/<name>/`: settings, prompt and knowledge. `has_gate`: `evals/gate.yaml` is there."""

    name: str
    owner: str
    risk: RiskTier
    route: str
    prompt: PromptFile
    retrieval: RetrievalSettings | None
    pii: PiiSettings | None
    accepts: frozenset[str]
    knowledge: tuple[tuple[str, str], ...]
    has_gate: bool
    where: str
    output: OutputSettings | None = None
    output_file: str | None = None
    """Where the schema lies in the workspace, if it has a file of its own."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """All of a workspace. `notices` name what was left alone, and why."""

    collections: tuple[CollectionSpec, ...] = ()
    accounts: tuple[AccountSpec, ...] = ()
    routes: tuple[RouteSpec, ...] = ()
    features: tuple[FeatureSpec, ...] = ()
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """How many of each, for messages."""
        return {"collections": len(self.collections), "routes": len(self.routes), "features": len(self.features)}
