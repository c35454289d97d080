"""Every kind of scorer keeps the contract, and says what it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.scorers.catalogue import OURS, make_scorer
from headworks.evaluation.scorers.contract import PlainMeasure, ScorerKind, Surroundings
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


class _Loose(PlainMeasure):
    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    def measure(self, example: Example, output: Output) -> Score:
        return Score(0.5 if example and output else 0.4)


class _Broken(_Loose):
    def measure(self, example: Example, output: Output) -> Score:
        raise KeyError(example.id, output.text)


async def test_a_scorer_that_gives_half_a_pass_does_not_conform() -> None:
    with pytest.raises(NotConforming, match="neither 0 nor 1"):
        await check_scorer(ScorerKind("loose", lambda *_: _Loose(), "Loose."))


async def test_a_scorer_that_breaks_gives_an_error_and_does_not_conform() -> None:
    kind = ScorerKind("broken", lambda *_: _Broken(), "Broken.")
    with pytest.raises(NotConforming, match="it broke"):
        await check_scorer(kind)


async def test_an_answer_that_never_came_is_an_error_of_every_quality_score() -> None:
    score = await _RIGHT.score(SOMEBODY, Example("a", reference="x"), Output(error_code="upstream_timeout"))
    assert (score.is_error, score.error_code) == (True, "no_answer")
    assert "upstream_timeout" in score.reason
