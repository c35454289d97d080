"""Statements that a document supports, and ones that it does not, made by rule from the document's own sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

KINDS = ("number", "unit", "term", "other document", "negation")
"""How a statement is made wrong. Negation is out of the reach of words: it is told apart, and counted in no total."""

_SYNONYMS = {
    "investigation": "study", "study": "investigation", "obtained": "derived", "shown": "demonstrated", "large": "big",
    "method": "technique", "technique": "method", "results": "findings", "presented": "given", "given": "presented",
    "used": "employed", "must": "has to", "ensure": "make sure", "verify": "check", "approximately": "about",
    "increase": "rise", "decrease": "drop", "small": "little", "several": "various", "however": "yet",
    "determined": "found", "discussed": "described", "described": "discussed", "user": "person",
    "application": "program",
}  # fmt: skip
_DIGITS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "ten": "10", "twelve": "12"}
_WORDS = {digit: word for word, digit in _DIGITS.items()}
_OTHER_UNIT = {
    "days": "weeks", "weeks": "days", "hours": "minutes", "minutes": "hours", "seconds": "hours", "years": "months",
    "months": "years", "bits": "bytes", "bytes": "bits", "percent": "degrees", "degrees": "percent", "inches": "feet",
    "feet": "inches", "characters": "bytes",
}  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:\.\d+)?(?![\w-]|[.,]\d)")
_UNIT = re.compile(rf"\b\d[\d.,]*\s+({'|'.join(_OTHER_UNIT)})\b")
_TERM = re.compile(r"\b[a-z]{6,}\b")
_BRACKETS = re.compile(r"\s*\([^()]*\)")
_IS = re.compile(r"\b(is|are|was|were|must|can|should|has been|have been)\b")
_FEWEST_WORDS, _MOST_WORDS = 8, 45


@dataclass(frozen=True)
class Statement:
    """`kind` is empty where the document supports it."""

    document: int
    text: str
    kind: str = ""


def usable(sentence: str) -> bool:
    """Whether a sentence states enough to be asked about."""
    return _FEWEST_WORDS <= len(sentence.split()) <= _MOST_WORDS and not sentence.startswith(("|", "#", "!", "<"))


def statements(documents: Sequence[Sequence[str]], per_document: int, seed: int) -> list[Statement]:
    """Supported and unsupported ones from the sentences of each document; of each kind only where the rule applies."""
    draw = random.Random(seed)
    found: list[Statement] = []
    terms = sorted({term for sentences in documents for each in sentences for term in _TERM.findall(each)})
    for number, sentences in enumerate(documents):
        for sentence in draw.sample(list(sentences), min(per_document, len(sentences))):
            found.append(Statement(number, paraphrased(sentence, draw)))
            for kind in KINDS:
                wrong = _made_wrong(kind, sentence, number, documents, terms, draw)
                if wrong is not None:
                    found.append(Statement(number, paraphrased(wrong, draw), kind))
    return found


def paraphrased(sentence: str, draw: random.Random) -> str:
    """The same said a little differently: other words here and there, clauses turned around, numbers as words."""
    text = _BRACKETS.sub("", sentence).strip()
    text = re.sub(r"[A-Za-z]+", lambda found: _synonym(found[0], draw), text)
    text = _NUMBER.sub(lambda found: _WORDS.get(found[0], found[0]), text)
    first, comma, rest = text.rstrip(" .").partition(", ")
    if comma and len(first.split()) >= 3 and len(rest.split()) >= 3 and draw.random() < 0.5:
        text = f"{rest[:1].upper()}{rest[1:]}, {first[:1].lower()}{first[1:]}."
    opening = draw.choice(("", "", "According to the document, ", "In short, "))
    return f"{opening}{text[:1].lower()}{text[1:]}" if opening else text


def _synonym(word: str, draw: random.Random) -> str:
    other = _SYNONYMS.get(word.lower())
    return word if other is None or draw.random() < 0.3 else other


def _made_wrong(
    kind: str,
    sentence: str,
    document: int,
    documents: Sequence[Sequence[str]],
    terms: Sequence[str],
    draw: random.Random,
) -> str | None:
    own = " ".join(documents[document])
    if kind == "number":
        return _replaced(_NUMBER, sentence, draw, lambda said: _other_number(said, own, draw))
    if kind == "unit":
        return _replaced(_UNIT, sentence, draw, lambda said: re.sub(r"[a-z]+$", lambda it: _OTHER_UNIT[it[0]], said))
    if kind == "term":
        return _replaced(_TERM, sentence, draw, lambda _: _other_term(own, terms, draw))
    if kind == "negation":
        changed, count = _IS.subn(lambda found: f"{found[0]} not", sentence, count=1)
        return changed if count else None
    other = draw.choice([each for each in range(len(documents)) if each != document])
    return draw.choice(documents[other]) if documents[other] else None


def _replaced(pattern: re.Pattern[str], sentence: str, draw: random.Random, by: Callable[[str], str]) -> str | None:
    found = list(pattern.finditer(sentence))
    if not found:
        return None
    one = draw.choice(found)
    return sentence[: one.start()] + by(one[0]) + sentence[one.end() :]


def _other_number(said: str, own: str, draw: random.Random) -> str:
    while True:
        other = str(draw.randint(2, 99)) if "." not in said else f"{draw.randint(0, 9)}.{draw.randint(1, 9)}"
        if not re.search(rf"(?<!\d){re.escape(other)}(?!\d)", own) and _WORDS.get(other, "~") not in own.lower():
            return other


def _other_term(own: str, terms: Sequence[str], draw: random.Random) -> str:
    while True:
        term = draw.choice(terms)
        if term[:5] not in own.lower():
            return term
