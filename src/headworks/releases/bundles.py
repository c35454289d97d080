"""Bundles: the immutable, content-addressed files of a release.

The manifest lists path, media type and sha256 of each file, sorted by path; the digest is the sha256 of its canonical
JSON (RFC 8785). What shapes behaviour is in it (DESIGN §5): prompt, knowledge, output schema, guardrail and retrieval
settings, the resolved route. What judges a release (`evals/`, `golden/`, `taxonomy.yaml`) is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import rfc8785

from headworks.releases.prompts.templates import parse_prompt
from headworks.releases.route_bodies import read_route, written_route
from headworks.types.features import (
    Feature,
    InputSpec,
    JudgeSettings,
    OutputSettings,
    PiiSettings,
    RetrievalSettings,
    Route,
    Target,
)
from headworks.types.filter_reading import read_filter
from headworks.types.ids import Digest, ProjectId, TenantId
from headworks.types.workspace import CollectionSpec, FeatureSpec, RouteSpec

SETTINGS = "feature.json"
ROUTE = "route.json"
SCHEMA = "output.schema.json"
JSON = "application/json"
JSON_SCHEMA = "application/schema+json"
PROMPTY = "text/x-prompty"
MARKDOWN = "text/markdown"


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file of a bundle."""

    path: str
    media_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the content, as 64 hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A release's files, sorted by path."""

    files: tuple[BundleFile, ...]

    @property
    def manifest(self) -> list[dict[str, str]]:
        """Path, media type and sha256 of each file."""
        return [{"path": f.path, "media_type": f.media_type, "sha256": f.sha256} for f in self.files]

    @property
    def digest(self) -> Digest:
        """`sha256:` and 64 hexadecimal digits over the canonical manifest."""
        return digest_of({"files": self.manifest})


def digest_of(value: Any) -> Digest:  # noqa: ANN401 -- any JSON value
    """The digest of a JSON value's canonical form."""
    return Digest("sha256:" + hashlib.sha256(rfc8785.dumps(value)).hexdigest())


def resolve_route(spec: RouteSpec) -> Route:
    """A route with the digest of everything in it that shapes behaviour."""
    return Route(
        spec.name,
        spec.targets,
        digest_of(written_route(spec)),
        spec.default_max_output,
        spec.fallback,
        spec.retries,
        spec.deadlines,
        spec.continue_after_output,
    )


def build_bundle(
    feature: FeatureSpec,
    route: RouteSpec,
    collection: CollectionSpec | None,
    weights_digest: Callable[[str], str | None],
) -> Bundle:
    """The files of a feature's release. `weights_digest` tells the digest of an embedding model's weights, if known."""
    settings: dict[str, Any] = {
        "feature": feature.name,
        "owner": feature.owner,
        "risk": feature.risk,
        "prompt": feature.prompt.path,
        "accepts": sorted(feature.accepts),
        "guardrails": {},
        "retrieval": None,
    }
    if feature.pii is not None:
        kinds = None if feature.pii.kinds is None else sorted(feature.pii.kinds)
        settings["guardrails"] = {"pii": {"action": feature.pii.action, "kinds": kinds}}
    if feature.output is not None:
        settings["output"] = {"name": feature.output.name, "strict": feature.output.is_strict}
    if feature.judge is not None:
        settings["grounding"] = {"judge": {"model": feature.judge.model, "sample": feature.judge.sample}}
    if feature.retrieval is not None:
        settings["retrieval"] = {
            "collection": feature.retrieval.collection,
            "k": feature.retrieval.k,
            "fusion": "convex",
        }
        if feature.retrieval.filter is not None:
            settings["retrieval"]["filter"] = str(feature.retrieval.filter)
        if feature.retrieval.search:
            settings["retrieval"]["search"] = dict(feature.retrieval.search)
        if collection is not None and (tuned := collection.search.as_json()):
            settings["retrieval"]["collection_search"] = tuned
        if collection is not None:
            settings["retrieval"]["chunks"] = collection.chunking.of_index() | collection.chunking.of_passages()
            settings["retrieval"]["embedding"] = {
                "model": collection.embedding,
                "weights": weights_digest(collection.embedding),
            }
    prompt_text = _front_matter(feature.prompt.inputs) + feature.prompt.template
    files = [
        BundleFile(SETTINGS, JSON, rfc8785.dumps(settings)),
        BundleFile(ROUTE, JSON, rfc8785.dumps({"name": route.name, **written_route(route)})),
        BundleFile(feature.prompt.path, PROMPTY, prompt_text.encode()),
        # Not canonical JSON: a model writes the members in the order in which the schema names them.
        *([BundleFile(SCHEMA, JSON_SCHEMA, feature.output.schema)] if feature.output else []),
        *(BundleFile(f"knowledge/{name}", MARKDOWN, text.encode()) for name, text in feature.knowledge),
    ]
    return Bundle(tuple(sorted(files, key=lambda each: each.path)))


def _front_matter(inputs: tuple[InputSpec, ...]) -> str:
    """The part of a prompt's front matter that shapes behaviour; names and descriptions do not move the digest."""
    described = {
        each.name: {"kind": each.kind, "required": each.is_required}
        | ({"from": each.source} if each.source else {})
        | ({"default": each.default} if each.default is not None else {})
        for each in inputs
    }
    return f"---\ninputs: {rfc8785.dumps(described).decode()}\n---\n"


def read_bundle(
    files: Mapping[str, bytes], *, tenant: TenantId, project: ProjectId, digest: Digest, channel: str
) -> Feature:
    """A feature as one release's stored files say."""
    settings = orjson.loads(files[SETTINGS])
    route = orjson.loads(files[ROUTE])
    prompt = parse_prompt(settings["prompt"], files[settings["prompt"]].decode())
    name = route.pop("name")
    retrieval = settings["retrieval"]
    pii = settings["guardrails"].get("pii")
    output = settings.get("output")
    judge = settings.get("grounding", {}).get("judge")
    return Feature(
        name=settings["feature"],
        tenant=tenant,
        project=project,
        digest=digest,
        channel=channel,
        risk=settings["risk"],
        owner=settings["owner"],
        route=read_route(name, route, digest_of(route)),
        inputs=prompt.inputs,
        template=prompt.template,
        retrieval=None if retrieval is None else _read_retrieval(retrieval),
        pii=None
        if pii is None
        else PiiSettings(pii["action"], None if pii["kinds"] is None else frozenset(pii["kinds"])),
        output=None if output is None else OutputSettings(output["name"], files[SCHEMA], output["strict"]),
        accepts=frozenset(settings["accepts"]),
        judge=None if judge is None else JudgeSettings(judge["model"], judge["sample"]),
        knowledge=tuple(
            (path.removeprefix("knowledge/"), content.decode())
            for path, content in sorted(files.items())
            if path.startswith("knowledge/")
        ),
    )


def _read_retrieval(settings: dict[str, Any]) -> RetrievalSettings:
    said = settings.get("filter")
    only = None if said is None else read_filter(said, may_name_inputs=True)
    return RetrievalSettings(settings["collection"], settings["k"], only, settings.get("search", {}))


def route_of_target(target: Target) -> Route:
    """The one-target route that `provider/model` stands for."""
    spec = RouteSpec(target.name, (target,), 4096, where="")
    return resolve_route(spec)
