"""The rule of `prod` against a plain reading of it, over random lives of evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.releases.evidence.attestations import APPROVAL, VERDICT, Statement
from headworks.releases.evidence.store import Attested
from headworks.releases.promotion.rules import APPROVALS, TIERS, Block, Gate, Left, Standing, dearest, judge
from headworks.types.features import RiskTier
from headworks.types.ids import Digest, PrincipalId

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DIGEST, ATTACHED, OTHER = (Digest("sha256:" + each * 64) for each in "abc")
PEOPLE = [PrincipalId(UUID(int=number)) for number in range(1, 5)]


def attested(kind: str, predicate: dict[str, Any], by: PrincipalId, at: datetime) -> Attested:
    statement = Statement(DIGEST, kind, predicate, by, f"p{by.int}", at, "t")
    return Attested(UUID(int=7), DIGEST, kind, at, "key", True, statement, None)


SAID = st.tuples(
    st.just(APPROVAL),
    st.fixed_dictionaries(
        {
            "decision": st.sampled_from(["approve", "approve", "object", "withdraw"]),
            "is_expert": st.booleans(),
            "gate": st.sampled_from([ATTACHED, ATTACHED, OTHER, None]),
        }
    ),
    st.sampled_from(PEOPLE),
)
JUDGED = st.tuples(
    st.just(VERDICT),
    st.fixed_dictionaries(
        {
            "verdict": st.sampled_from(["PASS", "PASS", "FAIL", "INCONCLUSIVE"]),
            "gate": st.sampled_from([ATTACHED, ATTACHED, OTHER]),
            "dataset": st.sampled_from(["golden", "golden", "old"]),
        }
    ),
    st.just(PEOPLE[0]),
)


def plainly(tier: RiskTier, events: list[Any], authors: frozenset[PrincipalId]) -> bool:
    verdicts = [said for kind, said, _ in events if kind == VERDICT and said["gate"] == ATTACHED]
    last = {by: said for kind, said, by in events if kind == APPROVAL}
    good = [
        said
        for by, said in last.items()
        if said["decision"] == "approve" and said["gate"] == ATTACHED and by not in authors
    ]
    return (
        bool(verdicts)
        and (verdicts[-1]["verdict"], verdicts[-1]["dataset"]) == ("PASS", "golden")
        and len(good) >= APPROVALS[tier]
        and not any(said["decision"] == "object" for said in last.values())
        and (tier != "high" or any(said["is_expert"] for said in good))
    )


def standing(tier: RiskTier, events: list[Any], authors: frozenset[PrincipalId] = frozenset()) -> Standing:
    made = [
        attested(kind, said, by, NOW - timedelta(hours=len(events) - number))
        for number, (kind, said, by) in enumerate(events)
    ]
    return Standing("f", DIGEST, None, tier, Gate(ATTACHED, "golden"), NOW, attested=made, authors=authors)


@given(st.sampled_from(TIERS), st.lists(SAID | JUDGED, max_size=12), st.frozensets(st.sampled_from(PEOPLE)))
def test_a_release_passes_exactly_when_the_rule_says_so(
    tier: RiskTier, events: list[Any], authors: frozenset[PrincipalId]
) -> None:
    conditions = judge(standing(tier, events, authors))
    assert all(each.is_met for each in conditions) == plainly(tier, events, authors)
    assert all(each.message and (each.is_met or each.next_step) for each in conditions)


GOOD = [
    (VERDICT, {"verdict": "PASS", "gate": ATTACHED, "dataset": "golden"}, PEOPLE[0]),
    (APPROVAL, {"decision": "approve", "is_expert": True, "gate": ATTACHED}, PEOPLE[1]),
    (APPROVAL, {"decision": "approve", "is_expert": False, "gate": ATTACHED}, PEOPLE[2]),
]


def is_good(found: Standing) -> bool:
    return all(each.is_met for each in judge(found))


@pytest.mark.parametrize("tier", TIERS)
def test_whatever_takes_one_leg_away_stops_it(tier: RiskTier) -> None:
    good = standing(tier, GOOD)
    assert is_good(good)
    worse = {
        "an incident": replace(good, blocks=[Block("1", None, "down", "jane", NOW)]),
        "a rollback since": replace(good, left=Left("jane", NOW, "bad")),
        "time": replace(good, now=NOW + timedelta(days=31)),
        "a forged one": replace(good, attested=[replace(good.attested[0], problem="changed"), *good.attested[1:]]),
        "a stranger's key": replace(good, attested=[replace(each, is_own=False) for each in good.attested]),
        "another gate": replace(good, gate=Gate(OTHER, "golden")),
        "another golden set": replace(good, gate=Gate(ATTACHED, "newer")),
        "everybody proposed it": replace(good, authors=frozenset(PEOPLE)),
    }
    assert [name for name, each in worse.items() if is_good(each)] == []


def test_what_compared_with_nothing_is_stale_once_something_is_live() -> None:
    verdict, *approvals = GOOD
    for compares in (True, False):
        found = standing("high", [(verdict[0], verdict[1] | {"compares": compares}, verdict[2]), *approvals])
        assert is_good(found)
        assert is_good(replace(found, live=OTHER)) is not compares


def test_the_dearest_word_on_risk_counts() -> None:
    assert [dearest([]), dearest([None, "low"]), dearest(["low", "high"]), dearest(["medium", None])] == [
        "low", "low", "high", "medium",
    ]  # fmt: skip


def test_an_objection_stands_until_it_is_withdrawn() -> None:
    objected = (APPROVAL, {"decision": "object"}, PEOPLE[3])
    long_ago = attested(*objected, NOW - timedelta(days=90))
    good = standing("high", GOOD)
    stopped = replace(good, attested=[long_ago, *good.attested])
    assert [each.rule for each in judge(stopped) if not each.is_met] == ["objections"]
    withdrawn = attested(APPROVAL, {"decision": "withdraw"}, PEOPLE[3], NOW - timedelta(days=89))
    assert is_good(replace(good, attested=[long_ago, withdrawn, *good.attested]))
    back = replace(stopped, left=Left("jane", NOW - timedelta(days=60), "bad"))
    assert "objections" in [each.rule for each in judge(back) if not each.is_met]
