"""The suite that every scorer has to pass, for those who write one.

    from headworks.testing.scorers import check_scorer

    await check_scorer(MY_KIND, {"least": 0.5})

What does not hold is raised as NotConforming, with the rule. No test framework is needed, and no server.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.scorers.catalogue import read_scorer
from headworks.evaluation.scorers.contract import (
    NO_GRADE,
    NO_NUMBER,
    SCORER_FAILED,
    MeasuredScorer,
    ScorerKind,
    Surroundings,
)
from headworks.strict_yaml import read_yaml
from headworks.types.evaluation import Example, Output, Score, ToolUse
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, PrincipalId, TenantId
from headworks.types.retrieval import Citation, Groundedness, Passage

__all__ = ["CASES", "SOMEBODY", "NotConforming", "check_scorer"]

_NOBODY = UUID(int=0)
SOMEBODY = Principal(TenantId(_NOBODY), PrincipalId(_NOBODY), "somebody", "service", frozenset())
_TEXT = "Adults have 12 weeks of leave [1]. Ask the office."
_PASSAGE = Passage(
    1, DocumentId(_NOBODY), 1, "leave.md", "Leave", ("Leave",), 0, 0, 27, "Adults have 12 weeks leave.", 1.0
)
_CITATION = Citation(1, DocumentId(_NOBODY), 1, "leave.md", "Leave", ("Leave",), 0, 5, "Adult", "0" * 64, 0.9, 30, 33)
_TOOL = ToolUse("find", {"name": "leave", "most": 3})

CASES: tuple[tuple[Example, Output], ...] = (
    (
        Example(
            "plain",
            "How long is leave?",
            reference=_TEXT,
            context=("Adults have 12 weeks leave.",),
            expected_tools=(_TOOL,),
        ),
        Output(
            _TEXT,
            "stop",
            (_CITATION,),
            (_PASSAGE,),
            Groundedness(2, 1, 1, 0.6, 0.2),
            (_TOOL,),
            input_tokens=100,
            output_tokens=20,
            cost_micro_usd=300,
            latency_ms=800.0,
        ),
    ),
    (
        Example("json", "?", reference={"decision": "approve", "n": 1}),
        Output('{"decision": "approve", "n": 1}', "stop"),
    ),
    (Example("nothing", "?", reference="yes"), Output("", "stop")),
    (
        Example("no reference", "?"),
        Output("Yes, 1e999 NaN \u0000 \ud83d\ude00 " + "[" * 2000, "length", latency_ms=math.nan),
    ),
    (Example("deep", "?", reference=[[{"a": None}]], tags={"refuse": "maybe"}), Output("[" * 5000, "stop")),
    (Example("failed", "?", reference="yes"), Output(error_code="upstream_timeout", error_message="It took too long.")),
    (
        Example("refused", "?", reference="yes", tags={"refuse": "yes"}),
        Output("I can't help with that.", is_refusal=True),
    ),
)
"""What a scorer must be able to look at: plain, JSON, empty, endless, failed, refused."""


class NotConforming(AssertionError):
    """A scorer breaks a rule of the contract."""


async def check_scorer(
    kind: ScorerKind,
    settings: Mapping[str, Any] | None = None,
    surroundings: Surroundings | None = None,
    cases: Iterable[tuple[Example, Output]] = CASES,
) -> None:
    """All rules, with these settings or those that the kind gives as its example. Raises NotConforming."""
    chosen = dict(kind.example if settings is None else settings)
    around = surroundings or Surroundings()
    scorer, again = _made(kind, chosen, around), _made(kind, chosen, around)
    _must(scorer.digest == again.digest, "the same settings give two digests")
    _must(_canonical(scorer), "its settings are no JSON")
    _must(scorer.scale in {"binary", "ordinal", "number"}, f"`{scorer.scale}` is no scale")
    _refuses_unknown_keys(kind, chosen, around)
    for example, output in cases:
        score = await scorer.score(SOMEBODY, example, output)
        _check_score(example, score)
        if not scorer.is_judge:
            twice = await again.score(SOMEBODY, example, output)
            _must(_same(score, twice), f"`{example.id}` is scored differently the second time")
        if output.error_code is not None and not scorer.measure.scores_failures:
            _must(score.is_error, f"`{example.id}` has a score although the release did not answer")


def _made(kind: ScorerKind, settings: Mapping[str, Any], surroundings: Surroundings) -> MeasuredScorer:
    section = read_yaml("settings", json.dumps({"scorer": kind.name, **settings}))
    return read_scorer("metric", section, surroundings, {kind.name: kind})


def _refuses_unknown_keys(kind: ScorerKind, settings: Mapping[str, Any], surroundings: Surroundings) -> None:
    try:
        _made(kind, {**settings, "no_such_setting": 1}, surroundings)
    except WorkspaceInvalid:
        return
    raise NotConforming("it takes a setting that it does not know")


def _canonical(scorer: MeasuredScorer) -> bool:
    try:
        json.dumps(dict(scorer.measure.settings), allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _check_score(example: Example, score: Score) -> None:
    where = f"`{example.id}`"
    if score.is_error:
        _must(score.error_code not in {NO_NUMBER, NO_GRADE, SCORER_FAILED}, f"{where}: it broke: {score.reason}")
        _must(score.reason, f"{where}: the error `{score.error_code}` has no reason")


def _same(one: Score, other: Score) -> bool:
    plain = [{**dataclasses.asdict(each), "value": repr(each.value)} for each in (one, other)]
    return plain[0] == plain[1]


def _must(holds: object, rule: str) -> None:
    if not holds:
        raise NotConforming(rule)
