"""Every kind of scorer keeps the contract, and says what it does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.contract import Scale
from headworks.evaluation.scorers.catalogue import OURS, make_scorer
from headworks.evaluation.scorers.contract import MeasuredScorer, PlainMeasure, ScorerKind, Surroundings, graded
from headworks.testing.scorers import SOMEBODY, NotConforming, check_scorer
from headworks.types.evaluation import Example, Output, Score

_RIGHT = make_scorer("right", "exact")
_FAST = make_scorer("fast", "latency", {"most_ms": 1000})
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "all": {"of": ["right", "fast"]},
    "any": {"of": ["right", "fast"]},
    "weighted": {"of": {"right": 2, "fast": 1}, "least": 0.5},
}
_ELSEWHERE = {"similarity", "judge", "deepeval", "ragas", "autoevals", "inspect"}
"""Kinds that ask models, or run in another interpreter."""


@pytest.mark.parametrize("name", sorted(set(OURS) - _ELSEWHERE))
async def test_each_kind_keeps_the_contract(name: str) -> None:
    around = Surroundings(scorers={"right": _RIGHT, "fast": _FAST})
    await check_scorer(OURS[name], _SETTINGS.get(name), around)


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_kind_says_in_a_sentence_what_it_does(name: str) -> None:
    assert OURS[name].summary.endswith(".")


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_kind_stands_on_its_page(name: str) -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "scorers.md"
    rows = [line.split("|")[1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert any(f"`{name}`" in row for row in rows)


def test_an_unknown_kind_names_its_neighbours() -> None:
    with pytest.raises(WorkspaceInvalid, match="there is no scorer `exakt`") as refused:
        make_scorer("right", "exakt")
    assert "exact" in refused.value.next_step


def test_the_digest_changes_with_the_settings_and_not_with_the_name() -> None:
    assert make_scorer("a", "exact").digest == make_scorer("b", "exact").digest
    assert make_scorer("a", "exact").digest != make_scorer("a", "exact", {"ignore": ["case"]}).digest
    assert make_scorer("a", "contains", {"value": "x"}).digest != make_scorer("a", "starts_with", {"value": "x"}).digest


class _Says(PlainMeasure):
    """What a package may give by mistake."""

    def __init__(self, said: Score, scale: Scale = "binary") -> None:
        self._said = said
        self._scale = scale

    @property
    def scale(self) -> Scale:
        return self._scale

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    def measure(self, example: Example, output: Output) -> Score:
        del example, output
        return self._said


class _Broken(_Says):
    def measure(self, example: Example, output: Output) -> Score:
        raise KeyError(example.id, output.text)


async def test_a_scorer_that_gives_half_a_pass_does_not_conform() -> None:
    with pytest.raises(NotConforming, match="neither 0 nor 1"):
        await check_scorer(ScorerKind("loose", lambda *_: _Says(Score(0.5)), "Loose."))


async def test_a_scorer_that_breaks_gives_an_error_and_does_not_conform() -> None:
    kind = ScorerKind("broken", lambda *_: _Broken(Score()), "Broken.")
    with pytest.raises(NotConforming, match="it broke"):
        await check_scorer(kind)


@pytest.mark.parametrize(
    ("said", "scale", "code"),
    [
        (Score(), "binary", "not_a_number"),
        (Score(math.inf), "number", "not_a_number"),
        (Score(-math.inf, details={"cost_micro_usd": 3}), "ordinal", "not_a_number"),
        (Score(0.5), "binary", "not_a_grade"),
        (Score(8.0, reason="8 of 10"), "ordinal", "not_a_grade"),
        (Score(1.0, details={"half a pair": "\ud83d"}), "binary", "scorer_failed"),
        (Score(0.0, "\0", "half a pair: \ud83d"), "binary", None),
        (Score(1.0, details={"at": object()}), "binary", "scorer_failed"),
        (Score(1.0, details={"share": math.nan}), "binary", None),
        (Score(1e300), "number", None),
    ],
)
async def test_what_can_not_be_counted_or_kept_is_an_error_and_no_number(
    said: Score, scale: Scale, code: str | None
) -> None:
    scorer = MeasuredScorer("m", ScorerKind("says", lambda *_: _Says(said), "It says."), _Says(said, scale))
    found = await scorer.score(SOMEBODY, Example("a"), Output("x"))
    assert (found.error_code, found.is_error) == (code, code is not None)
    assert math.isnan(found.value) == found.is_error
    assert "\0" not in f"{found.label}{found.reason}".encode().decode()
    assert found.reason or code is None
    assert code == "scorer_failed" or found.details == said.details, "what it cost is told in any case"


async def test_an_error_of_a_part_is_one_of_the_whole() -> None:
    part = MeasuredScorer("m", ScorerKind("says", lambda *_: _Says(Score()), "It says."), _Says(Score()))
    whole = make_scorer("t", "all", {"of": ["m"]}, Surroundings(scorers={"m": part}))
    assert (await whole.score(SOMEBODY, Example("a"), Output("x"))).error_code == "not_a_number"


@pytest.mark.parametrize("least", [None, 0.0, 0.5])
def test_a_grade_that_is_no_number_is_no_zero(least: float | None) -> None:
    assert [graded(each, least).error_code for each in (math.nan, math.inf, -math.inf)] == ["not_a_number"] * 3
    assert [graded(each, None).value for each in (-0.1, 1.1)] == [0.0, 1.0]


async def test_an_answer_that_never_came_is_an_error_of_every_quality_score() -> None:
    score = await _RIGHT.score(SOMEBODY, Example("a", reference="x"), Output(error_code="upstream_timeout"))
    assert (score.is_error, score.error_code) == (True, "no_answer")
    assert "upstream_timeout" in score.reason
