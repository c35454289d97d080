"""Personal data and secrets in text: what is found, where, and what stands in its place."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.guardrails import pii
from headworks.guardrails.contract import KINDS, Finding
from headworks.guardrails.pii import Numbering, find, redact

CARD = "4539 8991 4330 1460"
IBAN = "DE56 7877 8932 8792 1742 18"
FLOORS = {"precision": 0.97, "recall": 0.95}
PIECES = st.sampled_from(
    [
        *("phone ", "tel: ", "NHS ", "ssn ", "card ", "password: ", "api_key=", "order ", "id ", " is ", "Bearer "),
        *("bob@example.com", CARD, "4539899143301460", IBAN, "536-10-3306", "943 426 0272", "VRDLGU71C14F205G"),
        *("+49 30 90182 4471", "(212) 555-0187", "212-555-0187", "203.0.113.42", "2024-01-15", "12345678"),
        *("redis://u:p4ssw0rdX9@", "F6bnZ3eBZclIvRY6iEjH5UH1", "-----BEGIN PRIVATE KEY-----", "[EMAIL_1]", "[PHONE_1]"),
        *("😀", "\u200b", "\u00a0", "\ud800", "٣", "-", "/", ".", ",", " ", "\n", '"', "'", "@", "+", "1"),
    ]
)
MIXED = st.lists(PIECES | st.text(max_size=12), max_size=16).map("".join)


def load_examples() -> ModuleType:
    spec = importlib.util.spec_from_file_location("labelled", Path(__file__).with_name("labelled.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["labelled"] = module  # its dataclass looks its module up
    spec.loader.exec_module(module)
    return module


EXAMPLES = load_examples().read_examples()


def found(text: str, *kinds: str) -> list[tuple[str, str]]:
    return [(finding.kind, text[finding.start : finding.end]) for finding in find(text, frozenset(kinds) or KINDS)]


def is_hit(finding: Finding, span: tuple[str, int, int]) -> bool:
    kind, start, end = span
    overlap = min(finding.end, end) - max(finding.start, start)
    return finding.kind == kind and overlap * 2 >= end - start


def test_the_labelled_examples_are_many_and_half_of_them_have_nothing_to_find() -> None:
    with_data = sum(bool(example.spans) for example in EXAMPLES)

    assert len(EXAMPLES) >= 200
    assert with_data >= 110
    assert len(EXAMPLES) - with_data >= 90
    assert {kind for example in EXAMPLES for kind, _, _ in example.spans} == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_precision_and_recall_on_the_labelled_examples(kind: str) -> None:
    tally: Counter[str] = Counter()
    missed: list[str] = []
    for example in EXAMPLES:
        wanted = [span for span in example.spans if span[0] == kind]
        got = [finding for finding in find(example.text) if finding.kind == kind]
        hits = [finding for finding in got if any(is_hit(finding, span) for span in wanted)]
        tally += Counter(wanted=len(wanted), got=len(got), hits=len(hits))
        if len(hits) != len(wanted) or len(hits) != len(got):
            missed.append(example.text)

    assert tally["wanted"] >= 5
    assert tally["hits"] / tally["got"] >= FLOORS["precision"], missed
    assert tally["hits"] / tally["wanted"] >= FLOORS["recall"], missed


def test_offsets_are_characters_after_emoji_and_astral_letters() -> None:
    text = f"😀𝒜é {CARD} — 👩‍👩‍👧 bob@exämple.de 😀"

    assert found(text) == [("card", CARD), ("email", "bob@exämple.de")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("card 4539\u00a08991\u202f4330\u20091460 ok", "4539\u00a08991\u202f4330\u20091460"),
        ("card 4539\u20118991\u20114330\u20111460 ok", "4539\u20118991\u20114330\u20111460"),
        ("card ٤٥٣٩٨٩٩١٤٣٣٠١٤٦٠ ok", "٤٥٣٩٨٩٩١٤٣٣٠١٤٦٠"),
        ("card ４５３９８９９１４３３０１４６０ ok", "４５３９８９９１４３３０１４６０"),
        ("card 4539\u200b8991\u00ad4330\u20601460 ok", "4539\u200b8991\u00ad4330\u20601460"),
        ("card 𝟒𝟓𝟑𝟗𝟖𝟗𝟗𝟏𝟒𝟑𝟑𝟎𝟏𝟒𝟔𝟎 ok", "𝟒𝟓𝟑𝟗𝟖𝟗𝟗𝟏𝟒𝟑𝟑𝟎𝟏𝟒𝟔𝟎"),
    ],
    ids=["spaces", "hyphens", "arabic digits", "wide digits", "invisible characters", "mathematical digits"],
)
def test_unusual_characters_do_not_hide_a_number(text: str, value: str) -> None:
    assert found(text) == [("card", value)]


def test_an_address_in_wide_letters_is_found() -> None:
    assert found("to ｂｏｂ＠ｅｘａｍｐｌｅ．ｃｏｍ now") == [("email", "ｂｏｂ＠ｅｘａｍｐｌｅ．ｃｏｍ")]


def test_text_with_lone_surrogates_is_searched() -> None:
    assert found("\ud800 bob@example.com \udfff") == [("email", "bob@example.com")]


def test_only_the_kinds_asked_for_are_found() -> None:
    text = f"bob@example.com {CARD} {IBAN} ssn 536-10-3306"

    assert found(text, "card") == [("card", CARD)]
    assert found(text, "email", "iban") == [("email", "bob@example.com"), ("iban", IBAN)]
    assert find(text, frozenset()) == []


def test_the_surer_finding_wins_where_two_overlap() -> None:
    text = "redis://app:p4ss@cache.example.com:6379"

    assert found(text) == [("secret", "app:p4ss")]
    assert found(text, "email") == [("email", "p4ss@cache.example.com")]


def test_findings_never_hold_the_text() -> None:
    (finding,) = find("bob@example.com")

    assert "bob" not in repr(finding)
    assert (finding.rule, finding.kind, finding.start, finding.end) == ("email", "email", 0, 15)


def test_placeholders_are_numbered_by_value_within_one_text() -> None:
    text = "a@example.com, b@example.com, A@EXAMPLE.com"

    assert redact(text, find(text)) == "[EMAIL_1], [EMAIL_2], [EMAIL_1]"


def test_the_same_value_has_the_same_number_in_all_texts_of_a_request() -> None:
    numbering = Numbering()
    texts = [f"IBAN {IBAN}", "NL46ABNA4019161461", IBAN.replace(" ", "").lower()]

    assert [redact(text, find(text), numbering) for text in texts] == ["IBAN [IBAN_1]", "[IBAN_2]", "[IBAN_1]"]


def test_another_request_numbers_afresh() -> None:
    for text in ("a@example.com", "b@example.com"):
        assert redact(text, find(text)) == "[EMAIL_1]"


def test_secrets_that_differ_in_case_are_different() -> None:
    text = "token=F6bnZ3eBZclIvRY6iEjH5UH1 token=f6bnZ3eBZclIvRY6iEjH5UH1"

    assert redact(text, find(text)) == "token=[SECRET_1] token=[SECRET_2]"


def test_a_numbering_does_not_show_its_values() -> None:
    numbering = Numbering()
    redact("a@example.com", find("a@example.com"), numbering)

    assert "example" not in repr(numbering)
    assert "'email': 1" in repr(numbering)


def test_what_a_removed_value_brings_near_to_its_label_is_found_too() -> None:
    long_address = "a-very-long-address-of-somebody-else.in.the.department@example.com"
    text = f"phone {long_address} 4155550132"

    assert find(redact(text, find(text))) == []
    assert ("phone", "4155550132") in found(text)


def test_a_placeholder_is_no_label_for_the_number_beside_it() -> None:
    assert found("[PHONE_1] 4155550132") == []


def test_an_empty_text_has_no_findings() -> None:
    assert find("") == []
    assert redact("", []) == ""


@given(MIXED)
@settings(max_examples=400)
def test_a_redacted_text_has_nothing_left_to_find(text: str) -> None:
    once = redact(text, find(text))

    assert find(once) == []
    assert redact(once, find(once)) == once


@given(MIXED)
@settings(max_examples=200)
def test_findings_are_ordered_apart_and_within_the_text(text: str) -> None:
    position = 0
    for finding in find(text):
        assert position <= finding.start < finding.end <= len(text)
        assert finding.kind in KINDS
        assert 0 < finding.score <= 1
        position = finding.end


@given(MIXED)
@settings(max_examples=200)
def test_redaction_keeps_the_rest_and_removes_every_value(text: str) -> None:
    findings = find(text)
    rest, position = [], 0
    for finding in findings:
        rest.append(text[position : finding.start])
        position = finding.end
    rest.append(text[position:])

    redacted = redact(text, findings)

    for part in rest:
        assert part in redacted
    for value in {text[finding.start : finding.end] for finding in findings}:
        assert redacted.count(value) <= sum(part.count(value) for part in rest)


@given(st.text(alphabet=st.characters(), max_size=300), st.sets(st.sampled_from(sorted(KINDS))))
@settings(max_examples=300)
def test_no_text_makes_it_fail(text: str, kinds: set[str]) -> None:
    redact(text, find(text, frozenset(kinds)))


@given(MIXED)
@settings(max_examples=300)
def test_the_first_quick_look_never_hides_a_finding(text: str) -> None:
    quick, everything = find(text), pytest.MonkeyPatch()
    with everything.context() as patched:
        patched.setattr(pii, "_TRIGGER", re2.compile(b""))
        assert find(text) == quick


def test_the_first_quick_look_passes_every_labelled_example(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = [find(example.text) for example in EXAMPLES]
    monkeypatch.setattr(pii, "_TRIGGER", re2.compile(b""))

    assert [find(example.text) for example in EXAMPLES] == quick


def test_text_without_personal_data_costs_a_fraction_of_text_that_is_full_of_it() -> None:
    plain = "The plan covers inpatient care for up to twenty days per period, as the physician documents need. " * 200
    full = f"{CARD}, bob@example.com, ssn 536-10-3306, {IBAN}; " * 400

    assert cpu_s(plain) * 20 < cpu_s(full)  # measured: 0.003 and 1.2 ms of CPU for each KB


def cpu_s(text: str) -> float:
    find(text)
    started = time.process_time()
    for _ in range(5):
        find(text)
    return (time.process_time() - started) / len(text)


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "1 ",
        "1-",
        "a@",
        "+1",
        "(12",
        "AA00",
        "DE56 ",
        "-----BEGIN PRIVATE KEY-----",
        "://a:",
        "password=",
        "eyJ",
        "sk-",
        "::",
        "😀1",
    ],
)
def test_repeated_beginnings_take_linear_time(unit: str) -> None:
    short, long = unit * (20_000 // len(unit)), unit * (160_000 // len(unit))
    cost = {}
    for text in (short, long):
        started = time.process_time()
        find(text)
        cost[len(text)] = time.process_time() - started

    assert cost[len(long)] < max(cost[len(short)], 0.01) * 8 * 5  # eight times the text; quadratic would be 64 times
