from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headworks.cli.demo.headings import Outline, choose, outline

HEADINGS = st.lists(st.sampled_from([f"Heading number {number}" for number in range(9)]), unique=True, max_size=5)
OUTLINES = st.lists(HEADINGS, max_size=6).map(
    lambda found: [Outline(f"{number}.md", tuple(headings)) for number, headings in enumerate(found)]
)


@given(OUTLINES, st.integers(0, 6))
def test_as_many_as_wanted_or_as_there_are_from_as_many_documents_as_possible(
    outlines: list[Outline], count: int
) -> None:
    chosen = choose(outlines, count)
    assert len(chosen) == min(count, sum(len(each.headings) for each in outlines))
    documents = {each.origin for each in chosen}
    assert len(documents) == min(len(chosen), sum(1 for each in outlines if each.headings))
    known = {f"a heading of {each.path}": each.headings for each in outlines}
    assert all(each.text in known[each.origin] for each in chosen)


def test_a_heading_of_one_document_comes_before_one_that_many_have() -> None:
    outlines = [Outline("a", ("Revision history", "Repeat scans of the spine")), Outline("b", ("Revision history",))]
    assert [each.text for each in choose(outlines, 2)] == ["Repeat scans of the spine", "Revision history"]


def test_numbers_before_a_heading_are_left_out_and_what_says_little_too() -> None:
    found = outline(
        "a.md", "text", ["3.2 When it is covered", "IV. The appeal itself", "FAQ", "x" * 200, " 7)  Time limits "]
    )
    assert found == Outline("a.md", ("When it is covered", "The appeal itself", "Time limits"))


def test_without_headings_it_is_the_first_words_and_said_so() -> None:
    found = outline("a.txt", "one two  three\nfour " * 10, ["1"])
    assert not found.is_heading
    assert found.headings == ("one two three four one two three four one two three four",)
    (chosen,) = choose([found], 3)
    assert chosen.origin == "the first words of a.txt"


def test_documents_with_headings_come_first() -> None:
    outlines = [outline("a.csv", "a b c d e f g h", []), outline("b.md", "x", ["Who approves travel"])]
    assert [each.text for each in choose(outlines, 1)] == ["Who approves travel"]
