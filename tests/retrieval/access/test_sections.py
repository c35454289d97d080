"""The text of a document and of its sections: each character once, in its place, and nothing left where one was cut."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.access.sections import SectionRule, read_rules, spans_of, split, write_rules
from headworks.retrieval.parsers import markdown
from headworks.retrieval.parsers.contract import Box, Heading, ParsedDocument
from headworks.types.ids import PrincipalId, new_id

AUDITORS = PrincipalId(new_id())


def _rule(heading: str, documents: str = "**") -> SectionRule:
    return SectionRule(documents, heading, (AUDITORS,), ())


SECRET = _rule("secret*")


@st.composite
def _documents(draw: st.DrawFn) -> ParsedDocument:
    text, headings, boxes = "", [], []
    for level, name, body in draw(
        st.lists(
            st.tuples(
                st.integers(0, 4),
                st.sampled_from(["Secret", "secrets of", "Plain", "Äther"]),
                st.text("ab \n", max_size=9),
            ),
            max_size=9,
        )
    ):
        if level:
            start = len(text)
            text += f"{'#' * level} {name}\n"
            headings.append(Heading(level, name, start, len(text) - 1))
            boxes.append(Box(start, len(text) - 1, 1, 0, 0, 1, 1))
        text += f"{body}\n"
    pages = tuple(sorted(draw(st.lists(st.integers(0, len(text)), max_size=4))))
    return ParsedDocument(text, "A title", tuple(headings), "text/markdown", pages, tuple(boxes))


@given(_documents())
def test_spans_hold_every_character_once_in_order(parsed: ParsedDocument) -> None:
    spans = spans_of(parsed, [SECRET])
    assert (spans[0].start, spans[-1].end) == (0, len(parsed.text))
    assert all(one.end == two.start for one, two in pairwise(spans))


@given(_documents())
def test_nothing_of_a_section_is_left_and_everything_stands_where_its_offsets_say(parsed: ParsedDocument) -> None:
    rest, sections = split("a.md", parsed, [SECRET])
    assert not any("secret" in heading.text.casefold() for heading in rest.headings)
    assert "ecret" not in rest.text
    assert len({each.name for each in sections}) == len(sections)
    together = "".join([rest.text, *(each.parsed.text for each in sections)])
    assert sorted(together.replace("\n", "").replace(" ", "")) == sorted(parsed.text.replace("\n", "").replace(" ", ""))
    for each in (rest, *(section.parsed for section in sections)):
        assert [each.text[heading.start : heading.end].lstrip("# ") for heading in each.headings] == [
            heading.text for heading in each.headings
        ]
        assert [(box.start, box.end) for box in each.boxes] == [(each_.start, each_.end) for each_ in each.headings]
        assert len(each.pages) == len(parsed.pages)
        assert all(0 <= one <= two <= len(each.text) for one, two in pairwise((0, *each.pages)))


@given(_documents())
def test_what_no_rule_matches_stays_as_it_is(parsed: ParsedDocument) -> None:
    assert split("a.md", parsed, [_rule("secret*", "b.md"), _rule("nothing")]) == (parsed, [])


def test_a_section_goes_with_all_below_it_and_leaves_no_trace() -> None:
    parsed = markdown.parse(
        "a.md",
        b"# Manual\n\nOne.\n\n## Audit  thresholds 2026\n\n900\n\n### Inner\n\n700\n\n"
        b"## Two\n\nTwo.\n\n## Audit\n\nLast.\n",
    )
    rest, sections = split("a.md", parsed, [_rule("audit thresholds*"), _rule("inner"), _rule("AUDIT")])
    without = markdown.parse("a.md", b"# Manual\n\nOne.\n\n## Two\n\nTwo.\n")
    assert rest.text.strip() == without.text.strip()
    assert [each.text for each in rest.headings] == ["Manual", "Two"]
    assert [each.name for each in sections] == ["Manual › Audit thresholds 2026", "Manual › Audit"]
    assert [each.parsed.title for each in sections] == ["Manual › Audit thresholds 2026", "Manual › Audit"]
    assert "700" in sections[0].parsed.text


def test_a_title_that_is_a_hidden_heading_is_hidden_too() -> None:
    parsed = markdown.parse("dir/plan.md", b"# Merger with Acme\n\nIn May.\n")
    rest, sections = split("dir/plan.md", parsed, [_rule("merger*")])
    assert (rest.title, rest.text) == ("plan", "")
    assert sections[0].parsed.title == "plan › Merger with Acme"


@pytest.mark.parametrize("pattern", ["*", "Audit?thresholds", "ＡＵＤＩＴ*", "  audit   *"])
def test_headings_are_compared_without_case_width_and_spaces(pattern: str) -> None:
    parsed = markdown.parse("a.md", b"# Audit thresholds\n\nx\n")
    assert split("a.md", parsed, [_rule(pattern)])[1]


@given(st.text("ab*?.", max_size=7), st.text("ab.", max_size=9))
def test_a_heading_matches_as_a_file_name_does(pattern: str, heading: str) -> None:
    parsed = ParsedDocument(f"{heading}\n", "", (Heading(1, heading, 0, len(heading)),), "text/plain", (0,), ())
    assert bool(split("a.md", parsed, [_rule(pattern)])[1]) == fnmatchcase(heading, pattern)


def test_no_heading_is_so_long_that_its_rules_take_forever() -> None:
    heading = "fee 2026 " * 100_000
    parsed = ParsedDocument(f"{heading}\n", "", (Heading(1, heading, 0, len(heading)),), "text/plain", (0,), ())
    assert not split("a.md", parsed, [_rule("*fee*2026*fee*x")])[1]


def test_rules_are_read_as_they_were_written() -> None:
    rules = [_rule("a"), SectionRule("b/**", "*", (), (AUDITORS,))]
    assert read_rules({"sections": write_rules(rules)}) == rules
    assert read_rules({}) == []
