"""Near-duplicates and leaks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.evaluation.datasets.checking import check, told_by
from headworks.evaluation.datasets.duplicates import (
    NEAR,
    asked,
    common_share,
    leaked_references,
    near_duplicates,
    shingles_of,
)
from headworks.types.evaluation import Example
from headworks.types.models import Message

LONG = "The member has had six weeks of supervised physical therapy without any lasting relief of the pain"
WORDS = ("pain", "relief", "weeks", "therapy", "mri", "lumbar", "spine", "member", "plan", "clause")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12)


def test_a_question_in_slightly_other_words_is_a_duplicate_and_across_splits_a_leak() -> None:
    same = Example("b", LONG.upper() + "!", split="train")
    other = Example("c", "Is a referral needed before the first visit to a dermatologist of the network?")
    (found,) = near_duplicates([Example("a", LONG), same, other])
    assert (found.first, found.second, found.share) == ("a", "b", 1.0)
    assert found.is_leak


def test_leaks_come_first_and_what_is_alike_in_one_split_is_told() -> None:
    examples = [Example("a", LONG), Example("b", f"{LONG} today"), Example("c", f"{LONG} now", split="dev")]
    found = near_duplicates(examples)
    assert [each.is_leak for each in found] == [True, True, False]
    assert not check(examples, {}).is_clean
    assert check(examples[:2], {}).is_clean


def test_inputs_and_history_are_part_of_what_is_asked() -> None:
    first = Example("a", "And now?", {"plan": "gold", "note": LONG})
    second = Example("b", "And now?", {"plan": "silver", "note": "nothing of the kind was ever written down here"})
    turns = Example("c", "And now?", history=(Message("user", LONG),))
    assert near_duplicates([first, second, turns]) == []
    assert asked(turns).startswith("The member")


@settings(max_examples=60)
@given(st.lists(TEXTS, min_size=2, max_size=8))
def test_what_is_found_are_the_pairs_that_share_enough(texts: list[list[str]]) -> None:
    """The bands miss a pair at the edge with a chance of 2 in 10,000; pairs well above it are all there."""
    examples = [Example(str(at), " ".join(text)) for at, text in enumerate(texts)]
    found = {(each.first, each.second) for each in near_duplicates(examples)}
    shingles = [shingles_of(asked(each)) for each in examples]
    shares = {
        (str(one), str(two)): common_share(shingles[one], shingles[two])
        for one in range(len(texts))
        for two in range(one + 1, len(texts))
    }
    assert {pair for pair, share in shares.items() if share >= 0.9} <= found
    assert all(shares[pair] >= NEAR for pair in found)


def test_hundreds_of_the_same_are_found_without_comparing_all() -> None:
    examples = [Example(f"e{at:03}", LONG) for at in range(400)]
    found = near_duplicates(examples)
    assert {each.second for each in found} | {"e000"} == {each.id for each in examples}
    assert len(found) < 400 * 10


def test_a_reference_that_a_prompt_tells_is_found_and_a_word_is_not() -> None:
    files = {
        "features/claims/prompts/answer.prompty": f"Example: {LONG}.".encode(),
        "features/claims/knowledge/a.md": b"approve or deny",
        "features/other/prompts/answer.prompty": LONG.encode(),
        "features/claims/golden/cases.jsonl": LONG.encode(),
    }
    told = told_by(files, "claims")
    assert sorted(told) == ["features/claims/knowledge/a.md", "features/claims/prompts/answer.prompty"]
    (leak,) = leaked_references([Example("a", "?", reference=LONG), Example("b", "?", reference="approve")], told)
    assert (leak.example, leak.path, leak.share) == ("a", "features/claims/prompts/answer.prompty", 1.0)


def test_one_cluster_few_examples_and_missing_references_are_said() -> None:
    found = check([Example("a", "one", cluster="x"), Example("b", "two", cluster="x")], {})
    assert found.clusters == 1
    assert any("one cluster" in each for each in found.notices)
    assert any("2 examples show little" in each for each in found.notices)
    assert any("no reference" in each for each in found.notices)


def test_what_is_alike_within_its_cluster_is_counted_and_not_told() -> None:
    examples = [Example(name, f"{LONG} {name}", cluster="x") for name in ("a", "b")] + [Example("c", LONG)]
    found = check(examples, {})
    assert {(each.first, each.second) for each in found.duplicates} == {("a", "c"), ("b", "c")}
    assert any("alike within their cluster, as they should be: 1." in each for each in found.notices)
