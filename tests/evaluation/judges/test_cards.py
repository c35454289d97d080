"""Judge cards: what they count, and when they let a judge decide."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.evaluation.contract import Result
from headworks.evaluation.judges.cards import Pair, card_of, pairs_of
from headworks.types.evaluation import Example, Output, Score
from headworks.types.ids import Digest

_JUDGE = Digest("sha256:" + "0" * 64)


def _pairs(*counts: tuple[int, float, float], **changes: Any) -> list[Pair]:
    """(how many, what people said, what the judge said)."""
    return [Pair(human, Score(judge), **changes) for n, human, judge in counts for _ in range(n)]


def test_a_card_counts_what_people_and_judge_said() -> None:
    card = card_of(_JUDGE, "m", _pairs((45, 1, 1), (5, 1, 0), (4, 0, 1), (46, 0, 0)))
    assert (card.n, card.sensitivity.value, card.specificity.value) == (100, 0.9, 0.92)
    assert card.agreement.value == pytest.approx(0.91)
    assert card.kappa.value == pytest.approx(0.82)
    assert card.kappa.low < 0.82 < card.kappa.high
    assert card.correlation == pytest.approx(0.8201, abs=1e-3)
    assert card.gain == pytest.approx(3.05, abs=0.02)
    assert card.is_good


@pytest.mark.parametrize(
    ("pairs", "lack"),
    [
        (_pairs((20, 1, 1), (20, 0, 0)), "10 more judgements are needed: 40 of 50"),
        (_pairs((90, 1, 1), (5, 0, 0)), "5 more answers that people failed are needed: 5 of 10"),
        (_pairs((90, 0, 0), (5, 1, 1)), "5 more answers that people passed are needed: 5 of 10"),
        (_pairs((30, 1, 1), (20, 1, 0), (20, 0, 1), (30, 0, 0)), "kappa is 0.20"),
        (
            [*_pairs((45, 1, 1), (45, 0, 0)), *[Pair(1, Score(error_code="judge_unparsable"))] * 10],
            "10 judge_unparsable",
        ),
        (_pairs((100, 1, 1)), "kappa is 0.00"),
        ([], "50 more judgements"),
    ],
)
def test_a_judge_that_is_not_shown_to_agree_may_not_decide(pairs: list[Pair], lack: str) -> None:
    card = card_of(_JUDGE, "m", pairs)
    assert not card.is_good
    assert lack in " ".join(card.missing)


def test_clustered_judgements_widen_the_intervals() -> None:
    alone = _pairs((40, 1, 1), (10, 1, 0), (40, 0, 0), (10, 0, 1))
    alike = [Pair(each.human, each.score, cluster=f"document {at // 10}") for at, each in enumerate(alone)]
    one, other = card_of(_JUDGE, "m", alone), card_of(_JUDGE, "m", alike)
    assert one.kappa.value == other.kappa.value
    assert other.kappa.high - other.kappa.low > one.kappa.high - one.kappa.low
    assert other.sensitivity.low < one.sensitivity.low


def test_flips_and_consistency_are_counted() -> None:
    flipped = Score(0.5, "tie", details={"is_flipped": True, "cast": 3, "consistency": 0.6667})
    sure = Score(1.0, "first", details={"is_flipped": False, "cast": 3, "consistency": 1.0})
    card = card_of(_JUDGE, "m", [Pair(0.5, flipped), Pair(1, sure), Pair(1, sure)])
    assert (card.flips, card.pairs_swapped) == (1, 3)
    assert card.consistency == pytest.approx(0.8889, abs=1e-4)
    assert card_of(_JUDGE, "m", _pairs((3, 1, 1))).consistency is None


def test_segments_are_told_apart() -> None:
    easy = _pairs((20, 1, 1), (20, 0, 0), tags={"risk": "low"})
    hard = _pairs((10, 1, 1), (10, 1, 0), (10, 0, 0), (10, 0, 1), tags={"risk": "high"})
    few = _pairs((3, 1, 1), tags={"risk": "none"})
    card = card_of(_JUDGE, "m", [*easy, *hard, *few])
    assert [(each.value, each.n, round(each.kappa.value, 2)) for each in card.segments] == [
        ("high", 40, 0.0),
        ("low", 40, 1.0),
    ]


_VALUES = st.sampled_from([0.0, 0.3, 0.5, 1.0])
_SCORES = st.one_of(st.builds(Score, _VALUES), st.builds(Score, error_code=st.sampled_from(["judge_refused", "x"])))


@given(st.lists(st.builds(Pair, _VALUES, _SCORES, st.sampled_from([None, "a", "b"])), max_size=40))
def test_every_set_of_judgements_has_a_card(pairs: list[Pair]) -> None:
    card = card_of(_JUDGE, "m", pairs)
    assert card.n + sum(card.errors.values()) == len(pairs)
    for rate in (card.sensitivity, card.specificity, card.agreement, card.kappa):
        assert -1 <= rate.low <= rate.value + 1e-9
        assert rate.value <= rate.high + 1e-9 <= 1 + 2e-9
    assert 1 <= card.gain <= 1000


def test_pairs_are_of_the_first_repeat_and_what_was_not_scored_is_an_error() -> None:
    def result(example: str, repeat: int, scores: dict[str, Score]) -> Result:
        return Result(Example(example, "?", tags={"risk": "low"}), Digest(example), repeat, Output("x"), scores)

    results = [
        result("a", 1, {"m": Score(0.0)}),
        result("a", 0, {"m": Score(1.0)}),
        result("b", 0, {}),
        result("c", 0, {"m": Score(1.0)}),
    ]
    pairs = pairs_of(results, {Digest("a"): 1.0, Digest("b"): 0.0}, "m")
    assert [(each.human, each.score.value, each.score.error_code) for each in pairs[:1]] == [(1.0, 1.0, None)]
    assert [each.score.error_code for each in pairs[1:]] == ["not_scored"]
    assert pairs[0].tags == {"risk": "low"}
    assert [each.cluster for each in pairs] == ["a", "b"], "what other releases answer to an example is no new example"
