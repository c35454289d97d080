"""`grounding` in a feature's file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.releases.bundles import build_bundle, read_bundle
from headworks.releases.workspace.features import parse_feature
from headworks.releases.workspace.grounding_files import check_judges
from headworks.types.features import JudgeSettings, Target
from headworks.types.ids import Digest, ProjectId, TenantId, new_id
from headworks.types.workspace import FeatureSpec, RouteSpec

PROMPT = b"---\ninputs:\n  question: {kind: string, from: question}\n---\nuser:\n{{ question }}\n"
RETRIEVAL = "retrieval: {collection: docs}\n"


def feature(more: str) -> FeatureSpec:
    text = f"owner: me\nroute: main\nprompt: prompts/a.prompty\n{more}"
    files = {"features/a/feature.yaml": text.encode(), "features/a/prompts/a.prompty": PROMPT}
    return parse_feature("a", "features/a", files, frozenset())


def test_a_judge_is_a_model_and_a_share_and_stands_in_the_release() -> None:
    spec = feature(RETRIEVAL + "grounding: {judge: {model: openai/m, sample: 0.2}}\n")
    assert spec.judge == JudgeSettings("openai/m", 0.2)
    route = RouteSpec("main", (Target("openai", "m"),), 100, "")
    bundle = build_bundle(spec, route, None, lambda _: None)
    files = {each.path: each.content for each in bundle.files}
    found = read_bundle(
        files, tenant=TenantId(new_id()), project=ProjectId(new_id()), digest=Digest("d"), channel="prod"
    )
    assert found.judge == spec.judge
    without = build_bundle(replace(spec, judge=None), route, None, lambda _: None)
    assert without.digest != bundle.digest
    assert b"grounding" not in b"".join(each.content for each in without.files)


def test_without_a_block_nobody_judges() -> None:
    assert feature(RETRIEVAL).judge is None
    assert feature(RETRIEVAL + "grounding: {}\n").judge is None
    assert feature(RETRIEVAL + "grounding: {judge: {model: m}}\n").judge == JudgeSettings("m", 0.05)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("grounding: {judge: {model: m}}\n", "feature.yaml:4: a judge holds answers against documents"),
        (RETRIEVAL + "grounding: {judge: {sample: 0.1}}\n", "`grounding.judge.model` is missing"),
        (RETRIEVAL + "grounding: {judge: {model: m, sample: 2}}\n", "must lie between 0 and 1"),
        (RETRIEVAL + "grounding: {judge: {model: m, sampel: 1}}\n", "unknown key `grounding.judge.sampel`"),
        (RETRIEVAL + "grounding: {jugde: {model: m}}\n", "unknown key `grounding.jugde`"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(more: str, complaint: str) -> None:
    with pytest.raises(WorkspaceInvalid) as caught:
        feature(more)
    assert complaint in caught.value.message


def test_a_judge_that_nobody_knows_is_refused() -> None:
    known = feature(RETRIEVAL + "grounding: {judge: {model: judges}}\n")
    direct = feature(RETRIEVAL + "grounding: {judge: {model: openai/m}}\n")
    check_judges([known, direct, feature("")], {"judges"}, {"openai"})
    with pytest.raises(WorkspaceInvalid, match="names the judge `judges`"):
        check_judges([known], {"main"}, {"openai"})
    with pytest.raises(WorkspaceInvalid, match="names the judge `openai/m`"):
        check_judges([direct], {"main"}, {"open"})
