"""The hard facts of a text: its quantities with their units, its dates and its names. What a claim says, a quote must.

A quantity is compared by value: "1,500.00", "1.500,00", "1 500" and "fifteen hundred" may be written, "two" is 2,
"8:00" is 8, "5 pm" is 17, "5 million" is 5,000,000, and digits of other scripts count as digits. What can be read in
two ways ("1.500") is read in both. A unit counts where both sides say one. Pure functions, linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headworks.retrieval.passages.analysis import stem, tokens
from headworks.retrieval.passages.fact_words import AGES, MONTH_OF, NUMBER_WORDS, ONES, POWERS, UNIT_OF

# ── Facts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

Day = tuple[int | None, int, int | None]
"""Year, month, day; None: not said."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit as they are written, the values that it may have, and the unit; empty: none is known."""

    said: str
    values: frozenset[str]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Date:
    """A date as it is written, and the days that it may be: 3/4/2024 is two."""

    said: str
    days: frozenset[Day]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text says that can be right or wrong by itself. `words` are all of its words, stemmed, and its names.

    `units` has the units that each value stands with, `days` the dates with every part of them left out in turn.
    """

    quantities: tuple[Quantity, ...]
    dates: tuple[Date, ...]
    names: tuple[str, ...]
    words: frozenset[str]
    units: Mapping[str, frozenset[str]]
    days: frozenset[Day]
    is_german_like: bool
    """Whether so many words have capitals that these make no names."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a claim says and its source does not, as the claim writes it."""

    numbers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.numbers or self.names)


def facts_of(text: str) -> Facts:
    """The facts of a text, as a source: its numbers with those in dates, and as they stand beside dates."""
    plain = _plain(text)
    return _facts(plain, (*_quantities(plain), *_quantities(_without_days(plain))))


def claimed_facts(claim: str) -> Facts:
    """As `facts_of`, for the side that has to be shown: a date is no number beside, and "one" counts nothing."""
    plain = _plain(claim)
    said = _quantities(_without_days(plain))
    return _facts(plain, tuple(each for each in said if each.said.partition(" ")[0].casefold() not in ONES))


def _without_days(plain: str) -> str:
    return _DATE.sub(lambda found: " " if any(map(_is_day, _days(found))) else found[0], plain)


def _facts(plain: str, quantities: tuple[Quantity, ...]) -> Facts:
    dates = tuple(_dates(plain))
    units: dict[str, set[str]] = {}
    for each in quantities:
        for value in each.values:
            units.setdefault(value, set()).add(each.unit)
    days = {
        (kept_year, month, kept_day)
        for date in dates
        for year, month, day in date.days
        for kept_year in (year, None)
        for kept_day in (day, None)
    }
    names = tuple(dict.fromkeys(_names(plain)))
    return Facts(
        quantities,
        dates,
        names,
        frozenset((*_words(plain), *map(str.casefold, names))),
        {value: frozenset(found) for value, found in units.items()},
        frozenset(days),
        _is_german_like(plain),
    )


def missing(claim: Facts, source: Facts, *, of_names: Facts | None = None) -> Missing:
    """What of a claim does not stand in its source. `of_names`: where its names may stand, if not in the source."""
    numbers = [each.said for each in claim.quantities if not _has_quantity(source, each)]
    numbers += [each.said for each in claim.dates if not any(_has_day(source, day) for day in each.days)]
    told = of_names or source
    only_codes = claim.is_german_like or told.is_german_like
    names = [name for name in claim.names if not only_codes or _CODE.fullmatch(name)]
    names = [each for each in names if each.casefold() not in told.words and not told.words.issuperset(_words(each))]
    return Missing(tuple(dict.fromkeys(numbers)), tuple(names))


def numbers(text: str) -> set[str]:
    """The values of a text's numbers in one form, in all their readings."""
    return {value for each in _quantities(_plain(text)) for value in each.values}


def _has_quantity(source: Facts, claimed: Quantity) -> bool:
    for value in claimed.values:
        units = source.units.get(value)
        if units is not None and (not claimed.unit or "" in units or claimed.unit in units):
            return True
    return False


def _has_day(source: Facts, claimed: Day) -> bool:
    """A source may say the year apart: "in 2024, from 1 March"."""
    year, month, day = claimed
    return claimed in source.days or (str(year) in source.units and (None, month, day) in source.days)


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_SPACED = re.compile(r"[\u00a0\u202f\u2009]")
_RAISED = re.compile("[\u00b2\u00b3\u00b9]")
_DIGIT = re.compile(r"\d")


def _plain(text: str) -> str:
    """The text with ASCII digits and plain spaces, in NFKC."""
    if text.isascii():
        return text
    text = _SPACED.sub(" ", unicodedata.normalize("NFKC", _RAISED.sub("", text)))
    return _DIGIT.sub(lambda found: str(unicodedata.decimal(found[0], found[0])), text)


_NUMBER = r"\d{1,3}(?:(?P<by>[ '’])\d{3}(?!\d))(?:(?P=by)\d{3}(?!\d))*(?:[.,]\d{1,4})?|\d+(?:[.,:]\d+)*"
_QUANTITY = re.compile(
    rf"(?P<money>[$€£¥]|\b(?:USD|EUR|GBP|CHF|JPY|Fr\.)) ?(?=\d)|(?P<number>{_NUMBER})|(?P<word>[^\W\d_]+)"
)
_AFTER = re.compile(r"[ \-]?(%|°[CF]|[$€£¥]|[^\W\d_]+)(?:[ \-]([^\W\d_]+))?")


def _quantities(text: str) -> Iterator[Quantity]:
    money, begin = "", None
    for found in _QUANTITY.finditer(text):
        if found["money"]:
            money, begin = UNIT_OF.get(found["money"].casefold().rstrip("."), ""), found.start()
            continue
        if found["number"]:
            yield _quantity(text, found.start() if begin is None else begin, found, money)
        elif value := NUMBER_WORDS.get(found["word"].casefold()):
            unit, powers, end = _unit_after(text, found.end())
            yield Quantity(text[found.start() : end], frozenset((_scaled(value, powers),)), unit)
        money, begin = "", None


def _quantity(text: str, begin: int, found: re.Match[str], money: str) -> Quantity:
    unit, powers, end = _unit_after(text, found.end())
    values = {_scaled(value, powers) for value in _values(found[0])}
    if clock := _CLOCK.match(text, found.end(), found.end() + 6):
        unit, end = "", clock.end()
        if clock[1].casefold() == "p":
            values |= {_afternoon(value) for value in values}
    return Quantity(text[begin:end], frozenset(values), unit or money)


_CLOCK = re.compile(r" ?([ap])\.?m\b\.?", re.IGNORECASE)


def _afternoon(value: str) -> str:
    hour, _, rest = value.partition(":")
    if not hour.isdigit() or int(hour) > 11:
        return value
    return f"{int(hour) + 12}:{rest}" if rest else str(int(hour) + 12)


def _unit_after(text: str, end: int) -> tuple[str, int, int]:
    """The unit after a number, powers of ten before it, and where they end: "5 million euros", "two business days"."""
    after = _AFTER.match(text, end, end + 60)
    if after is None:
        return "", 0, end
    first, second = after[1].casefold(), (after[2] or "").casefold()
    if powers := POWERS.get(first, 0):
        unit = UNIT_OF.get(second, "")
        return unit, powers, after.end() if unit else after.end(1)
    if first in UNIT_OF:
        return UNIT_OF[first], 0, after.end(1)
    unit = UNIT_OF.get(second, "")
    if unit in AGES and len(second) > 2:  # no single letters from afar
        return unit, 0, after.end()
    return "", 0, end


def _scaled(value: str, times: int) -> str:
    if not times or ":" in value or value.count(".") > 1:
        return value
    whole, _, part = value.partition(".")
    return _number(f"{whole}{part[:times].ljust(times, '0')}", part[times:])


_TIME = re.compile(r"(\d{1,2})[:.](\d{2})")


def _values(said: str) -> set[str]:
    """All that digits with marks between them may mean."""
    said = said.replace("’", "'")
    if " " in said or "'" in said:
        whole, _, part = said.replace(" ", "").replace("'", "").replace(",", ".").partition(".")
        return {_number(whole, part)}
    marks = [mark for mark in said if not mark.isdigit()]
    if not marks:
        return {_number(said, "")}
    time = _TIME.fullmatch(said)
    found = {_time(time)} if time else set[str]()
    if ":" in marks:
        return found or {said}
    last = marks[-1]
    if len(set(marks)) == 1 and len(marks) > 1:
        groups = said.split(last)
        is_grouped = all(len(each) == 3 for each in groups[1:]) and len(groups[0]) <= 3
        return {_number("".join(groups), "")} if is_grouped else {".".join(groups)}
    whole, _, part = said.rpartition(last)
    whole = re.sub(r"[.,]", "", whole)
    found.add(_number(whole, part))
    if len(marks) == 1 and len(part) == 3 and len(whole) <= 3 and whole != "0":
        found.add(_number(whole + part, ""))
    return found


def _time(found: re.Match[str]) -> str:
    hour = found[1].lstrip("0") or "0"
    return hour if found[2] == "00" else f"{hour}:{found[2]}"


def _number(whole: str, part: str) -> str:
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    return f"{whole}.{part}" if part else whole


_NAMED_MONTH = "|".join(sorted(map(re.escape, MONTH_OF), key=len, reverse=True))
# The names of months are tried only where a word is followed by a number: a hundred alternatives are dear.
_DATE = re.compile(
    rf"""\b(?:
    (?P<y1>\d{{4}})-(?P<m1>\d{{1,2}})-(?P<d1>\d{{1,2}})(?!\d)
    |(?P<a>\d{{1,2}})(?P<mark>[./])(?P<b>\d{{1,2}})(?P=mark)(?P<y2>\d{{4}})(?!\d)
    |(?P<d3>\d{{1,2}})(?:st|nd|rd|th|er|\.)?\ (?:of\ |de\ )?(?P<m3>{_NAMED_MONTH})\b\.?
     (?:,?\ (?:de\ )?(?P<y3>\d{{4}})(?!\d))?
    |(?=[^\W\d_]{{3,10}}\.?,?\ (?:de\ )?\d)(?:
      (?P<m4>{_NAMED_MONTH})\b\.?\ (?P<d4>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,?\ (?P<y4>\d{{4}})(?!\d))?
      |(?P<m5>{_NAMED_MONTH})\b\.?,?\ (?:de\ )?(?P<y5>\d{{4}})(?!\d)
     )
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_MOST_MONTHS, _MOST_DAYS = 12, 31


def _dates(text: str) -> Iterator[Date]:
    for found in _DATE.finditer(text):
        days = frozenset(day for day in _days(found) if _is_day(day))
        if days:
            yield Date(found[0].strip(), days)


def _days(found: re.Match[str]) -> Iterator[Day]:
    if found["y1"]:
        yield int(found["y1"]), int(found["m1"]), int(found["d1"])
    elif found["y2"]:
        one, other = int(found["a"]), int(found["b"])
        yield int(found["y2"]), other, one
        if found["mark"] == "/":
            yield int(found["y2"]), one, other
    elif found["m5"]:
        yield int(found["y5"]), MONTH_OF[found["m5"].casefold()], None
    else:
        at = "3" if found["m3"] else "4"
        year = found[f"y{at}"]
        yield (int(year) if year else None), MONTH_OF[found[f"m{at}"].casefold()], int(found[f"d{at}"])


def _is_day(day: Day) -> bool:
    return 1 <= day[1] <= _MOST_MONTHS and 1 <= (day[2] or 1) <= _MOST_DAYS


_NAME = re.compile(r"(?<=[\w,;)] )[A-Z\u00c0-\u00de\u0391-\u03a9\u0410-\u042f][\w'’-]*")
_CODE = re.compile(r"\b(?=\w*[A-Z]\w*[A-Z])[A-Z]\w+\b")
_INSIDE = re.compile(r"(?<=[^\W\d_] )[^\W\d_]+")
_FEWEST_WORDS, _MANY_CAPITALS = 30, 0.18
_MONTH_NAMES = frozenset(word for word in MONTH_OF if len(word) > 3)


def _names(text: str) -> Iterator[str]:
    """Words with a capital inside of a sentence, and those with several anywhere."""
    for found in _NAME.finditer(text):
        if found[0].casefold() not in _MONTH_NAMES and not found[0].startswith(("I'", "I’")) and found[0] != "I":
            yield found[0]
    for found in _CODE.finditer(text):
        yield found[0]


def _is_german_like(text: str) -> bool:
    words = _INSIDE.findall(text[:20_000])
    capitals = sum(1 for each in words if each[0].isupper())
    return len(words) >= _FEWEST_WORDS and capitals > _MANY_CAPITALS * len(words)


def _words(text: str) -> list[str]:
    return stem([each.removesuffix("'s") for each in tokens(text)])
