"""The part of `feature.yaml` that says how a feature's answers are checked afterwards: `grounding: {judge: {…}}`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from headworks.errors import WorkspaceInvalid
from headworks.strict_yaml import Section, nearest
from headworks.types.features import JudgeSettings
from headworks.types.workspace import FeatureSpec


def read_grounding(section: Section | None, *, has_retrieval: bool) -> JudgeSettings | None:
    """The judge of a feature. Raises WorkspaceInvalid with file and line."""
    if section is None:
        return None
    judge = section.section("judge")
    section.finish()
    if judge is None:
        return None
    if not has_retrieval:
        section.complain("judge", "a judge holds answers against documents, and this feature has no `retrieval`.")
    settings = JudgeSettings(judge.text("model"), judge.number("sample", 0.05, 0.0, 1.0))
    judge.finish()
    return settings


def check_judges(features: Iterable[FeatureSpec], routes: Collection[str], providers: Collection[str]) -> None:
    """Whether each judge is a route, or a model of a provider, that there is. Raises WorkspaceInvalid."""
    for feature in features:
        if feature.judge is None or feature.judge.model in routes:
            continue
        provider, slash, _ = feature.judge.model.partition("/")
        if not slash or provider not in providers:
            raise WorkspaceInvalid(
                f"{feature.where}: the feature `{feature.name}` names the judge `{feature.judge.model}`.",
                next_step=nearest(provider, [*(providers if slash else routes)]),
            )
