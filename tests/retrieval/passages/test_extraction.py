from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.extraction import extract_sentences
from headworks.types.ids import DocumentId, new_id
from headworks.types.retrieval import Passage

THERAPY = """## Physical therapy

The plan pays for up to twenty visits of physical therapy in a calendar year. Visits beyond that need prior approval.

How many visits of physical therapy are paid? See above."""
FORMS = "Send the form by post. Forms for physical therapy are at the clinic. The clinic is open on weekdays."
words = st.sampled_from(["plan", "visit", "therapy", "form", "clinic", "is", "a", "20", "?", ".", "\n\n", "# "])


def passage(number: int, text: str, title: str = "Guide", section: tuple[str, ...] = ()) -> Passage:
    return Passage(number, DocumentId(new_id()), 1, "guide.md", title, section, number, 0, len(text), text, 1.0)


def extracted(question: str, *passages: Passage, limit: int = 3) -> list[tuple[int, str]]:
    texts = {each.number: each.text for each in passages}
    found = extract_sentences(question, passages, limit)
    return [(each.number, texts[each.number][each.start : each.end]) for each in found]


def test_the_sentence_that_covers_the_question_comes_first() -> None:
    found = extracted(
        "How many visits of physical therapy does the plan pay for?", passage(1, FORMS), passage(2, THERAPY)
    )
    assert found[0] == (2, "The plan pays for up to twenty visits of physical therapy in a calendar year.")


def test_headings_and_questions_are_never_the_answer() -> None:
    found = extracted("How many visits of physical therapy are paid?", passage(1, THERAPY))
    assert all("?" not in text and "#" not in text for _, text in found)


def test_an_answer_that_only_its_question_explains_is_found() -> None:
    faq = passage(
        1, "Who signs the appeal letter?\n\nAlways the medical director alone.\n\nMeals are served at noon each day."
    )
    assert extracted("Who signs the appeal letter?", faq)[0] == (1, "Always the medical director alone.")


def test_the_headings_above_a_sentence_count_in_part() -> None:
    one = passage(1, "The office opens at nine in the morning.", section=("Harbour clinic",))
    two = passage(2, "The office opens at ten in the morning.", section=("Hill clinic",))
    assert extracted("When does the office of the Hill clinic open?", one, two)[0][0] == 2


def test_the_same_sentence_is_given_once() -> None:
    found = extracted("physical therapy visits", passage(1, THERAPY), passage(2, THERAPY))
    assert len({text for _, text in found}) == len(found)


def test_no_more_than_asked_for_and_nothing_far_worse_than_the_best() -> None:
    assert len(extracted("physical therapy clinic plan", passage(1, THERAPY), passage(2, FORMS), limit=1)) == 1
    found = extracted("visits of physical therapy in a calendar year", passage(1, THERAPY), passage(2, FORMS))
    assert "Send the form by post." not in [text for _, text in found]


def test_where_no_word_is_shared_the_closest_passages_begin() -> None:
    found = extracted("Quantum chromodynamics?", passage(1, FORMS), passage(2, "Meals are served at noon."))
    assert found == [(1, "Send the form by post."), (2, "Meals are served at noon.")]


def test_a_sentence_with_brackets_that_look_like_markers_is_left_out() -> None:
    found = extracted("visits paid", passage(1, "Visits are paid as agreed [3]. Other visits are paid as well."))
    assert [text for _, text in found] == ["Other visits are paid as well."]


def test_of_an_endless_question_the_beginning_counts() -> None:
    """As in a search; the rest would hold up everybody else who is answered by this process."""
    asked = "visits of physical therapy ".ljust(8_000)
    assert extracted(asked + "forms at the clinic " * 100, passage(1, THERAPY), passage(2, FORMS)) == extracted(
        asked, passage(1, THERAPY), passage(2, FORMS)
    )


def test_nothing_to_read_gives_nothing() -> None:
    assert extract_sentences("What?", []) == []
    assert extract_sentences("", [passage(1, "")]) == []


@given(st.lists(words, max_size=8).map(" ".join), st.lists(st.lists(words, max_size=30).map(" ".join), max_size=4))
def test_extracts_are_whole_sentences_in_falling_order(question: str, texts: list[str]) -> None:
    passages = [passage(number, text) for number, text in enumerate(texts, 1)]
    found = extract_sentences(question, passages)
    assert len(found) <= 3
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for each in found:
        text = texts[each.number - 1]
        assert 0 <= each.start < each.end <= len(text)
        assert text[each.start : each.end] == text[each.start : each.end].strip()


def test_sentences_come_from_several_passages_and_each_adds_something() -> None:
    leave = (
        "Parental leave is twelve weeks long. Parental leave of twelve weeks is for every parent. "
        "Parental leave may be taken as days or weeks."
    )
    pay = "During parental leave the full salary is paid. Salaries come on the 25th."
    found = extracted("How long is parental leave, and is the salary paid?", passage(1, leave), passage(2, pay))
    assert {number for number, _ in found} == {1, 2}
    assert (2, "During parental leave the full salary is paid.") in found


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        (
            "Wie lange ist der Urlaub?",
            "Am 1. Januar beginnt das Jahr. Der Urlaub ist gemäß Art. 5 Abs. 2 z.B. 25 Tage lang. Der Arzt hilft.",
            "Der Urlaub ist gemäß Art. 5 Abs. 2 z.B. 25 Tage lang.",
        ),
        (
            "متى يبدأ الدوام؟",
            "الأطفال يلعبون في الحديقة. الدوام يبدأ الساعة التاسعة صباحا.",
            "الدوام يبدأ الساعة التاسعة صباحا.",
        ),
        ("年假有多少天?", "食堂中午开门。每位员工的年假是二十五天。医生每周来一次。", "每位员工的年假是二十五天。"),
        ("育児休暇は何週間ですか?", "食堂は正午に開きます。育児休暇は十二週間です。", "育児休暇は十二週間です。"),
        ("מתי נפתח המשרד?", "הכלב רץ בגן הגדול. המשרד נפתח בתשע בבוקר.", "המשרד נפתח בתשע בבוקר."),
    ],
)
def test_whole_sentences_of_other_languages_are_found(question: str, text: str, expected: str) -> None:
    assert extracted(question, passage(1, text))[0] == (1, expected)
