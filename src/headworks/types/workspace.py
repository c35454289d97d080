"""What a workspace's files declare, once read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headworks.types.failing import Retries, RouteDeadlines
from headworks.types.features import (
    Fallback,
    InputSpec,
    JudgeSettings,
    OutputSettings,
    PiiSettings,
    RetrievalSettings,
    RiskTier,
    Target,
    usual_fallback,
)
from headworks.types.search import SearchTuning


@dataclass(frozen=True, slots=True)
class FreshnessSpec:
    """`freshness` of a collection or of one of its sources; what is None is the collection's, else the usual.

    `recrawl` is a time span or cron's five fields (types/schedules.py), or `never`. Documents that nobody confirmed for
    `stale_after_s` are told to be stale. What vanished or was replaced is kept for `keep_s` before it is purged.
    """

    recrawl: str | None = None
    stale_after_s: int | None = None
    keep_s: int | None = None

    def as_settings(self) -> dict[str, Any]:
        """What is set, as JSON."""
        named = {"recrawl": self.recrawl, "stale_after_s": self.stale_after_s, "keep_s": self.keep_s}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """An entry of a collection's `sources`: where documents come from by themselves.

    `settings` are those of its kind, as JSON. `readers` are (id at the source, name of a principal here).
    `most_deletions`: the share of its documents, up to 1, that may vanish in one sync; None: the usual.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    readers: tuple[tuple[str, str], ...] = ()
    freshness: FreshnessSpec = field(default_factory=FreshnessSpec)
    most_deletions: float | None = None


LANGUAGES = ("ca", "cs", "da", "de", "en", "es", "fi", "fr", "hu", "id", "it", "nl", "no", "pl", "pt", "ro", "sv", "tr")
"""That words in Latin letters can be stemmed in, by ISO 639-1 code; those of other scripts are told by the script."""


@dataclass(frozen=True, slots=True)
class ChunkingSpec:
    """`chunking` of a collection: how documents are cut and indexed, and how much around a chunk is shown.

    `tokens` are the embedding model's own. `parent_tokens` and `neighbours` 0: what is shown is the chunk itself;
    `passages_tokens` is the most that all passages of one search may have together when they show more. `language`
    is a code, or auto. `context_model` (a route or `provider/model`) writes what situates a chunk; empty: none.
    """

    tokens: int = 200
    overlap: int = 1
    has_whole_tables: bool = False
    has_headers: bool = True
    language: str = "auto"
    context_model: str = ""
    parent_tokens: int = 0
    neighbours: int = 0
    passages_tokens: int = 8_000

    def of_index(self) -> dict[str, Any]:
        """What an index is made by. A default that has come later is left out, so that it makes no index anew."""
        chosen: dict[str, Any] = {"tokens": self.tokens, "overlap": self.overlap}
        if self.has_whole_tables:
            chosen["tables"] = "whole"
        if not self.has_headers:
            chosen["headers"] = False
        if self.language != "auto":
            chosen["language"] = self.language
        if self.context_model:
            chosen["context"] = self.context_model
        return chosen

    def of_passages(self) -> dict[str, int]:
        """How much is shown around what was found; empty: nothing."""
        if not self.parent_tokens and not self.neighbours:
            return {}
        names = ("parent_tokens", "neighbours", "passages_tokens")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class ParsingSpec:
    """`parsing` of a collection. With `ocr`, pictures and pages that are pictures are read (by `headworks[ocr]`)."""

    ocr: bool = False


@dataclass(frozen=True, slots=True)
class SectionSpec:
    """Sections with readers of their own: in documents whose path matches, under a heading that matches."""

    documents: str
    heading: str
    readers: tuple[str, ...]
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """`collections/<name>.yaml`. `readers` are names of groups or principals; empty: nobody.

    `documents` are (path pattern, readers), the first match wins; a document without a match has the collection's.
    `denied` are names that it is closed to, whatever list admits them; so of `denials` (path pattern, names) all
    matches. Of `sections` the first that matches a heading holds.
    `where` is `file:line` for messages, `places` that of the keys that hold names.
    """

    name: str
    description: str
    readers: tuple[str, ...]
    documents: tuple[tuple[str, tuple[str, ...]], ...]
    chunking: ChunkingSpec
    embedding: str
    where: str
    sources: tuple[SourceSpec, ...] = ()
    freshness: FreshnessSpec = field(default_factory=FreshnessSpec)
    denied: tuple[str, ...] = ()
    denials: tuple[tuple[str, tuple[str, ...]], ...] = ()
    sections: tuple[SectionSpec, ...] = ()
    search: SearchTuning = field(default_factory=SearchTuning)
    parsing: ParsingSpec = field(default_factory=ParsingSpec)
    places: Mapping[str, str] = field(default_factory=dict)


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
    judge: JudgeSettings | None = None


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
