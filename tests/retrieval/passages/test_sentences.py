from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.sentences import blocks, sentences

layouts = st.lists(
    st.sampled_from(
        [
            "# Head",
            "A sentence.",
            "two. Three!",
            "- item",
            "  more",
            "",
            "1. one",
            "2.1.4 clause",
            "| a | b |",
            "|---|---|",
            "```",
            "x = [1]",
            "Dr. Who?",
            "===",
            "---",
            "**Bold**",
            "\t",
            "…",
            "Ende。次",
            "áb",
            "~~~",
            "  \r",
        ]
    ),
    max_size=25,
).map("\n".join)


def of(text: str) -> list[str]:
    return [text[each.start : each.end] for each in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("See Fig. 3 and Sec. 4.2 of vol. 2.", ["See Fig. 3 and Sec. 4.2 of vol. 2."]),
        ("Dr. A. B. Smith and Mrs. Jones agree.", ["Dr. A. B. Smith and Mrs. Jones agree."]),
        ("The dose is 2.5 mg. Take it at 8 a.m. with food.", ["The dose is 2.5 mg.", "Take it at 8 a.m. with food."]),
        ("Open until 6 p.m. The door is shut then.", ["Open until 6 p.m.", "The door is shut then."]),
        ("He lives in the U.S. The plan pays.", ["He lives in the U.S.", "The plan pays."]),
        ("U.S. Department of Health.", ["U.S. Department of Health."]),
        ("No. The plan does not pay.", ["No.", "The plan does not pay."]),
        ("Form No. 5 applies.", ["Form No. 5 applies."]),
        ("Bring the card, e.g. The Blue One.", ["Bring the card, e.g. The Blue One."]),
        ("Wait... then go. Really?! Yes.", ["Wait... then go.", "Really?!", "Yes."]),
        ("1. Introduction to plans", ["1. Introduction to plans"]),
        ("2.1. Scope of the rules. They are short.", ["2.1. Scope of the rules.", "They are short."]),
        ("The limit is 30 days.[1] After that you pay. [2]", ["The limit is 30 days.[1]", "After that you pay. [2]"]),
        ("終わり。次の文。", ["終わり。", "次の文。"]),
        ("A line that\nis wrapped. And\nanother.", ["A line that\nis wrapped.", "And\nanother."]),
        ("", []),
        (" \n\n ", []),
        ("no stop at all", ["no stop at all"]),
    ],
)
def test_prose_is_parted_where_sentences_end(text: str, expected: list[str]) -> None:
    assert of(text) == expected


def test_list_items_stand_alone_and_lose_their_bullets_but_not_their_numbers() -> None:
    text = "Needed:\n- the card\n* a letter. Signed.\n  and dated\n(a) proof\n3) money\n2.1.4 Verify it."
    assert of(text) == [
        "Needed:", "the card", "a letter.", "Signed.\n  and dated", "(a) proof", "3) money", "2.1.4 Verify it.",
    ]  # fmt: skip


def test_a_bullet_is_cut_together_with_its_item() -> None:
    text = "Needed:\n- the card"
    item = sentences(text)[1]
    assert text[item.cut : item.start] == "- "


def test_headings_tables_and_code_are_told_from_prose() -> None:
    text = "# Head\ntext here\n\nUnder\n-----\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    text += "```py\nx = 1. Y\n```\n**Bold head**\nend"
    assert [(each.kind, text[each.start : each.end]) for each in sentences(text)] == [
        ("heading", "# Head"),
        ("prose", "text here"),
        ("heading", "Under\n-----"),
        ("table", "| a | b |"),
        ("table", "| 1 | 2 |"),
        ("code", "x = 1. Y"),
        ("heading", "**Bold head**"),
        ("prose", "end"),
    ]


def test_a_fence_that_is_never_closed_is_code_to_the_end() -> None:
    assert {each.kind for each in sentences("```\na. B\n\nc. D")} == {"code"}


def test_windows_line_ends_leave_no_trace_in_a_sentence() -> None:
    assert of("One.\r\nTwo.\r\n\r\n- three\r\n") == ["One.", "Two.", "three"]


def test_a_part_of_a_text_is_split_with_offsets_of_the_whole() -> None:
    text = "Zero. One. Two."
    assert [text[each.start : each.end] for each in sentences(text, 6, 10)] == ["One."]


@given(st.one_of(layouts, st.text(max_size=200)))
def test_sentences_are_in_order_without_space_around_and_lose_nothing_that_is_said(text: str) -> None:
    found = sentences(text)
    at = 0
    for each in found:
        assert at <= each.cut <= each.start < each.end <= len(text)
        piece = text[each.start : each.end]
        assert piece == piece.strip()
        at = each.end
    said = "".join(text[each.start : each.end] for each in found)
    lost = sum(character.isalnum() for character in text) - sum(character.isalnum() for character in said)
    # Only the language of a fence ("```python") and one-letter bullets may be left out.
    assert lost == 0 or "```" in text or "~~~" in text


@given(layouts)
def test_blocks_are_in_order_and_never_overlap(text: str) -> None:
    at = 0
    for block in blocks(text):
        assert at <= block.start < block.end <= len(text)
        at = block.end


@pytest.mark.parametrize(
    "text",
    [
        "." * 300000,
        "a." * 200000 + " B",
        "|" * 300000,
        "- a\n" * 60000,
        "((((. " * 50000,
        " " * 500000 + "x",
        "[1] " * 100000,
        "**" * 200000,
        "`" * 300000,
        "1.1." * 100000,
        "\n" * 300000,
    ],
    ids=lambda text: repr(text[:6]),
)
@pytest.mark.timeout(20)
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    assert len(sentences(text)) <= len(text)


@pytest.mark.parametrize(
    "expected",
    [
        [
            "Am 1. Januar beginnt das Jahr.",
            "Gemäß Art. 5 Abs. 2 ist es frei, d.h. kostenlos.",
            "Im 3. Quartal ca. 5 Tage.",
        ],
        ["这是第一句。", "这是第二句！", "你好吗？", "好。"],
        ["今日は晴れ。", "「明日は雨だ。」と彼は言った。"],
        ["هذه الجملة الأولى.", "وهذه الثانية؟", "نعم!", "الثالثة۔", "الرابعة"],
        ["זה משפט ראשון.", "זה משפט שני?", "כן."],
        ["यह पहला वाक्य है।", "यह दूसरा है।"],
        ["Première phrase.", "« Deuxième phrase ! »", "Mme. Curie rit ?", "Oui."],
        ["¿Qué es?", "Sra. Pérez vive aquí."],
    ],
)
def test_sentences_of_other_languages_end_where_they_end(expected: list[str]) -> None:
    joined = "" if expected[0].endswith("。") else " "
    text = joined.join(expected)
    assert [text[each.start : each.end] for each in sentences(text)] == expected
