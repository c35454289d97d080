"""Numbers that belong to a person: cards, national identifiers and national phone numbers, found in runs of digits.

A run is cut at its spaces into words, and every window of neighbouring words is looked at by its shape (`999-99-9999`),
so that a number is found beside others. What a shape can mean and which checksum decides is data in identifiers.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from headworks.guardrails.contacts import PHONE_WORDS, is_nanp
from headworks.guardrails.context import Candidate, compiled, ends_token, is_called_otherwise, is_labelled, starts_token
from headworks.guardrails.contract import CARD, IBAN, NATIONAL_ID, PHONE
from headworks.guardrails.identifiers import (
    ALL_WORDS,
    CARD_SHAPES,
    LONGEST_SHAPE,
    NATIONAL_IDS_BY_SHAPE,
    NationalId,
    card_brand,
    iban_end,
    is_valid,
    shape,
)

RUN = rb"\d(?:[ .\-/]?\d){6,}(?:-?[A-Za-z]\b)?"
IBAN_HEAD = rb"\b[A-Za-z]{2}\d{2}"
WRITTEN_ID = (
    rb"\b(?:"
    rb"[A-Za-z]{6}[0-9LMNP-Vlmnp-v]{2}[A-Za-z][0-9LMNP-Vlmnp-v]{2}[A-Za-z][0-9LMNP-Vlmnp-v]{3}[A-Za-z]"
    rb"|[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d"
    rb"|[XYZ]-?\d{7}-?[A-Z]"
    rb"|[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]"
    rb"|[12]\d{4}2[AB]\d{8}"
    rb"|\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"
    rb"|\d{7}[A-W][A-IWTX]"
    rb"|[A-Z]{3}P[A-Z]\d{4}[A-Z]"
    rb")\b"
)
WRITTEN_RULES = (
    ("it_codice_fiscale", "it.codicefiscale", ""),
    ("mx_curp", "mx.curp", ""),
    ("es_nie", "es.nie", ""),
    ("fr_nir", "fr.nir", ""),
    ("fi_hetu", "fi.hetu", ""),
    ("ie_pps", "ie.pps", r"pps|ppsn|pps number|pps no"),
    ("in_pan", "in_.pan", r"pan|pan card|permanent account(?: number)?"),
)
_NO_NINO = frozenset({b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"})
_DATES = frozenset({"9999-99-99", "9999.99.99", "9999/99/99", "99-99-9999", "99.99.9999", "99/99/9999"})
_NATIONAL_PHONES = {
    "999-999-9999": "nanp",
    "999.999.9999": "nanp",
    "9-999-999-9999": "nanp",
    "99 99 99 99 99": "french",
    "99.99.99.99.99": "french",
}
_SHAPES = CARD_SHAPES | NATIONAL_IDS_BY_SHAPE.keys() | _NATIONAL_PHONES.keys()
_MOST_WORDS = 7
_run = compiled(RUN)
_iban_head = compiled(IBAN_HEAD)
_written = compiled(WRITTEN_ID)


def ibans(data: bytes) -> Iterator[Candidate]:
    """Bank accounts: a country's length and structure, and the remainder by 97."""
    for head in _iban_head.finditer(data):
        end = iban_end(data, head.start())
        if end is not None and starts_token(data, head.start()) and ends_token(data, end):
            yield Candidate(head.start(), end, "iban", IBAN, 0.98)


def numbers(data: bytes, kinds: frozenset[str]) -> Iterator[Candidate]:
    """Cards, national identifiers and national phone numbers among the kinds asked for."""
    for run in _run.finditer(data):
        start, end = run.start(), run.end()
        has_label = NATIONAL_ID in kinds and is_labelled(data, start, ALL_WORDS)  # labels stand before a run, not in it
        for first, last in _windows(data, start, end):
            form = shape(data[first:last])
            if form not in _SHAPES:
                continue
            if CARD in kinds and form in CARD_SHAPES:
                yield from _card(data, first, last)
            if NATIONAL_ID in kinds and form in NATIONAL_IDS_BY_SHAPE:
                yield from _national_ids(data, first, last, form, has_label=has_label)
            if PHONE in kinds and form in _NATIONAL_PHONES:
                yield from _written_phone(data, first, last, form)
        if PHONE in kinds:
            yield from _named_phone(data, start, end)


def _windows(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Start and end of every sequence of neighbouring words of a run that can be one token of its own."""
    edges = [(start, 0)]
    words = data[start:end].split(b" ")
    for word in words:
        edges.append((edges[-1][0] + len(word) + 1, len(word)))
    starts = [edge for edge, _ in edges[:-1]]
    ends = [edge - 1 for edge, _ in edges[1:]]
    for first, begin in enumerate(starts):
        if first == 0 and not starts_token(data, begin):
            continue
        for last in range(first, min(first + _MOST_WORDS, len(words))):
            if ends[last] - begin > LONGEST_SHAPE:
                break
            if last + 1 < len(words) or ends_token(data, ends[last]):
                yield begin, ends[last]


def _card(data: bytes, start: int, end: int) -> Iterator[Candidate]:
    if brand := card_brand(_digits(data[start:end])):
        yield Candidate(start, end, f"card_{brand}", CARD, 0.95)


def _digits(number: bytes) -> str:
    return number.translate(None, b" -./()+").decode("ascii")


def _national_ids(data: bytes, start: int, end: int, form: str, *, has_label: bool) -> Iterator[Candidate]:
    for identifier in NATIONAL_IDS_BY_SHAPE[form]:
        is_named = has_label and is_labelled(data, start, identifier.words)
        if (is_named or _stands_alone(identifier, form, data, start)) and is_valid(identifier.checker, data[start:end]):
            yield Candidate(start, end, identifier.rule, NATIONAL_ID, 0.92 if is_named else 0.85)


def _stands_alone(identifier: NationalId, form: str, data: bytes, start: int) -> bool:
    return form in identifier.alone or (form in identifier.unnamed and not is_called_otherwise(data, start))


def _written_phone(data: bytes, start: int, end: int, form: str) -> Iterator[Candidate]:
    """Phone numbers that are known by the way they are written."""
    digits = _digits(data[start:end])
    is_phone = is_nanp(digits) if _NATIONAL_PHONES[form] == "nanp" else _is_french(digits)
    if is_phone and not is_called_otherwise(data, start):
        yield Candidate(start, end, f"phone_{_NATIONAL_PHONES[form]}", PHONE, 0.6)


def _is_french(digits: str) -> bool:
    """Begins as a number of France does, and is no list of numbers that count up."""
    pairs = [int(digits[position : position + 2]) for position in range(0, 10, 2)]
    steps = {after - before for before, after in pairwise(pairs)}
    return digits[0] == "0" and digits[1] in "12345679" and len(steps) > 1


def _named_phone(data: bytes, start: int, end: int) -> Iterator[Candidate]:
    """The longest beginning of a run that has the length of a phone number, after a word such as `phone`."""
    within = 14 if data[start:end].isdigit() and end - start < 9 else 36  # few plain digits can be any count
    if not is_labelled(data, start, PHONE_WORDS, within) or not starts_token(data, start):
        return
    while end > start and not (7 <= len(_digits(data[start:end])) <= 13 and ends_token(data, end)):
        end = max(start, start + data[start:end].rfind(b" "))
    if end > start and _is_dialled(data[start:end]) and not is_called_otherwise(data, start):
        yield Candidate(start, end, "phone_named", PHONE, 0.7)


def _is_dialled(number: bytes) -> bool:
    """Neither a date, nor one digit repeated, nor decimals in a row."""
    digits = _digits(number)
    is_list_of_decimals = b"." in number and b" " in number
    return digits.isdecimal() and len(set(digits)) > 1 and shape(number) not in _DATES and not is_list_of_decimals


def written_ids(data: bytes) -> Iterator[Candidate]:
    """National identifiers that have letters in them."""
    for match in _written.finditer(data):
        start, end = match.start(), match.end()
        if starts_token(data, start) and ends_token(data, end):
            yield from _read_written(data, start, end)


def _read_written(data: bytes, start: int, end: int) -> Iterator[Candidate]:
    number = data[start:end]
    compact = number.replace(b" ", b"")
    if len(compact) == 9 and shape(compact) == "AA999999A":
        if compact[:2] not in _NO_NINO and not is_called_otherwise(data, start):
            yield Candidate(start, end, "uk_nino", NATIONAL_ID, 0.8)
        return
    for rule, checker, words in WRITTEN_RULES:
        if is_valid(checker, number) and (not words or is_labelled(data, start, words)):
            yield Candidate(start, end, rule, NATIONAL_ID, 0.9)
            return
