"""`features/<name>/feature.yaml`: what a feature is made of."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import cast

from headworks.releases.contract import SchemaReader
from headworks.releases.prompts.templates import parse_prompt
from headworks.releases.workspace.grounding_files import read_grounding
from headworks.releases.workspace.output_files import read_output
from headworks.releases.workspace.retrieval_files import read_retrieval
from headworks.strict_yaml import Section, decode, nearest, read_yaml
from headworks.types.features import PiiAction, PiiSettings, RiskTier
from headworks.types.workspace import FeatureSpec

RISKS = ("low", "medium", "high")
ACTIONS = ("redact", "block", "record")
ACCEPTABLE = ("system", "developer", "response_format")
NOT_YET_ACCEPTABLE = ("tools", "n")
NOT_YET = (
    "budget",
    "tools",
    "slos",
    "slo",
    "canary",
    "moderation",
    "injection",
    "groundedness",
)


def parse_feature(
    name: str,
    folder: str,
    files: Mapping[str, bytes],
    pii_kinds: frozenset[str],
    read_schema: SchemaReader | None = None,
) -> FeatureSpec:
    """One feature from its folder's files, or WorkspaceInvalid with file and line."""
    path = f"{folder}/feature.yaml"
    section = read_yaml(path, decode(path, files[path]))
    section.refuse(*NOT_YET)
    section.text("description", "")
    owner = section.text("owner")
    risk = section.choice("risk", RISKS, "low")
    route = section.text("route")
    prompt_path = _prompt_path(section, folder, files)
    prompt = parse_prompt(prompt_path, decode(prompt_path, files[prompt_path]))
    retrieval = read_retrieval(section.section("retrieval"), prompt.inputs)
    pii = _guardrails(section.section("guardrails"), pii_kinds)
    judge = read_grounding(section.section("grounding"), has_retrieval=retrieval is not None)
    accepts = _accepts(section)
    output, output_file = read_output(section.section("output"), name, folder, files, read_schema)
    if output is not None and "response_format" in accepts:
        section.complain("accepts", "a feature with an `output` can't accept `response_format`: there can be only one.")
    section.finish()
    relative = posixpath.relpath(prompt_path, folder)
    knowledge = tuple(
        (posixpath.relpath(each, f"{folder}/knowledge"), decode(each, files[each]))
        for each in sorted(files)
        if each.startswith(f"{folder}/knowledge/") and each.endswith(".md")
    )
    return FeatureSpec(
        name=name,
        owner=owner,
        risk=cast("RiskTier", risk),
        route=route,
        prompt=type(prompt)(relative, prompt.inputs, prompt.template),
        retrieval=retrieval,
        pii=pii,
        accepts=accepts,
        knowledge=knowledge,
        has_gate=f"{folder}/evals/gate.yaml" in files,
        where=section.where(),
        output=output,
        output_file=output_file,
        judge=judge,
    )


def _prompt_path(section: Section, folder: str, files: Mapping[str, bytes]) -> str:
    given = section.text("prompt")
    path = posixpath.normpath(f"{folder}/{given}")
    if not path.startswith(f"{folder}/"):
        section.complain("prompt", f"the prompt {given!r} lies outside the feature's folder.")
    if path not in files:
        prompts = [
            posixpath.relpath(each, folder) for each in files if each.startswith(folder) and each.endswith(".prompty")
        ]
        section.complain("prompt", f"there is no file {given!r}.", nearest(given, prompts))
    return path


def _accepts(section: Section) -> frozenset[str]:
    accepts = section.names("accepts")
    for each in accepts:
        if each in NOT_YET_ACCEPTABLE:
            section.refuse_value("accepts", each)
        if each not in ACCEPTABLE:
            section.complain("accepts", f"a feature can't accept `{each}`.", nearest(each, ACCEPTABLE))
    return frozenset(accepts)


def _guardrails(section: Section | None, pii_kinds: frozenset[str]) -> PiiSettings | None:
    if section is None:
        return None
    section.refuse("moderation", "injection", "groundedness", "schema", "refusal")
    inner = section.section("pii")
    settings = None
    if inner is not None:
        kinds = inner.names("kinds", like="email")
        for each in kinds:
            if each not in pii_kinds:
                inner.complain("kinds", f"unknown kind of personal data `{each}`.", nearest(each, pii_kinds))
        settings = PiiSettings(cast("PiiAction", inner.choice("action", ACTIONS)), frozenset(kinds) or None)
        inner.finish()
    section.finish()
    return settings
