from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.parsers import markdown
from headworks.retrieval.parsers.contract import ParsedDocument, Table
from headworks.retrieval.passages.chunking import ChunkSettings, ChunkSpan, chunk
from headworks.retrieval.passages.counting import CountTokens, WordCounts, estimated_tokens

DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data"))

lines = st.sampled_from(
    [
        "# Top",
        "## Part",
        "### Deep",
        "Short text.",
        "A longer sentence with quite a few words in it, and a comma. And more!",
        "- an item",
        "| a | b |",
        "|---|---|",
        "```",
        "",
        "",
        "word " * 30,
        "x" * 90,
        "é" * 40,
        "漢字" * 30,
        "漢字の文です。" * 9,
        "שלום עולם, זה משפט. ",
        "هذا نص بالعربية؟ نعم. " * 4,
        "\U0001f600" * 70,
        "नमस्ते दुनिया " * 12,
        "a\u200db" * 40,
        "\x00\x1f\ud800 odd",
        "👩\u200d⚕️ " * 9,
    ]
)
documents = st.lists(lines, min_size=1, max_size=40).map("\n".join)
settings_of_chunks = st.builds(
    ChunkSettings,
    max_tokens=st.integers(16, 80),
    overlap_sentences=st.integers(0, 3),
    context_tokens=st.integers(0, 40),
    has_headers=st.booleans(),
)
counts = st.sampled_from([estimated_tokens, WordCounts(len), WordCounts(lambda _: 1)])


def parsed(text: str, title: str = "Manual") -> ParsedDocument:
    headings = tuple(markdown.headings_of(text))
    return ParsedDocument(text, title, headings, "text/markdown")


def texts(document: ParsedDocument, found: list[ChunkSpan]) -> list[str]:
    return [document.text[each.start : each.end] for each in found]


@given(documents | st.text(max_size=600), settings_of_chunks, counts)
def test_chunks_are_exact_ordered_within_budget_and_cover_all_text(
    text: str, settings: ChunkSettings, count: CountTokens
) -> None:
    document = parsed(text)
    found = chunk(document, settings, count)
    covered: set[int] = set()
    for number, each in enumerate(found):
        piece = text[each.start : each.end]
        assert each.ordinal == number
        assert piece
        assert piece == piece.strip()
        assert each.tokens == count(piece)
        assert each.tokens <= settings.max_tokens or len(piece) <= 16, "some characters count for many tokens"
        assert count(each.context) <= settings.context_tokens or len(each.context) <= 16
        covered.update(range(each.start, each.end))
    assert all(one.start < other.start and one.end < other.end for one, other in itertools.pairwise(found))
    assert all(position in covered or character.isspace() for position, character in enumerate(text))


@given(documents, settings_of_chunks)
def test_the_same_document_gives_the_same_chunks(text: str, settings: ChunkSettings) -> None:
    assert chunk(parsed(text), settings) == chunk(parsed(text), settings)


@given(documents)
def test_without_overlap_no_character_is_in_two_chunks(text: str) -> None:
    found = chunk(parsed(text), ChunkSettings(max_tokens=20, overlap_sentences=0))
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


@given(documents)
def test_a_chunk_never_holds_text_of_two_sections(text: str) -> None:
    document = parsed(text)
    for each in chunk(document, ChunkSettings(max_tokens=60)):
        inside = [heading for heading in document.headings if each.start < heading.start < each.end]
        for heading in inside:  # a heading below the chunk's start: nothing but headings before it
            before = text[each.start : heading.start]
            above = [one for one in document.headings if each.start <= one.start < heading.start]
            assert before.split() == " ".join(text[one.start : one.end] for one in above).split()


def test_sections_are_cut_at_headings_and_know_their_path() -> None:
    document = parsed(
        "Preface.\n\n# Plan\n\n## Coverage\n\nVisits are paid.\n\n## Limits\n\nTwenty.\n\n# Forms\n\nOne."
    )
    found = chunk(document, ChunkSettings())
    assert [(each.section, text) for each, text in zip(found, texts(document, found), strict=True)] == [
        ((), "Preface."),
        (("Plan", "Coverage"), "# Plan\n\n## Coverage\n\nVisits are paid."),
        (("Plan", "Limits"), "## Limits\n\nTwenty."),
        (("Forms",), "# Forms\n\nOne."),
    ]


def test_a_heading_without_text_before_one_of_its_own_level_is_a_chunk() -> None:
    document = parsed("# Empty\n\n# Next\n\nText.")
    assert texts(document, chunk(document, ChunkSettings())) == ["# Empty", "# Next\n\nText."]


def test_the_context_names_what_the_chunk_itself_does_not() -> None:
    document = parsed("# Plan\n\n## Limits\n\n" + "Twenty visits are paid in each year. " * 40, title="Guideline 7")
    first, second, *_ = chunk(document, ChunkSettings(max_tokens=100))
    assert first.context == "Guideline 7"
    assert second.context == "Guideline 7 > Plan > Limits"
    assert second.indexed("text") == "Guideline 7 > Plan > Limits\n\ntext"
    assert dataclasses.replace(second, context="").indexed("text") == "text"


def test_a_context_that_is_too_long_keeps_the_nearest_heading() -> None:
    document = parsed(
        "# A very long chapter about everything\n\n## Limits\n\n" + "Words follow here. " * 30, title="T " * 30
    )
    last = chunk(document, ChunkSettings(max_tokens=40, context_tokens=4))[-1]
    assert last.context == "Limits"


def test_a_table_that_goes_on_brings_its_header_into_the_context() -> None:
    rows = "\n".join(f"| {number} | visit number {number} |" for number in range(30))
    document = parsed(f"# Codes\n\n| code | meaning |\n|---|---|\n{rows}")
    found = chunk(document, ChunkSettings(max_tokens=60))
    assert len(found) > 2
    assert all("| code | meaning |" in each.indexed(document.text[each.start : each.end]) for each in found)


def test_a_table_whose_header_has_two_rows_brings_both() -> None:
    rows = "\n".join(f"| {number} | visit number {number} |" for number in range(30))
    text = f"| 2025 | plan |\n| code | meaning |\n|---|---|\n{rows}"
    document = dataclasses.replace(parsed(text), tables=(Table(0, len(text), text.index("\n|---|")),))
    second = chunk(document, ChunkSettings(max_tokens=60))[1]
    assert "| 2025 | plan |\n| code | meaning |" in second.context


def test_without_headers_only_that_of_a_table_is_kept() -> None:
    rows = "\n".join(f"| {number} | visit number {number} |" for number in range(30))
    document = parsed(f"# Codes\n\nSome words.\n\n| code | meaning |\n|---|---|\n{rows}")
    found = chunk(document, ChunkSettings(max_tokens=60, has_headers=False))
    assert {each.context for each in found} == {"", "| code | meaning |"}


def test_a_whole_table_is_one_chunk_together_with_its_heading_if_it_is_not_too_long() -> None:
    rows = "\n".join(f"| {number} | visit number {number} |" for number in range(40))
    table = f"| code | meaning |\n|---|---|\n{rows}"
    document = parsed(f"# Codes\n\n{table}\n\n{'After it. ' * 30}")
    settings = ChunkSettings(max_tokens=60, has_whole_tables=True)
    first, *after = chunk(document, settings)
    assert document.text[first.start : first.end] == f"# Codes\n\n{table}"
    assert all(each.tokens <= 60 for each in after)
    long = parsed(table + "\n" + "\n".join(f"| {number} | later |" for number in range(400)))
    found = chunk(long, settings)
    assert len(found) > 20
    assert all(each.tokens <= 60 for each in found)
    assert "| code | meaning |" in found[-1].context


def test_the_next_chunk_repeats_the_last_sentence_of_the_one_before() -> None:
    sentences = [f"This is the sentence with the number {number} of the text." for number in range(12)]
    document = parsed(" ".join(sentences))
    found = chunk(document, ChunkSettings(max_tokens=60, overlap_sentences=1))
    for one, other in itertools.pairwise(found):
        assert document.text[other.start : one.end] in sentences


def test_chunks_of_a_section_have_about_the_same_size() -> None:
    document = parsed("Twenty visits of therapy are paid in each year. " * 50)
    sizes = [estimated_tokens(text) for text in texts(document, chunk(document, ChunkSettings(overlap_sentences=0)))]
    assert min(sizes) > 0.7 * max(sizes)


def test_a_word_longer_than_the_budget_is_cut_but_no_accent_is_parted() -> None:
    document = parsed("e\u0301" * 3000)
    found = chunk(document, ChunkSettings(max_tokens=16))
    assert len(found) > 10
    assert all(text[0] == "e" for text in texts(document, found))


def test_blank_documents_have_no_chunks() -> None:
    assert chunk(parsed(" \n\n\t"), ChunkSettings()) == []


@pytest.mark.parametrize(
    "wrong", [{"max_tokens": 15}, {"max_tokens": 9000}, {"overlap_sentences": 11}, {"context_tokens": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="between"):
        ChunkSettings(**wrong)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "This is a sentence about nothing at all. " * 120_000,
        "x" * 10_000_000,
        "| a | b |\n" * 60_000,
        "# a\n" * 30_000,
        "漢" * 400_000,
        "\U0001f600" * 200_000,
    ],
    ids=["prose", "word", "table", "headings", "ideographs", "emoji"],
)
def test_millions_of_characters_take_linear_time(text: str) -> None:
    found = chunk(parsed(text), ChunkSettings(), WordCounts(estimated_tokens))
    assert found[-1].end >= len(text.rstrip()) - 1


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "documents" / "asvs").is_dir(), reason="the public test data is not here")
def test_real_chunks_with_their_context_fit_into_what_minilm_reads() -> None:
    from headworks.providers.minilm import MAX_TOKENS, MiniLM

    word_pieces = MiniLM().word_counter()
    if word_pieces is None:
        pytest.skip("builtin/minilm is not installed")
    count = WordCounts(word_pieces)
    sizes = []
    for file in sorted((DATA / "documents" / "asvs").glob("*.md")):
        document = markdown.parse(file.name, file.read_bytes())
        found = chunk(document, ChunkSettings(), count)
        sizes.extend(word_pieces(each.indexed(document.text[each.start : each.end])) for each in found)
    assert len(sizes) > 300
    assert max(sizes) + 2 <= MAX_TOKENS
