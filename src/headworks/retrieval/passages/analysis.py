"""Text to terms: what a chunk is indexed by and a question asks for, in the language of the text.

Words in Latin letters are stemmed in the language that a text is in, and carry its code (`de:katz`) unless that is
English, so that each language has statistics of its own. A word of another script is stemmed by the script's language,
and one that is written without spaces goes in pairs of characters. Compounds, as in German, are left in one piece.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from headworks.retrieval.passages.languages import LATIN, STOP_WORDS, USUAL, clear_language

Word = tuple[str, ...]
"""A word of a query: its terms, one for each language in which it has one of its own."""

_LONGEST_TERM = 64
_STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "fi": "finnish", "fr": "french", "hi": "hindi", "hu": "hungarian", "hy": "armenian",
    "id": "indonesian", "it": "italian", "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip


_BLOCKS = ((0x300, 0x1E00), (0x20D0, 0x2100), (0x2CEF, 0x2E00), (0x302A, 0x309B), (0xA66F, 0xAC00), (0xFE20, 0xFE30))


def _marks() -> str:
    """Accents and vowel signs, as the inside of a character class: they belong to the word around them."""
    codes = [code for block in _BLOCKS for code in range(*block)]
    return "".join(chr(code) for code in codes if unicodedata.category(chr(code)) in {"Mn", "Mc"})


_MARKS = _marks()
_TOKEN = re.compile(rf"[^\W_]*\d(?:[.,:]\d[^\W_]*)+|[^\W_](?:[^\W_]|[{_MARKS}])*(?:'[^\W_](?:[^\W_]|[{_MARKS}])*)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_THOUSANDS_BY_POINTS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+,\d+")
_VERSION = re.compile(r"v(\d+(?:\.\d+)+)")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff")) | {ord("\u2019"): "'", ord("\u02bc"): "'"}
# British and American spellings of the same verb meet: "authorisation", "organised". At least four letters go before,
# so that "arise", "advise" and "raise" stay what they are in every form.
_BRITISH = re.compile(r"(\w{4,})is(e|es|ed|er|ers|ing|ation|ations)")
_ELIDED = re.compile(
    r"(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu|dell|nell|all|dall|sull|un|quest|quell|bell|sant|dev)'(?=.)"
)
_WITH_ELISION = frozenset({"fr", "it", "ca"})

# Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(rf"[{_UNSPACED}](?:[{_UNSPACED}]|[{_MARKS}])*|[^{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")

_SCRIPTS: tuple[tuple[int, int, str], ...] = (
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x052F, "ru"),
    (0x0530, 0x058F, "hy"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "ar"),
    (0x0750, 0x077F, "ar"),
    (0x0900, 0x097F, "hi"),
    (0x0B80, 0x0BFF, "ta"),
    (0x1F00, 0x1FFF, "el"),
)
"""The first and last character of a script, and whose stemmer takes its words, whichever language they are of."""
_KEEPS_MARKS = frozenset({"hi", "ta"})
_ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ی": "ي", "ک": "ك", "ـ": None})
_LATIN = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})

_local = threading.local()  # a Snowball stemmer may not be used by two threads at once


def tokens(text: str) -> list[str]:
    """The words and numbers of a text, normalised (NFKC, folded case), in order and with repetitions; nothing dropped.

    "12.3" and "1:1" stay whole, "1,500" is "1500", "V2.1.4" is "2.1.4", "co-payment" is two words.
    """
    return [_normal(token) for token in words(text)]


def words(text: str) -> list[str]:
    """As `tokens`, with spellings and numbers as they stand."""
    folded = unicodedata.normalize("NFKC", text).translate(_INVISIBLE).casefold()
    return [token[:_LONGEST_TERM] for token in _TOKEN.findall(folded)]


def _normal(token: str) -> str:
    if token.isalpha():
        found = _BRITISH.fullmatch(token) if "is" in token else None
        return f"{found[1]}iz{found[2]}" if found else token
    if _THOUSANDS.fullmatch(token):
        return token.replace(",", "")
    found = _VERSION.fullmatch(token)
    return found[1] if found else token


def _normal_number(token: str) -> str:
    """A number where a comma is before its decimals."""
    if _THOUSANDS_BY_POINTS.fullmatch(token):
        return token.replace(".", "").replace(",", ".")
    found = _VERSION.fullmatch(token)
    return found[1] if found else token


def terms(text: str, language: str = USUAL) -> list[str]:
    """What a text is indexed and asked by: its tokens without stop words, stemmed, in order and with repetitions."""
    return terms_of(words(text), language)


def terms_of(found: Iterable[str], language: str = USUAL, without: frozenset[str] = frozenset()) -> list[str]:
    """As `terms`, of a text's `words`; `without` are words to leave out, too."""
    return _terms_and_ends(found, language, without)[0]


def _terms_of_each(found: Iterable[str], language: str, without: frozenset[str]) -> Iterator[list[str]]:
    """As `terms_of`, word by word."""
    kept, ends = _terms_and_ends(found, language, without)
    start = 0
    for end in ends:
        yield kept[start:end]
        start = end


def _terms_and_ends(found: Iterable[str], language: str, without: frozenset[str]) -> tuple[list[str], list[int]]:
    """The terms of all words, stemmed at once, and where those of each word end among them."""
    stop = STOP_WORDS.get(language, frozenset()) | without
    kept: list[str] = []
    own: list[int] = []  # places of words that the text's language takes
    ends: list[int] = []
    for word in found:
        if word.isascii() or not _take_by_script(word, kept):
            for each in _parts(word, language):
                if each not in stop:
                    if language == USUAL or not each[0].isdigit():
                        own.append(len(kept))
                    kept.append(each)
        ends.append(len(kept))
    stemmed = _stemmed([kept[place] for place in own], language)
    for place, term in zip(own, stemmed, strict=True):
        kept[place] = term
    return kept, ends


def _parts(word: str, language: str) -> list[str]:
    """A word as the language has it: an article that has lost its vowel is another one."""
    if language == USUAL:
        return [_normal(word)]
    if word[0].isdigit() or "." in word:
        return [_normal_number(word)]
    if "'" in word and language in _WITH_ELISION:
        return [_ELIDED.sub("", word, count=1)]
    return [word]


def _stemmed(kept: list[str], language: str) -> list[str]:
    if language == USUAL:
        return stem([_folded(word) for word in kept])
    if language not in LATIN:
        return stem(kept, language)
    return [f"{language}:{_folded(word)}" for word in stem(kept, language)]


def _take_by_script(word: str, kept: list[str]) -> bool:
    """Add the terms of a word of another script, or one without spaces; False: it is in Latin letters."""
    if _IS_UNSPACED.search(word):
        for run in _RUN.findall(word):
            if _IS_UNSPACED.match(run):
                kept.extend(_pairs(run))
            elif run.isascii() or not _take_by_script(run, kept):
                kept.extend(stem([_folded(_normal(run))]))
        return True
    script = _script(word)
    if script is None:
        return False
    plain = word.translate(_ARABIC) if script == "ar" else word
    if word not in STOP_WORDS.get(script, ()) and plain:
        unmarked = plain if script in _KEEPS_MARKS else _unmarked(plain)
        kept.extend(_unmarked(each) if script in {"el", "ru"} else each for each in stem([unmarked or plain], script))
    return True


def _script(word: str) -> str | None:
    for character in word[:3]:
        code = ord(character)
        for first, last, language in _SCRIPTS:
            if first <= code <= last:
                return language
    return None


def _pairs(run: str) -> list[str]:
    """Each two neighbours; one that stands alone is a term by itself."""
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def _folded(word: str) -> str:
    """Without accents, so that a question without them finds them."""
    return word if word.isascii() else _unmarked(word.translate(_LATIN))


def _unmarked(word: str) -> str:
    if word.isascii():
        return word
    apart = unicodedata.normalize("NFD", word)
    return unicodedata.normalize("NFC", "".join(each for each in apart if unicodedata.category(each) != "Mn"))


def stem(found: Iterable[str], language: str = USUAL) -> list[str]:
    """Each token as its stem, where the language has rules for that."""
    stemmer = _stemmer(language)
    return list(found) if stemmer is None else list(stemmer.stemWords(list(found)))


def query_terms(query: str, languages: Sequence[str] = (USUAL,)) -> dict[Word, int]:
    """Each word of a query with how often it stands there: the weight that BM25 gives it.

    In each of the languages that a collection holds. Small words of the query's own language are left out of all.
    """
    found = words(query)
    among = [each for each in languages if each in LATIN]
    own = clear_language(found, among) if len(among) > 1 else None
    without = STOP_WORDS[own] if own else frozenset()
    counts = Counter(found)
    in_each = [_terms_of_each(counts, language, without) for language in languages or (USUAL,)]
    weights: Counter[Word] = Counter()
    for number, *of_word in zip(counts.values(), *in_each, strict=True):
        for alike in zip_longest(*of_word):
            weights[tuple(dict.fromkeys(term for term in alike if term is not None))] += number
    return dict(weights)


def _stemmer(language: str) -> Any:  # noqa: ANN401 -- PyStemmer has no types
    if language not in _STEMMERS:
        return None
    loaded: dict[str, Any] = _local.__dict__.setdefault("stemmers", {})
    if language not in loaded:
        import Stemmer

        loaded[language] = Stemmer.Stemmer(_STEMMERS[language])
    return loaded[language]
