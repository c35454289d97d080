"""What holds of several models together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.providers.pricing.facts import SUPPORTS, UNKNOWN, ModelFacts, of_all

LIMITS = st.none() | st.integers(1, 10**6)
DAYS = st.none() | st.dates().map(str)
FACTS = st.builds(
    ModelFacts,
    context_tokens=LIMITS,
    max_output_tokens=LIMITS,
    kind=st.sampled_from([None, "chat", "responses"]),
    is_deprecated=st.none() | st.booleans(),
    retires_on=DAYS,
    supports=st.dictionaries(st.sampled_from(SUPPORTS), st.booleans(), max_size=4),
)


def test_the_least_limit_and_what_each_supports_hold_for_all() -> None:
    first = ModelFacts(200_000, 8_000, "chat", False, "2027-03-01", {"tools": True, "images": True, "video": True})
    other = ModelFacts(128_000, 16_000, "chat", True, "2027-02-01", {"tools": True, "images": False})
    assert of_all([first, other]) == ModelFacts(
        128_000, 8_000, "chat", True, "2027-02-01", {"tools": True, "images": False}
    )


def test_what_is_not_known_of_one_is_not_known_of_all() -> None:
    known = ModelFacts(200_000, 8_000, "chat", False, "2027-03-01", {"tools": True, "images": False})
    together = of_all([known, UNKNOWN])
    assert together == ModelFacts(retires_on="2027-03-01", supports={"images": False})


@given(facts=FACTS)
def test_facts_of_one_model_are_its_facts(facts: ModelFacts) -> None:
    assert of_all([facts]) == facts


@given(models=st.lists(FACTS, min_size=1, max_size=4), data=st.data())
def test_neither_order_nor_repetition_matters(models: list[ModelFacts], data: st.DataObject) -> None:
    again = data.draw(st.permutations([*models, data.draw(st.sampled_from(models))]))
    assert of_all(again) == of_all(models)


@pytest.mark.parametrize(("known", "shown"), [(None, 50), (10, 10), (80, 50)])
def test_a_cap_is_the_most_output_unless_the_model_gives_less(known: int | None, shown: int) -> None:
    assert ModelFacts(max_output_tokens=known).capped(50).max_output_tokens == shown
